//! The ways to the lab with a meddler on them.
//!
//! It carries requests or loses them as the meddler says, and must not know which request means what.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use snapmigrate_lab::Lab;

use super::meddler::{Fate, Meddler, Way};
use super::places::Moment;
use crate::cloud::Wire;
use crate::quiesce::channel::{Channel, Simulated};

/// How long a call to a host hangs that is never answered: longer than anyone waits.
const NEVER: Duration = Duration::from_secs(86_400);

/// The services of AWS, disturbed.
pub fn services(lab: &Lab, meddler: &Meddler) -> Wire {
    let (lab, meddler) = (lab.clone(), meddler.clone());
    Wire::through(move |request| {
        let (lab, meddler) = (lab.clone(), meddler.clone());
        Box::pin(async move {
            let name = called(&request);
            stranger(&lab, &meddler);
            let deliver = move || {
                let (lab, request) = (lab.clone(), request.clone());
                async move { lab.http(request).await }
            };
            carried(&meddler, Way::Service, &name, deliver).await
        })
    })
}

/// The helper on a host, disturbed.
pub fn host(lab: &Lab, instance: &str, meddler: &Meddler) -> Channel {
    let (lab, instance, meddler) = (lab.clone(), instance.to_owned(), meddler.clone());
    let simulated: Simulated = Arc::new(move |request: Value| {
        let (lab, instance, meddler) = (lab.clone(), instance.clone(), meddler.clone());
        Box::pin(async move {
            let name = asked(&request, &instance);
            let deliver = move || {
                let (lab, instance, request) = (lab.clone(), instance.clone(), request.clone());
                async move { lab.host(&instance, request).await }
            };
            match carried(&meddler, Way::Host, &name, deliver).await {
                Some(answer) => answer,
                None => silence().await,
            }
        })
    });
    Channel::in_process(simulated)
}

/// The answer, unless the meddler keeps it.
async fn carried<T, F>(
    meddler: &Meddler,
    way: Way,
    name: &str,
    deliver: impl Fn() -> F + Send + 'static,
) -> Option<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    match meddler.fate(way, name) {
        Fate::Passes => Some(deliver().await),
        Fate::Hangs(time) => {
            tokio::time::sleep(time).await;
            Some(deliver().await)
        }
        Fate::Pauses(Moment::Before, time) => {
            stand_still(time).await;
            Some(deliver().await)
        }
        Fate::Pauses(_, time) => {
            let answer = deliver().await;
            stand_still(time).await;
            Some(answer)
        }
        Fate::IsLost => None,
        Fate::LosesItsAnswer => {
            deliver().await;
            None
        }
        Fate::IsLate(time) => {
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                deliver().await;
            });
            None
        }
        Fate::Dies(moment) => dying(meddler, moment, deliver).await,
    }
}

/// A death loses what no entry of the journal records: whether the answer came or not.
async fn dying<T, F: Future<Output = T>>(
    meddler: &Meddler,
    moment: Moment,
    deliver: impl Fn() -> F,
) -> Option<T> {
    if moment == Moment::Before {
        return pending().await;
    }
    let answer = deliver().await;
    meddler.kill();
    if moment == Moment::During {
        return pending().await;
    }
    // Death comes before the executor looks at what has arrived.
    tokio::task::yield_now().await;
    Some(answer)
}

/// All of the executor's timers run out at once when it goes on: the world went on without it.
async fn stand_still(time: Duration) {
    tokio::time::advance(time).await;
}

fn stranger(lab: &Lab, meddler: &Meddler) {
    let struck = meddler.stranger().map(|draw| lab.stranger_strikes(draw));
    if matches!(struck, Some(Ok(Some(_)))) {
        meddler.struck();
    }
}

/// No answer: the caller's own time limit ends the wait.
async fn silence() -> Value {
    tokio::time::sleep(NEVER).await;
    json!({})
}

/// What a host is asked, for people.
pub fn asked(request: &Value, instance: &str) -> String {
    format!("{} on {instance}", request["op"].as_str().unwrap_or("?"))
}

/// What a request asks, for people: the action of a form, the target of JSON, the operation of a path, or method and
/// path.
pub fn called(request: &Request<Bytes>) -> String {
    let form = request.body().split(|byte| *byte == b'&');
    let action = form
        .filter_map(|field| field.strip_prefix(b"Action="))
        .next();
    if let Some(action) = action {
        return String::from_utf8_lossy(action).into_owned();
    }
    let target = request.headers().get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    let path = request.uri().path();
    let operation = target
        .and_then(|target| target.rsplit_once('.'))
        .or_else(|| path.rsplit_once("/operation/"));
    operation.map_or_else(
        || format!("{} {path}", request.method()),
        |(_, operation)| operation.to_owned(),
    )
}
