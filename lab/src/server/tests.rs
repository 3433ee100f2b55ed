//! The server over real sockets, with requests written by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::{Lab, ServeOptions, serve};

const SIGNED: &str = "Authorization: AWS4-HMAC-SHA256 \
    Credential=111111111111/20261102/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0";
const FORM: &str = "Action=GetCallerIdentity&Version=2011-06-15";

struct Running {
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    stream: TcpStream,
}

async fn running(name: &str, latency_ms: u64) -> Running {
    let dir =
        std::env::temp_dir().join(format!("snapmigrate-server-{name}-{}", std::process::id()));
    let options = ServeOptions {
        dir,
        scenario: None,
        latency_ms,
        quota: false,
        time_scale: 1.0,
        seed: 7,
        loop_devices: false,
        traced: false,
    };
    let lab = Lab::open(&options).unwrap();
    std::fs::remove_dir_all(&options.dir).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(lab, listener, async { drop(stopped.await) }));
    Running {
        stop,
        server,
        stream: stream.await.unwrap(),
    }
}

/// Reads one answer with a Content-Length: its head and its body.
async fn answer(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower
                .split_once("content-length: ")
                .map_or("0", |(_, rest)| rest);
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                return (head.to_owned(), body.to_owned());
            }
        }
        assert_ne!(
            stream.read_buf(&mut bytes).await.unwrap(),
            0,
            "closed after {text}"
        );
    }
}

#[tokio::test]
async fn a_kept_connection_takes_lengths_chunks_and_expectations() {
    let mut running = running("bodies", 0).await;
    let stream = &mut running.stream;
    let plain = format!(
        "POST / HTTP/1.1\r\nHost: x\r\n{SIGNED}\r\nContent-Length: {}\r\n\r\n{FORM}",
        FORM.len()
    );
    let (first, second) = FORM.split_at(9);
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: x\r\n{SIGNED}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len(),
    );
    for request in [&plain, &chunked, &plain] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let (head, body) = answer(stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(body.contains("<Account>111111111111</Account>"), "{body}");
    }
    let expecting = plain.replace("Host: x", "Host: x\r\nExpect: 100-continue");
    let (head, body) = expecting.split_once("\r\n\r\n").unwrap();
    stream
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(answer(stream).await.0, "HTTP/1.1 100 Continue");
    stream.write_all(body.as_bytes()).await.unwrap();
    assert!(answer(stream).await.0.starts_with("HTTP/1.1 200"));
    running.stop.send(()).unwrap();
    running.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_closes_what_is_idle() {
    let mut running = running("stop", 300).await;
    let address = running.stream.peer_addr().unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: x\r\n{SIGNED}\r\nContent-Length: {}\r\n\r\n{FORM}",
        FORM.len()
    );
    running.stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    running.stop.send(()).unwrap();
    let (head, _) = answer(&mut running.stream).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(
        idle.read(&mut [0]).await.unwrap(),
        0,
        "an idle connection is closed"
    );
    let done = tokio::time::timeout(Duration::from_secs(5), running.server).await;
    done.expect("the server stops").unwrap().unwrap();
    TcpStream::connect(address)
        .await
        .expect_err("the listener is closed");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let mut running = running("large", 0).await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\n{SIGNED}\r\nContent-Length: {}\r\n\r\n",
        17 << 20
    );
    running.stream.write_all(head.as_bytes()).await.unwrap();
    let part = vec![b'x'; 1 << 20];
    for _ in 0..17 {
        if running.stream.write_all(&part).await.is_err() {
            break;
        }
    }
    let (head, _) = answer(&mut running.stream).await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
}
