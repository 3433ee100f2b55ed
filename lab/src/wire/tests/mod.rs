//! Drives the one function of the wire with requests written by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cloudwatch;
mod command;
mod ebs;
mod ebs_read;
mod gate;
mod services;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;

use crate::{Caller, Lab, Scenario, ServeOptions};

pub const ACCOUNT: &str = "111111111111";
pub const OTHER: &str = "222222222222";
pub const REGION: &str = "us-east-1";
pub const VOLUME: &str = "vol-0da7a000000000001";

/// A directory that goes away with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("snapmigrate-lab-wire-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An empty lab with byte-holding snapshots.
pub fn bytes_lab(quota: bool) -> (Lab, Scratch) {
    let scratch = Scratch::new();
    let options = ServeOptions {
        dir: scratch.0.clone(),
        scenario: None,
        latency_ms: 0,
        quota,
        time_scale: 1.0,
        seed: 7,
        loop_devices: false,
        traced: false,
    };
    (Lab::open(&options).unwrap(), scratch)
}

/// A lab in process with one traced volume of which 1 GiB is written.
pub fn traced_lab(extra: &str) -> Lab {
    let text = format!(
        r#"format = "snapmigrate.scenario/1"
name = "wire"
seed = 7
start = "2026-11-02T08:00:00Z"
[source]
account = "{ACCOUNT}"
region = "{REGION}"
zone = "us-east-1a"
instance = "i-0db00000000000001"
[target]
account = "{OTHER}"
region = "eu-west-1"
zone = "eu-west-1a"
instance = "i-0db00000000000002"
[[volumes]]
id = "{VOLUME}"
device = "/dev/sdf"
size_gib = 2
type = "gp3"
written_gib = 1
{extra}"#
    );
    Lab::from_scenario(&Scenario::parse(&text).unwrap(), 7).unwrap()
}

pub fn caller(service: &str) -> Caller {
    let text = str::to_owned;
    Caller {
        account: text(ACCOUNT),
        region: text(REGION),
        service: text(service),
    }
}

/// A signed request of an account to a service.
pub fn signed(account: &str, service: &str, method: &str, uri: &str) -> http::request::Builder {
    let scope = format!("{account}/20261102/{REGION}/{service}/aws4_request");
    let header = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", header)
}

pub async fn send(
    lab: &Lab,
    builder: http::request::Builder,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    lab.http(builder.body(body.into()).unwrap()).await
}

/// A form request of `ACCOUNT`; the answer's status and text.
pub async fn query(lab: &Lab, service: &str, form: &str) -> (u16, String) {
    let request = signed(ACCOUNT, service, "POST", "/").header(
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    );
    let response = send(lab, request, form.to_owned()).await;
    (
        response.status().as_u16(),
        String::from_utf8(response.body().to_vec()).unwrap(),
    )
}

pub fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

/// The exception and reason of an EBS direct error.
pub fn exception(response: &Response<Bytes>) -> (u16, String, String) {
    let body = json(response);
    let reason = body["Reason"].as_str().unwrap_or_default().to_owned();
    let kind = response.headers()["x-amzn-errortype"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(body["__type"], kind.as_str());
    (response.status().as_u16(), kind, reason)
}
