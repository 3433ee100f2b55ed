//! The helper's socket, for its owner only, and the relay from standard input and output to it.

use super::answers::Answers;
use super::service::Host;
use crate::quiesce::protocol::{self, ErrorCode, MAX_LINE_BYTES, Refusal};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

/// Most connections at once; the executor needs two, and each costs a locked stack.
const MAX_CONNECTIONS: usize = 16;

/// Listens at `path`, readable and writable by the owner only; a dead helper's socket is replaced.
///
/// # Errors
/// When the directory or socket cannot be made, or a live helper listens there.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another snapmigrate-host listens there",
        ));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener
}

/// Serves connections for ever, one thread each.
///
/// # Errors
/// When the socket is gone.
pub fn serve(listener: &UnixListener, host: &Arc<Host>) -> io::Result<()> {
    let answers = Arc::new(Answers::default());
    loop {
        let (stream, _) = listener.accept()?;
        // The listener holds one reference, the two watchdog threads another each.
        if Arc::strong_count(host) > MAX_CONNECTIONS + 3 {
            continue;
        }
        let (host, answers) = (Arc::clone(host), Arc::clone(&answers));
        thread::Builder::new()
            .name("connection".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                // An error here is a client that went away; there is nobody to tell.
                let _ = converse(&stream, &host, &answers);
            })?;
    }
}

fn converse(stream: &UnixStream, host: &Host, answers: &Answers) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        let read = (&mut reader)
            .take(MAX_LINE_BYTES as u64)
            .read_line(&mut line)?;
        if read == 0 {
            return Ok(());
        }
        let (id, reply) = if line.ends_with('\n') {
            match protocol::decode_request(&line) {
                Ok(request) => {
                    let epoch = request.epoch;
                    (
                        request.id,
                        answers.once(request, |op| host.answer(op, epoch)),
                    )
                }
                Err((id, refusal)) => (id, Err(refusal)),
            }
        } else {
            (
                0,
                Err(Refusal::new(
                    ErrorCode::BadRequest,
                    "the line is too long or cut off",
                )),
            )
        };
        writeln!(writer, "{}", protocol::encode_reply(id, &reply))?;
        if !line.ends_with('\n') {
            return Ok(());
        }
    }
}

/// Sends one line to the helper and returns its answer, one line too.
///
/// # Errors
/// When it closes the connection without an answer.
pub fn ask(mut stream: UnixStream, line: &str) -> io::Result<String> {
    writeln!(stream, "{}", line.trim_end())?;
    let mut answer = String::new();
    BufReader::new(stream)
        .take(MAX_LINE_BYTES as u64)
        .read_line(&mut answer)?;
    if answer.ends_with('\n') {
        return Ok(answer);
    }
    Err(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the helper closed the connection without an answer",
    ))
}

/// Copies standard input to the socket and the socket to standard output until either ends.
///
/// # Errors
/// When no helper listens at `path`.
pub fn relay(path: &Path) -> io::Result<()> {
    let stream = UnixStream::connect(path)?;
    let mut outward = stream.try_clone()?;
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut outward);
        let _ = outward.shutdown(Shutdown::Write);
    });
    // Line by line, so that each answer leaves at once.
    for line in BufReader::new(stream).lines() {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", line?)?;
        stdout.flush()?;
    }
    Ok(())
}
