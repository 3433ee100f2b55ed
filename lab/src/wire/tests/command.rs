//! SSM RunCommand, with a real shell as the agent of every instance, on real time.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::services::ssm;
use super::*;

const INSTANCE: &str = "i-0db00000000000001";

/// A lab whose instances run commands with a shell that knows which instance it is.
fn commanded() -> (Lab, Scratch) {
    let (lab, scratch) = (traced_lab(""), Scratch::new());
    let agent = scratch.0.join("agent");
    std::fs::write(&agent, "#!/bin/sh\nINSTANCE=$1 exec sh -s\n").unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    lab.run_commands_with(agent);
    (lab, scratch)
}

fn sending(instance: &str, script: &str) -> String {
    serde_json::json!({
        "InstanceIds": [instance], "DocumentName": "AWS-RunShellScript",
        "Parameters": { "commands": [script], "executionTimeout": ["20"] }, "TimeoutSeconds": 30,
    })
    .to_string()
}

/// The end of a command, asked for until it is there.
async fn ended(lab: &Lab, command: &str) -> Value {
    let ask = serde_json::json!({ "CommandId": command, "InstanceId": INSTANCE }).to_string();
    for _ in 0..600 {
        let (status, answer) = ssm(lab, ACCOUNT, "GetCommandInvocation", &ask).await;
        if status == 200 && answer["Status"] != "Pending" && answer["Status"] != "InProgress" {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the command does not end");
}

#[tokio::test]
async fn a_command_is_run_on_its_instance_and_its_end_is_told_later() {
    let (lab, _scratch) = commanded();
    let run = async |script: &str| {
        let (status, sent) = ssm(&lab, ACCOUNT, "SendCommand", &sending(INSTANCE, script)).await;
        assert_eq!(status, 200, "{sent}");
        sent["Command"]["CommandId"].as_str().unwrap().to_owned()
    };
    let command = run("echo on $INSTANCE; echo oh >&2").await;
    let ask = serde_json::json!({ "CommandId": command, "InstanceId": INSTANCE }).to_string();
    let (_, early) = ssm(&lab, ACCOUNT, "GetCommandInvocation", &ask).await;
    assert_eq!(early["__type"], "InvocationDoesNotExist");
    let end = ended(&lab, &command).await;
    assert_eq!(
        (&end["Status"], &end["ResponseCode"]),
        (&"Success".into(), &0.into())
    );
    assert_eq!(end["StandardOutputContent"], format!("on {INSTANCE}\n"));
    assert_eq!(end["StandardErrorContent"], "oh\n");
    let end = ended(&lab, &run("exit 69").await).await;
    assert_eq!(
        (&end["Status"], &end["ResponseCode"]),
        (&"Failed".into(), &69.into())
    );
    let end = ended(&lab, &run("head -c 30000 /dev/zero | tr '\\0' x").await).await;
    assert_eq!(
        end["StandardOutputContent"].as_str().map(str::len),
        Some(24_000),
        "cut"
    );
    let (_, foreign) = ssm(&lab, OTHER, "GetCommandInvocation", &ask).await;
    assert_eq!(foreign["__type"], "InvocationDoesNotExist");
}

#[tokio::test]
async fn what_cannot_be_commanded_is_refused() {
    let (lab, _scratch) = commanded();
    let good = sending(INSTANCE, "true");
    for (body, code) in [
        (sending("i-00000000000000000", "true"), "InvalidInstanceId"),
        (sending("i-0db00000000000002", "true"), "InvalidInstanceId"),
        (
            good.replace("AWS-RunShellScript", "AWS-Else"),
            "InvalidDocument",
        ),
        (good.replace("commands", "orders"), "InvalidParameters"),
        (good.replace(":30", ":29"), "ValidationException"),
        (
            good.replace("[\"i-0db00000000000001\"]", "[]"),
            "ValidationException",
        ),
        ("no".to_owned(), "SerializationException"),
    ] {
        assert_eq!(
            ssm(&lab, ACCOUNT, "SendCommand", &body).await.1["__type"],
            code,
            "{body}"
        );
    }
    let unmanaged = traced_lab("");
    assert_eq!(
        ssm(&unmanaged, ACCOUNT, "SendCommand", &good).await.1["__type"],
        "InvalidInstanceId"
    );
}
