//! Blocks of snapshots against coldsnap, and over TLS.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde_json::Value;

use super::SOURCE;
use super::foreign::{
    Server, coldsnap, command, run, scratch, session, snapmigrate, succeed, text,
};

const MIB: u64 = 1 << 20;

/// An image of 48 MiB with holes and an odd end.
fn image(path: &Path) -> Vec<u8> {
    let file = File::create(path).expect("the scratch directory can be written");
    let len = 48 * MIB;
    file.set_len(len).expect("a sparse file");
    let mut random = File::open("/dev/urandom").expect("Linux has it");
    for (at, size) in [
        (0, MIB),
        (5 * MIB + 4096, MIB / 2),
        (20 * MIB, 4 * MIB),
        (len - 700, 700),
    ] {
        let mut data = vec![0; usize::try_from(size).expect("small")];
        random.read_exact(&mut data).expect("endless");
        file.write_all_at(&data, at).expect("room for 48 MiB");
    }
    std::fs::read(path).expect("just written")
}

fn coldsnap_run(lab: &Server, arguments: &[&str]) -> String {
    let mut command = command(&coldsnap(), Some(SOURCE));
    command.args(["--endpoint", &lab.url, "--region", "us-east-1"]);
    succeed(command.args(arguments)).trim().to_owned()
}

/// Whether the file begins with `image` and is zero behind it.
fn holds(path: &Path, image: &[u8]) -> bool {
    let mut file = File::open(path).expect("coldsnap wrote it");
    let mut head = vec![0; image.len()];
    file.read_exact(&mut head).expect("at least as long");
    if head != image {
        return false;
    }
    let mut rest = vec![0; 1 << 20];
    loop {
        match file.read(&mut rest).expect("readable") {
            0 => return true,
            read if rest[..read].iter().any(|byte| *byte != 0) => return false,
            _ => {}
        }
    }
}

#[test]
fn coldsnap_brings_back_what_it_took() {
    let dir = scratch("coldsnap");
    let lab = Server::lab(&dir.join("lab"), &[]);
    let name = |file: &str| dir.join(file).to_str().expect("UTF-8").to_owned();
    let (from, to, again) = (name("from.img"), name("to.img"), name("again.img"));
    let held = image(Path::new(&from));
    let download = |snapshot: &str, file: &str| {
        let fetch = ["download", "--no-progress", "--force"];
        coldsnap_run(&lab, &[&fetch[..], &[snapshot, file]].concat());
        holds(Path::new(file), &held)
    };
    for flags in [&[][..], &["--omit-zero-blocks"][..]] {
        let send = ["upload", "--no-progress", "--wait"];
        let snapshot = coldsnap_run(&lab, &[&send[..], flags, &[from.as_str()]].concat());
        assert!(download(&snapshot, &to), "{flags:?}: {snapshot} differs");
        let of_volume = session("through_a_volume.py", &[&lab.url, &snapshot]);
        let same = download(of_volume.trim(), &again);
        assert!(same, "{flags:?}: a snapshot of its volume differs");
    }
    assert!(lab.stop().success());
}

#[test]
fn coldsnap_reads_what_was_put_onto_its_snapshot() {
    let dir = scratch("onto");
    let lab = Server::lab(&dir.join("lab"), &[]);
    let name = |file: &str| dir.join(file).to_str().expect("UTF-8").to_owned();
    let (before, after, again) = (name("before.img"), name("after.img"), name("again.img"));
    image(Path::new(&before));
    let held = image(Path::new(&after));
    let send = ["upload", "--no-progress", "--wait"];
    let first = coldsnap_run(&lab, &[&send[..], &[before.as_str()]].concat());
    let related = ["--parent-snapshot-id", first.as_str(), after.as_str()];
    let second = coldsnap_run(&lab, &[&send[..], &related].concat());
    let mut sync = snapmigrate(Some(SOURCE));
    sync.args([
        "sync", "--json", "--from", &first, "--to", &second, "--onto", &first,
    ]);
    sync.args([
        "--source-region",
        "us-east-1",
        "--endpoint-url",
        &lab.url,
        "--state",
    ]);
    let report: Value = serde_json::from_str(&succeed(sync.arg(dir.join("record")))).expect("JSON");
    assert_eq!(report["proved"], true, "{report}");
    let made = report["target"].as_str().expect("a snapshot");
    let fetch = ["download", "--no-progress", "--force", made, again.as_str()];
    coldsnap_run(&lab, &fetch);
    assert!(holds(Path::new(&again), &held), "{made} is not {second}");
    assert!(lab.stop().success());
}

/// Blocks come over connections of our own: TLS as the SDK does it, with the system's authorities and no others.
#[test]
fn a_snapshot_is_fetched_over_tls_and_no_unknown_authority_is_trusted() {
    let dir = scratch("tls");
    let lab = Server::lab(&dir.join("lab"), &[]);
    let tls = Server::tls(&lab, &dir);
    let (from, to) = (dir.join("from.img"), dir.join("to.img"));
    let held = image(&from);
    let send = [
        "upload",
        "--no-progress",
        "--wait",
        from.to_str().expect("UTF-8"),
    ];
    let snapshot = coldsnap_run(&lab, &send);
    let sync = |trusted: bool| {
        let mut sync = snapmigrate(Some(SOURCE));
        sync.args(["sync", "--json", "--to", &snapshot, "--give-up-after", "5"]);
        sync.args(["--source-region", "us-east-1", "--endpoint-url", &tls.url]);
        sync.arg("--state").arg(dir.join("record")).arg(&to);
        if trusted {
            sync.env("SSL_CERT_FILE", dir.join("authority.pem"));
        }
        sync
    };
    let refused = run(&mut sync(false));
    let said = text(&refused.stderr);
    assert!(
        !refused.status.success() && said.contains("certificate"),
        "{said}"
    );
    let report: Value = serde_json::from_str(&succeed(&mut sync(true))).expect("JSON");
    assert_eq!(report["proved"], true, "{report}");
    assert!(holds(&to, &held), "{snapshot} differs");
}
