//! Deletes snapshots and volumes of ours. Must not decide which.
//!
//! One that is not found may be gone or not be seen yet, and that a describe has shown it says nothing about the next
//! request (EC2 API, eventual consistency). So it is believed gone only when it stayed so for a while. For as long a trouble
//! that passes is borne: what is discarded behind the fence may have no later attempt.

use std::time::Duration;

use snapmigrate_models::ids::{SnapshotId, VolumeId};
use snapmigrate_models::inventory::VolumeFacts;

use super::Context;
use crate::clock::Clock;
use crate::cloud::{Cloud, CloudError};
use crate::execute::adopt::LAG_SECONDS;
use crate::execute::failure::{Failure, is_not_found, passes};

/// Pause before one that was not found is deleted again.
const PAUSE: Duration = Duration::from_secs(5);

/// Deletes snapshots.
///
/// # Errors
/// A refusal, or a trouble that did not pass; the others are deleted by the next attempt.
pub(super) async fn discard<'a>(
    cloud: &Cloud,
    clock: Clock,
    snapshots: impl IntoIterator<Item = &'a SnapshotId>,
) -> Result<(), Failure> {
    let delete = async |snapshot: &&SnapshotId| cloud.delete_snapshot(snapshot).await;
    delete_all(clock, snapshots.into_iter().collect(), delete).await
}

impl Context<'_> {
    /// Detaches and deletes volumes of the target; `waiting` is said while they are detached.
    pub(super) async fn remove_volumes(
        &self,
        volumes: &[VolumeFacts],
        waiting: &str,
    ) -> Result<(), Failure> {
        let target = &self.sides.target;
        for facts in volumes.iter().filter(|facts| facts.attached_to.is_some()) {
            match target.detach_volume(&facts.volume).await {
                Err(error) if !is_not_found(&error) => return Err(error.into()),
                _ => {}
            }
        }
        let ids: Vec<VolumeId> = volumes.iter().map(|facts| facts.volume.clone()).collect();
        if !ids.is_empty() {
            let detached = |v: &VolumeFacts| v.state == "available";
            self.await_volumes(&ids, waiting, detached).await?;
        }
        let delete = async |volume: &VolumeId| target.delete_volume(volume).await;
        delete_all(self.clock, ids, delete).await
    }
}

async fn delete_all<T>(
    clock: Clock,
    mut left: Vec<T>,
    delete: impl AsyncFn(&T) -> Result<(), CloudError>,
) -> Result<(), Failure> {
    let since = clock.stopwatch();
    loop {
        let (mut again, mut trouble) = (Vec::new(), None);
        for item in left {
            match delete(&item).await {
                Ok(()) => {}
                Err(error) if is_not_found(&error) => again.push(item),
                Err(error) if passes(&error) => {
                    again.push(item);
                    trouble = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if again.is_empty() || since.seconds() >= LAG_SECONDS {
            return trouble.map_or(Ok(()), |error| Err(error.into()));
        }
        left = again;
        clock.sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use snapmigrate_models::step::FailureClass;

    use super::*;

    fn refused(code: &str) -> CloudError {
        let class = match code {
            "InternalError" => FailureClass::Unknown,
            _ => FailureClass::Permanent,
        };
        CloudError {
            class,
            operation: "DeleteSnapshot",
            subject: "snap-0aaaaaaaaaaaaaaa1".into(),
            code: code.into(),
            message: "so".into(),
        }
    }

    /// What came of two, the second of which is answered by `second` at each of its tries, and how many those were.
    async fn deleted(second: impl Fn(u32) -> Result<(), CloudError>) -> (bool, u32) {
        let tries = Cell::new(0);
        let delete = async |item: &u32| match item {
            2 => {
                tries.set(tries.get() + 1);
                second(tries.get())
            }
            _ => Ok(()),
        };
        let clock = Clock::paused(chrono::DateTime::UNIX_EPOCH);
        let done = delete_all(clock, vec![1, 2], delete).await;
        (done.is_ok(), tries.get())
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_not_seen_yet_is_deleted_when_it_is() {
        let unseen = |tries| match tries {
            ..4 => Err(refused("InvalidSnapshot.NotFound")),
            _ => Ok(()),
        };
        assert_eq!(deleted(unseen).await, (true, 4));
        assert_eq!(deleted(|_| Ok(())).await, (true, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_stays_unseen_is_gone_and_a_refusal_is_told_at_once() {
        let (done, tries) = deleted(|_| Err(refused("InvalidSnapshot.NotFound"))).await;
        assert!(done && f64::from(tries) > LAG_SECONDS / PAUSE.as_secs_f64());
        let refusal = deleted(|_| Err(refused("InvalidSnapshot.InUse"))).await;
        assert_eq!(refusal, (false, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trouble_that_passes_is_borne_for_a_while() {
        let passing = |tries| match tries {
            ..9 => Err(refused("InternalError")),
            _ => Ok(()),
        };
        assert_eq!(deleted(passing).await, (true, 9));
        let (done, tries) = deleted(|_| Err(refused("InternalError"))).await;
        assert!(!done && tries > 9);
    }
}
