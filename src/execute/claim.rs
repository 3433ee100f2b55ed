//! One executor: whoever creates the source's parameter in its account may run, from one machine and one
//! journal. Tags are only a hint, a lock beside the journal speaks for one machine; an atomic create decides
//! between machines. It must not decide anything else: what a host still obeys is the fence's epoch.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use snapmigrate_models::plan::Plan;
use snapmigrate_models::units::Timestamp;

use super::Ended;
use super::control::Control;
use super::failure::passes;
use crate::clock::Clock;
use crate::cloud::{Cloud, CloudError};

/// Pauses between attempts while the service cannot be reached.
const PAUSE_SECONDS: u64 = 10;

/// Who runs an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimant {
    /// The machine, as its operator knows it.
    pub host: String,
    /// What tells it from others of that name.
    pub machine: String,
    /// Its journal.
    pub journal: String,
}

/// What the parameter holds.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    format: String,
    plan: String,
    #[serde(flatten)]
    by: Claimant,
    since: Timestamp,
}

const FORMAT: &str = "snapmigrate.claim/1";

/// The claim of one executor.
pub(super) struct Holder<'a> {
    pub(super) source: &'a Cloud,
    pub(super) plan: &'a Plan,
    pub(super) clock: Clock,
    pub(super) claimant: &'a Claimant,
}

impl Holder<'_> {
    /// Claims the source, or says how the run ends instead. While the service does not answer there is no telling
    /// who else runs: it is asked until it does, or until the operator stops the run.
    ///
    /// # Errors
    /// [`CloudError`] that another attempt does not mend.
    pub(super) async fn claim(
        &self,
        control: &Control,
        notice: &dyn Fn(&str),
    ) -> Result<Option<Ended>, CloudError> {
        let mut told = String::new();
        loop {
            match self.once().await {
                Ok(None) => return Ok(None),
                Ok(Some(other)) => return Ok(Some(held(&self.plan.claim_parameter(), &other))),
                Err(error) if !passes(&error) => return Err(error),
                Err(_) if control.stop_asked() => return Ok(Some(unknown())),
                Err(error) => {
                    let why = error.to_string();
                    if told != why {
                        notice(&self.waits_for(&why));
                        told = why;
                    }
                    self.clock.sleep(Duration::from_secs(PAUSE_SECONDS)).await;
                }
            }
        }
    }

    fn waits_for(&self, why: &str) -> String {
        format!(
            "waiting for the claim of the source (SSM parameter {}), asked for every {PAUSE_SECONDS} s; nothing is done \
             before it is known who else runs: {why}",
            self.plan.claim_parameter()
        )
    }

    /// Whoever else holds it.
    async fn once(&self) -> Result<Option<String>, CloudError> {
        let name = self.plan.claim_parameter();
        let claim = Claim {
            format: FORMAT.to_owned(),
            plan: self.plan.digest.clone(),
            by: self.claimant.clone(),
            since: self.clock.now(),
        };
        let value = serde_json::to_string(&claim).unwrap_or_default();
        if self.source.create_parameter(&name, &value).await? {
            return Ok(None);
        }
        // Gone in between: as if it were somebody's, and the next run finds out.
        let found = self.source.parameter(&name).await?.unwrap_or_default();
        Ok((!self.is_ours(&found)).then_some(found))
    }

    fn is_ours(&self, value: &str) -> bool {
        serde_json::from_str::<Claim>(value).is_ok_and(|claim| claim.by == *self.claimant)
    }

    /// Gives it up when a run ended in order and the source serves. Behind the fence only one journal knows how
    /// things stand, so the claim stays, after a cutover for good. What cannot be given up now is taken up again from here, or taken over.
    pub(super) async fn release(&self) {
        let name = self.plan.claim_parameter();
        if let Ok(Some(value)) = self.source.parameter(&name).await
            && self.is_ours(&value)
        {
            drop(self.source.delete_parameter(&name).await);
        }
    }
}

/// Takes the claim from whoever holds it: the operator knows that nobody runs there.
///
/// # Errors
/// [`CloudError`].
pub async fn take_over(source: &Cloud, plan: &Plan) -> Result<(), CloudError> {
    source.delete_parameter(&plan.claim_parameter()).await
}

fn held(name: &str, value: &str) -> Ended {
    let by = serde_json::from_str::<Claim>(value).map_or_else(
        |_| "something else".to_owned(),
        |claim| {
            format!(
                "the executor on {} with the journal {}, since {},",
                claim.by.host,
                claim.by.journal,
                claim
                    .since
                    .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            )
        },
    );
    Ended::AwaitingOperator {
        reason: format!(
            "{by} holds this source (SSM parameter {name} of the source account); nothing was changed. Go on \
             there, or, when it certainly runs no more, run the same command here with its journal and --take-over"
        ),
    }
}

fn unknown() -> Ended {
    Ended::Stopped {
        reason: "stopped before it was known whether another executor runs; nothing was done, and a lease that \
                 runs ends by itself"
            .to_owned(),
    }
}
