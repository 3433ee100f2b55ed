//! What contributes how much to the spread of a forecast.

use snapmigrate_models::forecast::{SpreadInput, SpreadShare};

use super::table::table;
use super::units::percent;

/// One line per input, the largest first; nothing when nothing varies.
pub(super) fn spread(shares: &[SpreadShare]) -> String {
    if shares.is_empty() {
        return String::new();
    }
    let mut sorted = shares.to_vec();
    sorted.sort_by(|a, b| b.share.total_cmp(&a.share));
    let rows = sorted
        .iter()
        .map(|row| vec![name(row.input).to_owned(), percent(row.share)]);
    table(&["input", "share of variance"], rows.collect(), &[1])
}

const fn name(input: SpreadInput) -> &'static str {
    match input {
        SpreadInput::WriteVolume => "how much is written",
        SpreadInput::DeltaCurve => "how many blocks that dirties",
        SpreadInput::SnapshotService => "overhead and rate of snapshots",
        SpreadInput::CopyService => "overhead and rate of copies",
        SpreadInput::Restore => "fence, freeze, restore, start and switch",
        SpreadInput::Scatter => "luck of the last snapshot and copies",
        SpreadInput::Together => "several of them together",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_share_comes_first() {
        let share = |input, share| SpreadShare { input, share };
        let text = spread(&[
            share(SpreadInput::Restore, 0.2),
            share(SpreadInput::WriteVolume, 0.8),
        ]);
        let position = |word: &str| text.find(word).unwrap_or(usize::MAX);
        assert!(position("written") < position("restore"), "{text}");
        assert!(spread(&[]).is_empty());
    }
}
