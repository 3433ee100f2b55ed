//! The built binary and what it makes of bad input: exit code, and an error that names the thing and
//! what to do. Nothing here reaches a network.

#[path = "common/cli.rs"]
mod tool;

use tool::{assert_refused, path, refused, scratch, snapmigrate, text, written};

#[test]
fn unknown_words_are_usage_errors() {
    assert_refused(&["--frobnicate"], 2, &["--frobnicate"]);
    assert_refused(&["plan", "--frobnicate"], 2, &["--frobnicate"]);
    assert_refused(&["conquer"], 2, &["conquer"]);
    assert_refused(&[], 2, &["Usage"]);
    assert_refused(&["plan"], 2, &["--profile"]);
    assert_refused(
        &["schema", "nonsense"],
        2,
        &["no document \"nonsense\"", "published: profile"],
    );
}

#[test]
fn missing_files_are_named() {
    let missing = "/nonexistent/file.json";
    for arguments in [
        vec!["plan", "--profile", missing],
        vec!["check", missing],
        vec!["runbook", missing],
        vec!["policy", missing],
        vec!["status", missing],
        vec!["journal", "export", missing],
        vec!["execute", missing],
        vec!["cutover", missing],
        vec!["revert", missing],
    ] {
        let mut arguments = arguments;
        if arguments[0] == "plan" {
            arguments.extend(["--policy", "/nonexistent/policy.toml"]);
            assert_refused(&arguments, 2, &["/nonexistent/policy.toml", "No such file"]);
        } else {
            assert_refused(&arguments, 2, &[missing]);
        }
    }
}

#[test]
fn malformed_files_say_where_and_what_would_do() {
    let broken = written(
        "malformed",
        "broken.json",
        "{\"format\": \"snapmigrate.plan/1\", ",
    );
    assert_refused(
        &["runbook", &broken],
        2,
        &["broken.json", "EOF", "snapmigrate plan -o"],
    );
    let broken = written(
        "malformed",
        "profile.json",
        "{\"format\": \"snapmigrate.profile/1\"}",
    );
    let policy = path("policy.toml");
    let plan = ["plan", "--profile", &broken, "--policy", &policy];
    assert_refused(
        &plan,
        2,
        &["profile.json", "missing field", "snapmigrate measure -o"],
    );
    let profile = path("profile.json");
    for (toml, words) in [
        ("confidence = ", ["policy.toml", "line 1"]),
        ("confidnce = 0.9", ["policy.toml", "confidnce"]),
        ("confidence = 7", ["confidence is 7", "between 0 and 1"]),
        (
            "max_write_downtime_seconds = \"soon\"",
            ["policy.toml", "invalid type"],
        ),
    ] {
        let target = "\n[target]\naccount = \"222222222222\"\nregion = \"eu-west-1\"\nzone = \"eu-west-1a\"\n";
        let policy = written("malformed", "policy.toml", &format!("{toml}{target}"));
        assert_refused(
            &["plan", "--profile", &profile, "--policy", &policy],
            2,
            &words,
        );
    }
    let target = ["plan", "--profile", &profile, "--target-account", "12"];
    assert_refused(&target, 2, &["\"12\" is not an account id", "12 digits"]);
    assert_refused(
        &["plan", "--profile", &profile],
        2,
        &["--target-account", "--target-zone"],
    );
}

#[test]
fn malformed_journals_are_refused() {
    let journal = written(
        "journals",
        "text.sqlite",
        "this is no database, but long enough to be read as one",
    );
    assert_refused(&["status", &journal], 2, &["text.sqlite", "not a database"]);
    let empty = written("journals", "empty.sqlite", "");
    assert_refused(&["journal", "export", &empty], 2, &["empty.sqlite"]);
}

#[test]
fn unknown_versions_are_refused() {
    let newer = |name: &str, test_name: &str| {
        let text = text(name).replacen("/1\"", "/2\"", 1);
        written("versions", test_name, &text)
    };
    let plan = newer("plan.json", "plan.json");
    let words = ["\"snapmigrate.plan/2\"", "\"snapmigrate.plan/1\""];
    assert_refused(&["runbook", &plan], 2, &words);
    let profile = newer("profile.json", "profile.json");
    let policy = path("policy.toml");
    let plan = ["plan", "--profile", &profile, "--policy", &policy];
    assert_refused(&plan, 2, &["\"snapmigrate.profile/2\""]);
    let policy = newer("policy.toml", "policy.toml");
    let profile = path("profile.json");
    let plan = ["plan", "--profile", &profile, "--policy", &policy];
    assert_refused(&plan, 2, &["\"snapmigrate.policy/2\""]);
    // Another document of ours is not mistaken for the wanted one.
    assert_refused(
        &["runbook", &profile],
        2,
        &["\"snapmigrate.profile/1\"", "\"snapmigrate.plan/1\""],
    );
}

#[test]
fn an_edited_plan_is_refused() {
    let edited = text("plan.json").replacen("\"max_rounds\": 12", "\"max_rounds\": 13", 1);
    assert_ne!(edited, text("plan.json"), "the edit must hit something");
    let plan = written("edited", "plan.json", &edited);
    for command in ["check", "runbook", "policy", "execute"] {
        assert_refused(
            &[command, &plan],
            3,
            &["plan.json was changed", "never edited"],
        );
    }
}

#[test]
fn a_profile_and_a_policy_make_the_same_plan_twice() {
    let (profile, policy) = (path("profile.json"), path("policy.toml"));
    let at = "2026-11-02T12:00:00Z";
    let plan = || {
        let arguments = [
            "plan",
            "--profile",
            &profile,
            "--policy",
            &policy,
            "--at",
            at,
            "--seed",
            "3",
            "--json",
        ];
        let output = snapmigrate(&arguments);
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let first = plan();
    assert_eq!(first, plan(), "same seed, same bytes");
    let saved = scratch("twice").join("plan.json");
    std::fs::write(&saved, &first).expect("the target directory can be written");
    let runbook = snapmigrate(&["runbook", &saved.display().to_string()]);
    assert_eq!(
        runbook.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&runbook.stderr)
    );
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let commands: [&[&str]; 14] = [
        &["measure"],
        &["plan"],
        &["check"],
        &["runbook"],
        &["status"],
        &["verify"],
        &["journal", "export"],
        &["policy"],
        &["schema"],
        &["lab", "serve"],
        &["execute"],
        &["abort"],
        &["revert"],
        &["finalize"],
    ];
    for command in commands {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let output = snapmigrate(&arguments);
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(
            help.contains("Example"),
            "{command:?} shows no example: {help}"
        );
    }
}

#[test]
fn published_schemas_name_their_format() {
    for name in [
        "profile", "policy", "plan", "findings", "status", "report", "verify", "campaign", "fleet",
        "history",
    ] {
        let output = snapmigrate(&["schema", name]);
        let schema: serde_json::Value =
            serde_json::from_slice(&output.stdout).expect("a schema is JSON");
        assert_eq!(schema["$id"], format!("snapmigrate.{name}/1"));
        assert_eq!(schema["type"], "object", "{name}");
        assert_eq!(
            schema["properties"]["format"]["const"],
            format!("snapmigrate.{name}/1"),
            "{name}"
        );
    }
}

#[test]
fn a_refusing_endpoint_changes_nothing_and_says_so() {
    let arguments = [
        "measure",
        "--instance",
        "i-0abc",
        "--source-region",
        "us-east-1",
        "--endpoint-url",
        "http://127.0.0.1:9",
    ];
    let (code, stderr) = refused(&arguments);
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("nothing was changed"), "{stderr}");
    assert!(
        stderr.contains("credentials"),
        "without credentials it must say so: {stderr}"
    );
}
