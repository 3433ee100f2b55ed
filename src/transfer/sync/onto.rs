//! A snapshot on the other side: what changed between two snapshots, put onto a copy of the first.
//!
//! ```text
//! parent checked -> started or found again -> blocks read, checked, put -> completed with its aggregate -> read back
//! ```
//!
//! Blocks that only the first snapshot holds are put as zeros: the API replaces blocks and removes none (EBS
//! direct APIs, PutSnapshotBlock). Nothing of it needs a volume, a device or a helper.

mod parent;
mod started;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snapmigrate_models::format::Document;
use snapmigrate_models::ids::SnapshotId;
use snapmigrate_models::sync::{
    ReadBackMode, SyncAction, SyncBlocks, SyncCalls, SyncReport, SyncSeconds,
};

use super::SyncError;
use super::bitmap::Bitmap;
use super::calls::Calls;
use super::index::Index;
use super::patience::patiently;
use super::progress::Progress;
use super::puts::Puts;
use super::source::Source;
use super::start::readable;
use super::state::{Phase, State};
use super::sweep::{Sweep, Swept};
use crate::cloud::{Cloud, ListedPair};
use work::{ReadAgain, Writing};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct OntoRequest {
    /// Snapshot at the source whose content `onto` holds.
    pub from: SnapshotId,
    /// Snapshot at the source whose content is wanted.
    pub to: SnapshotId,
    /// Snapshot at the target that the new one is based on.
    pub onto: SnapshotId,
    /// Where the record is kept.
    pub state_dir: PathBuf,
    /// Whether the blocks are read back from the completed snapshot.
    pub read_back: bool,
    /// Listings at once; one relies on nothing but the pages themselves.
    pub listers: u64,
    /// How long nothing may be heard.
    pub patience: Duration,
    /// Whether the record of an earlier attempt is thrown away.
    pub forget: bool,
}

/// The two sides, and who is told.
struct Run<'a> {
    source: &'a Cloud,
    target: &'a Cloud,
    request: &'a OntoRequest,
    watch: &'a mut dyn FnMut(&Progress),
}

/// Makes a snapshot at the target that holds what `to` holds, or takes up where an interrupted run ended.
/// Running it again after it is done changes nothing and reports the same snapshot, also without its record: then it is
/// found by its tags and its token, and read in full before it is believed.
///
/// # Errors
/// [`SyncError`]; [`SyncError::WrongBase`] when `onto` does not hold what `from` holds. What was put so far is
/// kept by the service for a day, and the same request goes on from there.
pub async fn onto(
    (source, target): (&Cloud, &Cloud),
    request: &OntoRequest,
    watch: &mut dyn FnMut(&Progress),
) -> Result<SyncReport, SyncError> {
    let begun = Instant::now();
    let mut run = Run {
        source,
        target,
        request,
        watch,
    };
    let size_gib = parent::check(&run).await?;
    let started = started::start(&run, size_gib).await?;
    let (mut state, snapshot) = (started.state, started.snapshot);
    let proves = request.read_back || started.adopted;
    let resumed = state.done()?.count();
    let calls = run.calls(source, Some(&request.from), &request.to);
    let puts = Arc::new(Puts::new(target, snapshot.clone(), request.patience));
    let state_shared = Arc::new(state);
    let into = (!started.adopted).then(|| Arc::clone(&puts));
    let swept = run.put(&state_shared, &calls, into).await?;
    state = taken_back(state_shared);
    let (changed, emptied) = (swept.index.changed().clone(), swept.index.emptied());
    if !started.adopted {
        run.complete(&mut state, &snapshot, &changed).await?;
    }
    let mut state = Arc::new(state);
    let read_back = match proves {
        true => run.read_again(&state, &snapshot, &changed).await?,
        false => 0,
    };
    if started.adopted {
        let mut read = taken_back(state);
        read.enter(Phase::Complete, None)?;
        state = Arc::new(read);
    }
    let tally = calls.tally();
    Ok(SyncReport {
        format: SyncReport::FORMAT.to_owned(),
        action: SyncAction::Sync,
        from: Some(request.from.clone()),
        to: request.to.clone(),
        target: snapshot.to_string(),
        onto: Some(request.onto.clone()),
        method: "sha256".to_owned(),
        read_back: if proves {
            ReadBackMode::Service
        } else {
            ReadBackMode::Off
        },
        volume_blocks: changed.bound(),
        blocks: SyncBlocks {
            changed: changed.count(),
            only_in_first: emptied,
            written: changed.count(),
            read_back,
            resumed,
            cleared: 0,
        },
        proved: proves && read_back == changed.count(),
        digest: state.aggregate(&changed)?,
        seconds: SyncSeconds {
            listing: swept.listing_seconds,
            total: begun.elapsed().as_secs_f64(),
        },
        calls: SyncCalls {
            pages: swept.pages,
            blocks_read: tally.reads,
            hedged: tally.hedges,
            repeated: tally.repeats + puts.repeats(),
            corrupt: swept.corrupt,
            throttled_by_snapshot: calls.snapshot.refusals() + puts.snapshot.refusals(),
            throttled_by_account: calls.account.refusals() + puts.account.refusals(),
            in_flight_max: swept.in_flight_max,
        },
        undo: None,
    })
}

impl Run<'_> {
    fn calls(&self, cloud: &Cloud, first: Option<&SnapshotId>, second: &SnapshotId) -> Arc<Calls> {
        let pair = ListedPair {
            first: first.cloned(),
            second: second.clone(),
        };
        Arc::new(Calls::new(cloud, pair, self.request.patience))
    }

    async fn put(
        &mut self,
        state: &Arc<State>,
        calls: &Arc<Calls>,
        puts: Option<Arc<Puts>>,
    ) -> Result<Swept, SyncError> {
        let index = Index::new(state.done()?);
        let work = Writing::new(Arc::clone(state), puts);
        let source = Source::listed(calls, index, self.request.listers);
        let sweep = Sweep::new(Arc::clone(calls), source, Arc::new(work), self.watch);
        let swept = sweep.run().await?;
        match swept.index.stray() {
            None => Ok(swept),
            Some(stray) => Err(SyncError::Integrity(format!(
                "block {stray} was put by an earlier run but the listing does not show it: nothing is \
                 claimed; begin afresh with --forget"
            ))),
        }
    }

    async fn complete(
        &self,
        state: &mut State,
        snapshot: &SnapshotId,
        changed: &Bitmap,
    ) -> Result<(), SyncError> {
        let asked_before = state.header.phase == Phase::Completing;
        if state.header.phase != Phase::Complete {
            state.enter(Phase::Completing, None)?;
            let aggregate = state.linear(changed)?;
            let direct = self.target.direct();
            let call = || direct.complete(snapshot, changed.count(), &aggregate);
            match patiently(self.request.patience, call).await {
                // The call of the interrupted run got through: it takes no second one.
                Err(SyncError::Cloud(error))
                    if asked_before && error.code.starts_with("ValidationException") => {}
                asked => asked?,
            }
        }
        started::completed(self.target, snapshot, self.request.patience).await?;
        state.enter(Phase::Complete, None)
    }

    /// Reads every block that was put from the completed snapshot; how many are what they must be.
    async fn read_again(
        &mut self,
        state: &Arc<State>,
        snapshot: &SnapshotId,
        changed: &Bitmap,
    ) -> Result<u64, SyncError> {
        let calls = self.calls(self.target, None, snapshot);
        let index = Index::only(changed.clone());
        let work = Arc::new(ReadAgain::new(Arc::clone(state)));
        let source = Source::listed(&calls, index, self.request.listers);
        let swept = Sweep::new(calls, source, Arc::clone(&work), self.watch)
            .run()
            .await?;
        // What the service does not list reads as zeros.
        for block in changed.iter() {
            if !swept.index.changed().contains(block) {
                work.must_be_zeros(block)?;
            }
        }
        Ok(changed.count())
    }

    /// Size in GiB and the rest of what is known of a snapshot that can be read.
    async fn size_gib(cloud: &Cloud, snapshot: &SnapshotId) -> Result<u64, SyncError> {
        let found = readable(cloud, std::slice::from_ref(snapshot)).await?;
        Ok(found.first().map_or(0, |facts| facts.size_gib))
    }
}

fn taken_back(state: Arc<State>) -> State {
    Arc::into_inner(state).expect("the sweep has ended and let its work go")
}
