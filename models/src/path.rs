//! Which transfer paths apply between two places, which of them can be run, and why not the others.
//!
//! It must not know time, money or chance.

use crate::ids::VolumeId;
use crate::inventory::VolumeFacts;
use crate::plan::Place;
use crate::policy::{Policy, TransferPath};

/// One path considered for one volume.
#[derive(Clone, Debug, PartialEq)]
pub struct PathOption {
    /// Volume.
    pub volume: VolumeId,
    /// Path.
    pub path: TransferPath,
    /// It leads to the target at all.
    pub applies: bool,
    /// It applies, this version can run it, and the policy allows it.
    pub available: bool,
    /// Each round would first be copied under a customer managed key in the source account.
    pub rekeyed: bool,
    /// Why, or why not.
    pub reason: String,
}

/// The order in which paths are preferred. `direct` comes first because it is available only where the
/// policy asks for it by name.
pub const PREFERRED: [TransferPath; 4] = [
    TransferPath::Direct,
    TransferPath::Share,
    TransferPath::Copy,
    TransferPath::Clone,
];

/// All paths, in the order in which they are shown.
pub const PATHS: [TransferPath; 4] = [
    TransferPath::Share,
    TransferPath::Copy,
    TransferPath::Direct,
    TransferPath::Clone,
];

/// Every path for `volume`, with the reason for or against it.
#[must_use]
pub fn options(
    volume: &VolumeFacts,
    source: &Place,
    target: &Place,
    policy: &Policy,
) -> Vec<PathOption> {
    let one = |path| {
        let rekeyed =
            path == TransferPath::Copy && source.account != target.account && default_key(volume);
        let (applies, why) = applies(path, volume, source, target);
        let (available, reason) = match available(path, policy) {
            Err(refusal) if applies => (false, format!("{why}; {refusal}")),
            _ => (applies && !rekeyed, why.to_owned()),
        };
        PathOption {
            rekeyed,
            volume: volume.volume.clone(),
            path,
            applies,
            available,
            reason,
        }
    };
    PATHS.into_iter().map(one).collect()
}

/// The volume is encrypted with the account's default key, which can't be shared.
#[must_use]
pub fn default_key(volume: &VolumeFacts) -> bool {
    volume.encrypted
        && volume
            .kms_key
            .as_deref()
            .is_none_or(|key| key.contains("alias/aws/ebs"))
}

fn applies(
    path: TransferPath,
    volume: &VolumeFacts,
    from: &Place,
    to: &Place,
) -> (bool, &'static str) {
    let (account, region) = (from.account == to.account, from.region == to.region);
    if !account && default_key(volume) && path == TransferPath::Copy {
        return (
            true,
            "snapshots under the default key aws/ebs can't be shared with another account: each round would first \
             be copied under a customer managed key in the source account (re-key hop), which may be full every \
             round until a probe shows otherwise; this version can't run it: move the volume to a customer managed \
             key first",
        );
    }
    if !account && default_key(volume) && path != TransferPath::Direct {
        return (
            false,
            "snapshots under the default key aws/ebs can't be shared with another account: \
             move the volume to a customer managed key first",
        );
    }
    match path {
        TransferPath::Share if !region => (false, "a shared snapshot stays in its region"),
        TransferPath::Share if !account && volume.encrypted => (
            false,
            "an encrypted shared snapshot must be copied under the target's own key first",
        ),
        TransferPath::Share if account => (true, "same account and region: no transfer at all"),
        TransferPath::Share => (
            true,
            "same region: the target reads the shared snapshot in place",
        ),
        TransferPath::Copy if account && region => (
            false,
            "same account and region: the snapshot is already there",
        ),
        TransferPath::Copy if region => (true, "incremental copy within the region"),
        TransferPath::Copy => (true, "incremental copy into the target region"),
        TransferPath::Direct => (
            true,
            "changed blocks straight into a volume that is filled before the freeze: no CopySnapshot, no \
             lazy loading",
        ),
        TransferPath::Clone if from.zone == to.zone && region => {
            (true, "same zone: CopyVolumes needs no chain of snapshots")
        }
        TransferPath::Clone => (false, "CopyVolumes stays in its zone"),
    }
}

fn available(path: TransferPath, policy: &Policy) -> Result<(), &'static str> {
    match path {
        TransferPath::Share | TransferPath::Copy => {}
        TransferPath::Clone => return Err("shown only, it is done by hand"),
        TransferPath::Direct if policy.direct.is_none() => {
            return Err(
                "the policy names no role that may read the source's snapshots \
                        (direct.reader_role_arn)",
            );
        }
        TransferPath::Direct if policy.database.is_none() || policy.target.instance.is_none() => {
            return Err(
                "it needs a helper on the target host: database and target.instance in the policy",
            );
        }
        TransferPath::Direct if !policy.paths.contains(&path) => {
            return Err("it is taken where the policy asks for it by name (paths)");
        }
        TransferPath::Direct => {}
    }
    if !policy.paths.is_empty() && !policy.paths.contains(&path) {
        return Err("the policy does not allow it");
    }
    Ok(())
}
