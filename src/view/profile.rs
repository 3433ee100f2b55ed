//! A profile: what was measured, per volume, and what is missing.

use snapmigrate_models::observation::VolumeObservations;
use snapmigrate_models::profile::Profile;

use super::plan::{list, titled};
use super::table::table;
use super::units::{duration, gib, per_second, time, whole_bytes};

/// The whole profile as text.
#[must_use]
pub fn profile(profile: &Profile) -> String {
    let inventory = &profile.inventory;
    let instance = inventory
        .instance
        .as_ref()
        .map_or("detached volumes", |id| id.as_str());
    let head = format!(
        "{instance} in {} {}, measured {}\n",
        inventory.region,
        inventory.account,
        time(inventory.taken_at)
    );
    let sections = [
        head,
        titled("Volumes", &volumes(profile)),
        titled("Measured", &measured(&profile.volumes)),
        titled("Notes", &list(&profile.notes)),
    ];
    sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn volumes(profile: &Profile) -> String {
    let rows = profile.inventory.volumes.iter().map(|volume| {
        let snapshots = profile
            .inventory
            .snapshots
            .iter()
            .filter(|s| s.volume == volume.volume)
            .count();
        vec![
            volume.volume.to_string(),
            volume.device.clone().unwrap_or_else(|| "-".to_owned()),
            gib(volume.size_gib),
            volume.volume_type.clone(),
            volume.state.clone(),
            if volume.encrypted { "yes" } else { "no" }.to_owned(),
            snapshots.to_string(),
        ]
    });
    let header = [
        "volume",
        "device",
        "size",
        "type",
        "state",
        "encrypted",
        "snapshots",
    ];
    table(&header, rows.collect(), &[2, 6])
}

fn measured(volumes: &[VolumeObservations]) -> String {
    let rows = volumes.iter().map(|volume| {
        let written = volume
            .written_blocks
            .map(|blocks| blocks * snapmigrate_models::units::BLOCK_BYTES);
        vec![
            volume.volume.to_string(),
            written.map_or_else(|| "unknown".to_owned(), whole_bytes),
            mean_rate(volume).map_or_else(|| "unknown".to_owned(), per_second),
            duration(
                volume
                    .writes
                    .iter()
                    .map(|period| f64::from(period.period_seconds))
                    .sum(),
            ),
            volume.deltas.len().to_string(),
            volume.durations.len().to_string(),
        ]
    });
    let header = [
        "volume",
        "written",
        "mean write rate",
        "history",
        "deltas",
        "durations",
    ];
    table(&header, rows.collect(), &[1, 2, 3, 4, 5])
}

fn mean_rate(volume: &VolumeObservations) -> Option<f64> {
    let seconds: f64 = volume
        .writes
        .iter()
        .map(|period| f64::from(period.period_seconds))
        .sum();
    let bytes: f64 = volume.writes.iter().map(|period| period.write_bytes).sum();
    (seconds > 0.0).then(|| bytes / seconds)
}
