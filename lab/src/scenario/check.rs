//! What a scenario's values must satisfy beyond their types. It must not know the world.

use std::collections::BTreeSet;

use super::{FaultSpec, Place, Scenario, ScenarioError, VolumeSpec};

/// Largest EBS volume, in GiB (EBS user guide, volume types).
const MAX_VOLUME_GIB: u64 = 65_536;

pub(super) fn check(scenario: &Scenario) -> Result<(), ScenarioError> {
    place("source", &scenario.source)?;
    place("target", &scenario.target)?;
    if scenario.source.instance == scenario.target.instance {
        return Err(invalid(
            "target.instance",
            "it is the source's; name another instance",
        ));
    }
    faults(&scenario.faults)?;
    let mut ids = BTreeSet::new();
    let mut devices = BTreeSet::from(["/dev/xvda"]);
    for spec in &scenario.volumes {
        volume(spec)?;
        if !ids.insert(spec.id.as_str()) || !devices.insert(spec.device.as_str()) {
            let subject = format!("volume {}", spec.id);
            return Err(invalid(
                &subject,
                "its id or device is used twice (or is /dev/xvda)",
            ));
        }
    }
    Ok(())
}

fn place(side: &str, place: &Place) -> Result<(), ScenarioError> {
    if place.account.len() != 12 || !place.account.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid(
            &format!("{side}.account"),
            "an account id has 12 digits",
        ));
    }
    if place.region.is_empty() || !place.zone.starts_with(&place.region) {
        return Err(invalid(
            &format!("{side}.zone"),
            "a zone's name begins with its region's",
        ));
    }
    if !place.instance.starts_with("i-") {
        return Err(invalid(
            &format!("{side}.instance"),
            "an instance id begins with i-",
        ));
    }
    Ok(())
}

fn volume(spec: &VolumeSpec) -> Result<(), ScenarioError> {
    let subject = format!("volume {}", spec.id);
    if !spec.id.starts_with("vol-") {
        return Err(invalid(&subject, "a volume id begins with vol-"));
    }
    if spec.size_gib == 0 || spec.size_gib > MAX_VOLUME_GIB {
        return Err(invalid(&subject, "size_gib must be between 1 and 65536"));
    }
    #[expect(clippy::cast_precision_loss, reason = "bounded just before")]
    let size_gib = spec.size_gib as f64;
    if !(0.0..=size_gib).contains(&spec.written_gib) {
        return Err(invalid(
            &subject,
            "written_gib must be between 0 and size_gib",
        ));
    }
    let sane = |s: &super::SnapshotSpec| {
        s.age_hours > 0.0 && s.duration_seconds.is_none_or(|seconds| seconds >= 0.0)
    };
    if !spec.snapshots.iter().all(sane) {
        return Err(invalid(
            &subject,
            "its snapshots need age_hours > 0, duration_seconds >= 0",
        ));
    }
    Ok(())
}

fn faults(faults: &FaultSpec) -> Result<(), ScenarioError> {
    let all = [
        ("throttle", faults.throttle),
        ("server_error", faults.server_error),
        ("lost_answer", faults.lost_answer),
        ("snapshot_error", faults.snapshot_error),
        ("copy_error", faults.copy_error),
        ("snapshot_stuck", faults.snapshot_stuck),
        ("copy_stuck", faults.copy_stuck),
        ("stale_describe", faults.stale_describe),
        ("missing_describe", faults.missing_describe),
        ("slow", faults.slow),
        ("full_scan", faults.full_scan),
    ];
    for (name, per_mille) in all {
        if !(0.0..=1000.0).contains(&per_mille) {
            return Err(invalid(
                &format!("faults.{name}"),
                "a per mille is between 0 and 1000",
            ));
        }
    }
    Ok(())
}

fn invalid(subject: &str, message: &str) -> ScenarioError {
    ScenarioError::Invalid {
        subject: subject.to_owned(),
        message: message.to_owned(),
    }
}
