//! What the volumes carry besides files: groups, arrays, identities and keys.

use super::{SOURCE, TARGET, collisions};
use crate::check::walk::{finding, refuse};
use crate::check::{Finding, Severity};
use crate::hosts::{HostFacts, NamedId};

pub(super) fn walk(source: &HostFacts, target: &HostFacts, found: &mut Vec<Finding>) {
    places(source, found);
    let (ours, theirs) = (&source.storage, &target.storage);
    let kinds: [(&str, &[NamedId], &[NamedId], &str); 3] = [
        (
            "volume group",
            &ours.volume_groups_of_database,
            &theirs.other_volume_groups,
            "rename the target's (vgrename, vgimportclone)",
        ),
        (
            "array",
            &ours.arrays_of_database,
            &theirs.other_arrays,
            "give the target's another name or UUID",
        ),
        (
            "file system",
            &ours.file_systems_of_database,
            &theirs.other_file_systems,
            "unmount the target's or give it another UUID (tune2fs -U, xfs_admin -U)",
        ),
    ];
    for (kind, ours, theirs, remedy) in kinds {
        for (a, b) in collisions(ours, theirs) {
            let message = format!(
                "already has {kind} {} ({}), the source's is {} ({}): the copy could not be brought up beside it",
                b.name, b.uuid, a.name, a.uuid
            );
            found.push(refuse(&TARGET, message, remedy));
        }
    }
    keys(&ours.encrypted, theirs.can_decrypt, found);
}

/// Said, so that the operator sees what moves.
fn places(source: &HostFacts, found: &mut Vec<Finding>) {
    for place in &source.places {
        let volumes = match place.volumes.as_slice() {
            [] => "no volume that can be named".to_owned(),
            volumes => volumes.join(", "),
        };
        let message = format!(
            "{} {} lies on {} ({volumes})",
            place.what, place.path, place.mountpoint
        );
        found.push(finding(Severity::Note, &SOURCE, message, "nothing to do"));
    }
}

fn keys(encrypted: &[String], can_decrypt: bool, found: &mut Vec<Finding>) {
    if encrypted.is_empty() || can_decrypt {
        return;
    }
    let message = format!(
        "has no key for the encrypted (LUKS) devices of the database: {}",
        encrypted.join(", ")
    );
    let remedy = "set mount.luks_key_file in the target's host.toml, to a file outside the volumes";
    found.push(refuse(&TARGET, message, remedy));
}
