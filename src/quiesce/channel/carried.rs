//! A way on which each message is a call of its own, such as SSM RunCommand: no connection, answers that may be lost.
//!
//! A request whose answer was lost is sent again as it was. The helper knows it by the channel's name and number and
//! says its first answer again, without doing anything twice.

use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Times a request is sent before its answer counts as lost.
const SENDINGS: u32 = 3;
/// Pause between them.
const PAUSE: Duration = Duration::from_secs(1);

/// Carries one line to the helper and brings its line back.
pub type Carrier = Arc<
    dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<String, CarryError>> + Send>>
        + Send
        + Sync,
>;

/// Why there is no line back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarryError {
    /// What happened.
    pub reason: String,
    /// Whether the helper may have got the line.
    pub sent: bool,
    /// Whether it may be better the next time.
    pub passes: bool,
}

pub(super) struct Carried {
    pub(super) name: String,
    pub(super) client: String,
    pub(super) carrier: Carrier,
}

impl Carried {
    pub(super) async fn roundtrip(
        &self,
        mut request: Value,
        sent: &mut bool,
    ) -> Result<Value, String> {
        request["client"] = Value::from(self.client.as_str());
        let line = request.to_string();
        let mut sending = 1;
        loop {
            // Whoever gives up waiting cannot know whether it arrived.
            let before = std::mem::replace(sent, true);
            let error = match (self.carrier)(line.clone()).await {
                Ok(answer) => return read(&answer),
                Err(error) => error,
            };
            *sent = before || error.sent;
            if sending == SENDINGS || !error.passes {
                return Err(error.reason);
            }
            sending += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn read(answer: &str) -> Result<Value, String> {
    serde_json::from_str(answer).map_err(|error| format!("the answer is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::{Channel, HostError};
    use super::*;
    use crate::quiesce::protocol::Status;
    use serde_json::json;
    use std::sync::Mutex;

    /// A channel whose carrier fails as told and then answers, and the lines that it carried.
    fn channel(errors: Vec<CarryError>) -> (Channel, Arc<Mutex<Vec<Value>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (seen, errors) = (Arc::clone(&lines), Mutex::new(errors));
        let carrier: Carrier = Arc::new(move |line| {
            let request: Value = serde_json::from_str(&line).unwrap();
            seen.lock().unwrap().push(request.clone());
            let mut errors = errors.lock().unwrap();
            let error = (!errors.is_empty()).then(|| errors.remove(0));
            Box::pin(async move {
                let status = json!({"epoch": null, "fence": "none", "lease_remaining_seconds": null, "frozen": false, "database": "running"});
                error.map_or_else(
                    || Ok(json!({"id": request["id"], "ok": status}).to_string()),
                    Err,
                )
            })
        });
        (
            Channel::carried("ssm:i-1".into(), "me".into(), carrier),
            lines,
        )
    }

    fn error(sent: bool, passes: bool) -> CarryError {
        CarryError {
            reason: "gone".into(),
            sent,
            passes,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_asked_for_by_the_same_request() {
        let (channel, lines) = channel(vec![error(true, true), error(false, true)]);
        channel.call(Status {}).await.unwrap();
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 3);
        assert!(
            lines
                .iter()
                .all(|line| line["client"] == "me" && line["id"] == lines[0]["id"])
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_said_whether_anything_may_have_arrived() {
        for (errors, sent) in [
            (vec![error(false, false)], false),
            (
                vec![error(false, true), error(true, true), error(false, true)],
                true,
            ),
        ] {
            let (channel, _) = channel(errors);
            let lost = channel.call(Status {}).await.unwrap_err();
            assert!(
                matches!(lost, HostError::ChannelLost { sent: s, .. } if s == sent),
                "{lost}"
            );
        }
    }
}
