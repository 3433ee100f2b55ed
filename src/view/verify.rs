//! Comparison of a device with a snapshot.

use snapmigrate_models::verify::DeviceVerification;

/// The result in a few lines.
#[must_use]
pub fn device(found: &DeviceVerification) -> String {
    let result = match found.mismatches {
        0 => "no mismatch".to_owned(),
        1 => "1 MISMATCH".to_owned(),
        many => format!("{many} MISMATCHES"),
    };
    let extent = if found.blocks_compared == found.blocks_total {
        format!("all {} blocks compared", found.blocks_total)
    } else {
        format!(
            "{} of {} blocks compared",
            found.blocks_compared, found.blocks_total
        )
    };
    let mut text = format!(
        "{} against {}: {result}\n  {extent} ({}); the snapshot holds {}\n  digest {}\n",
        found.device, found.snapshot, found.method, found.blocks_written, found.digest
    );
    if !found.first_mismatches.is_empty() {
        let blocks: Vec<String> = found.first_mismatches.iter().map(u64::to_string).collect();
        text += &format!("  first mismatching blocks: {}\n", blocks.join(", "));
    }
    text
}
