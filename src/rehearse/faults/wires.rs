//! The ways to the lab with a meddler on them.
//!
//! It carries requests or loses them as the meddler says, and must not know which request means what.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use snapmigrate_lab::Lab;

use super::meddler::{Fate, Meddler, Way};
use crate::cloud::Wire;
use crate::quiesce::channel::{Channel, Simulated};

/// How long a call to a host hangs that is never answered: longer than anyone waits.
const NEVER: std::time::Duration = std::time::Duration::from_secs(86_400);

/// The services of AWS, disturbed.
pub fn services(lab: &Lab, meddler: &Meddler) -> Wire {
    let (lab, meddler) = (lab.clone(), meddler.clone());
    Wire::through(move |request| {
        let (lab, meddler) = (lab.clone(), meddler.clone());
        Box::pin(async move {
            match meddler.fate(Way::Service, &called(&request)) {
                Fate::Passes => Some(lab.http(request).await),
                Fate::Hangs(time) => {
                    tokio::time::sleep(time).await;
                    Some(lab.http(request).await)
                }
                Fate::IsLost => None,
                Fate::LosesItsAnswer => {
                    lab.http(request).await;
                    None
                }
                Fate::DiesBefore => pending().await,
                Fate::DiesAfter => {
                    lab.http(request).await;
                    meddler.kill();
                    pending().await
                }
            }
        })
    })
}

/// The helper on a host, disturbed.
pub fn host(lab: &Lab, instance: &str, meddler: &Meddler) -> Channel {
    let (lab, instance, meddler) = (lab.clone(), instance.to_owned(), meddler.clone());
    let simulated: Simulated = Arc::new(move |request| {
        let (lab, instance, meddler) = (lab.clone(), instance.clone(), meddler.clone());
        Box::pin(async move { carried(&lab, &instance, &meddler, request).await })
    });
    Channel::in_process(simulated)
}

async fn carried(lab: &Lab, instance: &str, meddler: &Meddler, request: Value) -> Value {
    let name = format!("{} on {instance}", request["op"].as_str().unwrap_or("?"));
    match meddler.fate(Way::Host, &name) {
        Fate::Passes => lab.host(instance, request).await,
        Fate::Hangs(time) => {
            tokio::time::sleep(time).await;
            lab.host(instance, request).await
        }
        Fate::IsLost => silence().await,
        Fate::LosesItsAnswer => {
            lab.host(instance, request).await;
            silence().await
        }
        Fate::DiesBefore => pending().await,
        Fate::DiesAfter => {
            lab.host(instance, request).await;
            meddler.kill();
            pending().await
        }
    }
}

/// No answer: the caller's own time limit ends the wait.
async fn silence() -> Value {
    tokio::time::sleep(NEVER).await;
    json!({})
}

/// What a request asks, for people: the action of a form, or method and path.
fn called(request: &Request<Bytes>) -> String {
    let form = request.body().split(|byte| *byte == b'&');
    let action = form
        .filter_map(|field| field.strip_prefix(b"Action="))
        .next();
    action.map_or_else(
        || format!("{} {}", request.method(), request.uri().path()),
        |action| String::from_utf8_lossy(action).into_owned(),
    )
}
