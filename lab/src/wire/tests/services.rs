//! STS and SSM.

use super::*;

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split_once(from).unwrap().1.split_once(to).unwrap().0
}

#[tokio::test(start_paused = true)]
async fn an_assumed_role_calls_as_its_account() {
    let lab = traced_lab("");
    let role = "arn%3Aaws%3Aiam%3A%3A222222222222%3Arole%2Fpath%2Fmover";
    let form =
        format!("Action=AssumeRole&RoleArn={role}&RoleSessionName=night&DurationSeconds=900");
    let (status, text) = query(&lab, "sts", &form).await;
    assert_eq!(status, 200, "{text}");
    assert!(
        text.contains("<Expiration>2026-11-02T08:15:00Z</Expiration>"),
        "{text}"
    );
    let key = between(&text, "<AccessKeyId>", "<");
    let token = between(&text, "<SessionToken>", "<").to_owned();
    let request = signed(key, "sts", "POST", "/").header("x-amz-security-token", token);
    let answer = send(&lab, request, "Action=GetCallerIdentity&Version=2011-06-15").await;
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(text.contains("<Account>222222222222</Account>"), "{text}");
    assert!(
        text.contains("<Arn>arn:aws:sts::222222222222:assumed-role/mover/night</Arn>"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn bad_roles_and_durations_are_refused() {
    let lab = traced_lab("");
    let good = "RoleArn=arn:aws:iam::222222222222:role/x&RoleSessionName=ab";
    for bad in [
        "RoleArn=arn:aws:iam::222:role/x&RoleSessionName=ab",
        "RoleArn=arn:aws:iam::222222222222:user/x&RoleSessionName=ab",
        "RoleSessionName=ab",
        "RoleArn=arn:aws:iam::222222222222:role/x",
        &format!("{good}&DurationSeconds=899"),
        &format!("{good}&DurationSeconds=x"),
    ] {
        let (status, text) = query(&lab, "sts", &format!("Action=AssumeRole&{bad}")).await;
        assert_eq!(status, 400, "{bad}");
        assert!(
            text.contains("<Type>Sender</Type><Code>ValidationError</Code>"),
            "{text}"
        );
    }
}

pub(super) async fn ssm(lab: &Lab, account: &str, action: &str, body: &str) -> (u16, Value) {
    let request = signed(account, "ssm", "POST", "/")
        .header("x-amz-target", format!("AmazonSSM.{action}"))
        .header("content-type", "application/x-amz-json-1.1");
    let response = send(lab, request, body.to_owned()).await;
    (response.status().as_u16(), json(&response))
}

#[tokio::test(start_paused = true)]
async fn a_parameter_is_created_once() {
    let lab = traced_lab("");
    let body = r#"{"Name":"/lock","Value":"me","Type":"String"}"#;
    assert_eq!(
        ssm(&lab, ACCOUNT, "PutParameter", body).await.1["Version"],
        1
    );
    let (status, error) = ssm(&lab, ACCOUNT, "PutParameter", body).await;
    assert_eq!(
        (status, error["__type"].as_str()),
        (400, Some("ParameterAlreadyExists"))
    );
    let over = r#"{"Name":"/lock","Value":"you","Overwrite":true}"#;
    assert_eq!(
        ssm(&lab, ACCOUNT, "PutParameter", over).await.1["Version"],
        2
    );
    let (_, got) = ssm(&lab, ACCOUNT, "GetParameter", r#"{"Name":"/lock"}"#).await;
    assert_eq!(got["Parameter"]["Value"], "you");
    assert_eq!(
        got["Parameter"]["ARN"],
        "arn:aws:ssm:us-east-1:111111111111:parameter/lock"
    );
    assert_eq!(
        ssm(&lab, OTHER, "GetParameter", r#"{"Name":"/lock"}"#)
            .await
            .0,
        400
    );
    assert_eq!(
        ssm(&lab, ACCOUNT, "DeleteParameter", r#"{"Name":"/lock"}"#)
            .await
            .0,
        200
    );
    let (_, gone) = ssm(&lab, ACCOUNT, "DeleteParameter", r#"{"Name":"/lock"}"#).await;
    assert_eq!(gone["__type"], "ParameterNotFound");
}

#[tokio::test(start_paused = true)]
async fn bad_ssm_requests_are_refused() {
    let lab = traced_lab("");
    for (action, body, code) in [
        ("PutParameter", r#"{"Value":"x"}"#, "ValidationException"),
        (
            "PutParameter",
            r#"{"Name":"x","Value":""}"#,
            "ValidationException",
        ),
        (
            "PutParameter",
            r#"{"Name":"x","Value":"x","Type":"Blob"}"#,
            "UnsupportedParameterType",
        ),
        ("GetParameter", "not json", "SerializationException"),
        ("ListThings", "{}", "UnknownOperationException"),
    ] {
        assert_eq!(
            ssm(&lab, ACCOUNT, action, body).await.1["__type"],
            code,
            "{action} {body}"
        );
    }
}
