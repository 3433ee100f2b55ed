//! The relay, and what the socket answers to nonsense.

use super::*;

#[test]
fn a_relay_carries_the_protocol_and_bad_requests_are_answered() {
    use std::io::{BufRead, BufReader, Write};
    let source = source();
    let relay = [
        env!("CARGO_BIN_EXE_snapmigrate-host"),
        "relay",
        "--socket",
        &text(&source.helper.socket),
    ];
    let channel = Channel::exec(relay.map(str::to_owned).to_vec());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    for _ in 0..3 {
        let status = runtime
            .block_on(channel.call(Status {}))
            .expect("an answer");
        assert_eq!(
            (status.database, status.epoch),
            (DatabaseState::Running, None)
        );
    }
    let nobody = Channel::exec(vec![
        "sh".into(),
        "-c".into(),
        "echo no route >&2; exit 255".into(),
    ]);
    let lost = runtime
        .block_on(nobody.call(Hello {}))
        .expect_err("nobody answers");
    assert!(
        lost.code().is_none() && lost.to_string().contains("no route"),
        "{lost}"
    );

    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&source.helper.socket)
            .expect("it is there")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "owner only");
    let mut raw =
        std::os::unix::net::UnixStream::connect(&source.helper.socket).expect("it listens");
    let mut answers = BufReader::new(raw.try_clone().expect("a second handle")).lines();
    for (request, code) in [
        ("nonsense", "bad_request"),
        (r#"{"id":1,"protocol":9,"op":"hello"}"#, "unknown_protocol"),
        (
            r#"{"id":1,"protocol":1,"op":"fence","epoch":1,"lease_seconds":-5}"#,
            "bad_request",
        ),
        (
            r#"{"id":1,"protocol":1,"op":"fence","epoch":1,"lease_seconds":1e999}"#,
            "bad_request",
        ),
        (
            r#"{"id":1,"protocol":1,"op":"freeze","epoch":1,"limit_seconds":86400}"#,
            "bad_request",
        ),
        (r#"{"id":1,"protocol":1,"op":"take_down"}"#, "no_target"),
        (
            r#"{"id":1,"protocol":1,"op":"activate","epoch":1}"#,
            "no_target",
        ),
    ] {
        writeln!(raw, "{request}").expect("it can be sent");
        let answer = answers.next().expect("an answer").expect("it can be read");
        assert!(
            answer.contains(&format!("\"code\":\"{code}\"")),
            "{request}: {answer}"
        );
    }
    assert!(source.cluster.serves(), "none of it touched the database");
}
