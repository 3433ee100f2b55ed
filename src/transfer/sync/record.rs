//! Whether a request fits what an earlier one left: taken up, replaced, or refused.

use std::path::Path;

use snapmigrate_models::format::Document;
use snapmigrate_models::ids::SnapshotId;

use super::SyncError;
use super::start::Request;
use super::state::{Header, Phase, State};
use super::target::Target;

/// The record to work with: a new one, or that of an interrupted run of the same request.
///
/// # Errors
/// [`SyncError::State`], [`SyncError::WrongBase`].
pub fn state(request: &Request, target: &Target, blocks: u64) -> Result<State, SyncError> {
    let header = Header {
        format: Header::FORMAT.to_owned(),
        from: request.from.clone(),
        to: request.to.clone(),
        volume_blocks: blocks,
        target: request.target.display().to_string(),
        identity: target.identity().to_owned(),
        found_bytes: target.found_bytes(),
        undo: request.undo,
        phase: Phase::Running,
        seal: None,
        attempt: 0,
    };
    let dir = &request.state_dir;
    let found = match request.forget {
        true => None,
        false => State::found(dir)?,
    };
    match found {
        Some(found) if continues(&found, &header, target, dir)? => {
            let mut state = State::open(dir, found)?;
            state.enter(Phase::Running, None)?;
            Ok(state)
        }
        _ => {
            must_have_base(request, target)?;
            State::begin(dir, header)
        }
    }
}

/// Whether `found` is the record of the same request, to be taken up; an error when it forbids this one.
fn continues(
    found: &Header,
    wanted: &Header,
    target: &Target,
    dir: &Path,
) -> Result<bool, SyncError> {
    let refuse = |what: String| SyncError::State {
        dir: dir.to_owned(),
        what,
    };
    let same_target = found.identity == wanted.identity;
    let same = same_target && (&found.from, &found.to) == (&wanted.from, &wanted.to);
    match found.phase {
        Phase::Undoing => Err(refuse(format!(
            "says that an undo of {} was interrupted: run sync --undo again first",
            found.target
        ))),
        Phase::Running | Phase::Completing if same => Ok(true),
        Phase::Running | Phase::Completing => Err(refuse(format!(
            "is of an unfinished sync {} of {} ({}): finish that with the same command, take it back with \
             --undo, or give it up with --forget",
            pair(found),
            found.target,
            found.identity
        ))),
        Phase::Complete | Phase::Undone if !same_target => Ok(false),
        Phase::Complete if same => {
            must_be_untouched(found, &found.to, target)?;
            Ok(true)
        }
        Phase::Complete => holds(found, Some(&found.to), wanted, target).map(|()| false),
        Phase::Undone => holds(found, found.from.as_ref(), wanted, target).map(|()| false),
    }
}

/// A delta must start from what the record says the target holds, untouched since.
fn holds(
    found: &Header,
    held: Option<&SnapshotId>,
    wanted: &Header,
    target: &Target,
) -> Result<(), SyncError> {
    let (Some(held), Some(base)) = (held, &wanted.from) else {
        return Ok(());
    };
    if held != base {
        return Err(SyncError::WrongBase {
            path: target.path().to_owned(),
            snapshot: base.clone(),
            found: format!(
                "its record says that it holds {held}: name that with --from, or --forget the record"
            ),
        });
    }
    must_be_untouched(found, held, target)
}

/// The target is as the recorded run left it, as far as its seal can tell: not after another boot.
///
/// # Errors
/// [`SyncError::WrongBase`].
pub fn must_be_untouched(
    found: &Header,
    held: &SnapshotId,
    target: &Target,
) -> Result<(), SyncError> {
    let boot = |seal: &str| {
        let (_, of) = seal.split_once(" since boot ")?;
        of.split(',').next().map(str::to_owned)
    };
    match (&found.seal, target.seal()) {
        (Some(then), Some(now)) if *then != now && boot(then) == boot(&now) => {
            Err(SyncError::WrongBase {
                path: target.path().to_owned(),
                snapshot: held.clone(),
                found: format!(
                    "it was written to since or detached ({then}, now {now}); a device once mounted is no base for a \
                     delta: sync the whole snapshot, or verify it and --forget the record"
                ),
            })
        }
        _ => Ok(()),
    }
}

/// An empty or absent file cannot hold what a delta starts from.
fn must_have_base(request: &Request, target: &Target) -> Result<(), SyncError> {
    match &request.from {
        Some(from) if target.found_bytes() == 0 => Err(SyncError::WrongBase {
            path: request.target.clone(),
            snapshot: from.clone(),
            found: "it is empty; sync the whole snapshot first, without --from".to_owned(),
        }),
        _ => Ok(()),
    }
}

fn pair(header: &Header) -> String {
    match &header.from {
        Some(from) => format!("from {from} to {}", header.to),
        None => format!("to {}", header.to),
    }
}
