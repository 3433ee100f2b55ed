//! What a migration costs, by line. Prices are in `data/prices.toml`, each with its source.
//!
//! It must not know time or chance: quantities in, money out.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::evidence::Evidence;
use crate::forecast::FittedModel;
use crate::limits::LIMITS;
use crate::plan::{CostLine, Plan};
use crate::policy::TransferPath;
use crate::units::{BLOCK_BYTES, GIB, Quantiles};

/// Prices; each figure's source stands beside it in `data/prices.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Snapshot storage per GiB and month.
    pub snapshot_gib_month: f64,
    /// Transfer between regions per GiB.
    pub transfer_gib: f64,
    /// Time-based copy within 15 minutes, per GiB copied.
    pub time_based_copy_gib: f64,
    /// Listing requests of the direct APIs.
    pub list_thousand_requests: f64,
    /// Blocks read over the direct APIs.
    pub get_thousand_blocks: f64,
    /// Blocks written over the direct APIs.
    pub put_thousand_blocks: f64,
    /// Days until cleanup.
    pub kept_days: f64,
    /// Volumes per GiB and month by type.
    pub volume_gib_month: BTreeMap<String, f64>,
}

/// The prices this program was built with.
pub static PRICES: LazyLock<Prices> = LazyLock::new(|| {
    toml::from_str(include_str!("../data/prices.toml"))
        .expect("prices.toml is part of the program and read by its tests")
});

/// Billed quantities of one migration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spending {
    /// Bytes of the base, all volumes.
    pub base_bytes: f64,
    /// Bytes of all rounds and the final.
    pub delta_bytes: f64,
    /// Rounds and the final.
    pub rounds: f64,
    /// Blocks of all volumes, which every listing walks.
    pub listed_blocks: f64,
    /// Restored volumes, USD per month.
    pub volumes_usd_month: f64,
    /// Data is copied and so stored twice.
    pub copied: bool,
    /// The copy crosses regions.
    pub between_regions: bool,
    /// Blocks go over the direct APIs.
    pub direct: bool,
}

impl Spending {
    /// Nothing but the base yet. `between_regions` only matters where data is copied.
    #[must_use]
    pub fn base(
        model: &FittedModel,
        volumes: &[(u64, String)],
        path: TransferPath,
        between_regions: bool,
    ) -> Self {
        let blocks: f64 = model.volumes.iter().map(|volume| volume.base_blocks).sum();
        let month = |(gib, kind): &(u64, String)| {
            *gib as f64 * PRICES.volume_gib_month.get(kind).copied().unwrap_or(0.125)
        };
        Self {
            base_bytes: blocks * BLOCK_BYTES as f64,
            listed_blocks: blocks,
            volumes_usd_month: volumes.iter().map(month).sum(),
            copied: path != TransferPath::Share && path != TransferPath::Clone,
            between_regions,
            direct: path == TransferPath::Direct,
            ..Self::default()
        }
    }

    /// What a running migration has already moved.
    #[must_use]
    pub fn so_far(plan: &Plan, model: &FittedModel, evidence: &Evidence) -> Self {
        let volumes: Vec<(u64, String)> = plan
            .volumes
            .iter()
            .map(|v| (v.size_gib, v.target_volume_type.clone()))
            .collect();
        let path = plan
            .rounds
            .last()
            .map_or(TransferPath::Copy, |round| round.path);
        let mut spent = Self::base(
            model,
            &volumes,
            path,
            plan.source.region != plan.target.region,
        );
        for round in evidence.rounds.iter().filter(|round| round.index > 0) {
            let blocks: u64 = round.deltas.iter().map(|delta| delta.changed_blocks).sum();
            spent = spent.with_round(blocks as f64 * BLOCK_BYTES as f64);
        }
        spent
    }

    /// One more round of `delta_bytes`.
    #[must_use]
    pub fn with_round(self, delta_bytes: f64) -> Self {
        Self {
            delta_bytes: self.delta_bytes + delta_bytes,
            rounds: self.rounds + 1.0,
            ..self
        }
    }

    /// The base and the final one stored once more, in full, under another key.
    #[must_use]
    pub fn stored_again_usd(&self) -> f64 {
        let gib = 2.0 * self.base_bytes / GIB as f64;
        gib * PRICES.snapshot_gib_month * PRICES.kept_days / 30.0
    }

    /// The whole amount.
    #[must_use]
    pub fn usd(&self) -> f64 {
        self.amounts().iter().sum()
    }

    /// Source snapshots, copies, transfer, volumes, direct APIs.
    fn amounts(&self) -> [f64; 5] {
        let gib = (self.base_bytes + self.delta_bytes) / GIB as f64;
        let months = PRICES.kept_days / 30.0;
        let stored = gib * PRICES.snapshot_gib_month * months;
        let pages = self.listed_blocks / LIMITS.blocks_per_list_page as f64;
        // The host lists and reads the base and every delta; the rounds are counted besides.
        let (moved, listings) = if self.direct {
            let bytes = self.base_bytes + self.delta_bytes;
            (bytes / BLOCK_BYTES as f64 / 1000.0, self.rounds + 1.0)
        } else {
            (0.0, 0.0)
        };
        [
            stored,
            if self.copied { stored } else { 0.0 },
            if self.copied && self.between_regions {
                gib * PRICES.transfer_gib
            } else {
                0.0
            },
            self.volumes_usd_month * months,
            // The rounds' deltas, then both sides of the full comparison.
            (self.rounds + 2.0 + listings) * pages / 1000.0 * PRICES.list_thousand_requests
                + moved * PRICES.get_thousand_blocks,
        ]
    }
}

/// One line per kind of cost that is not zero, as quantiles over the runs' quantities.
#[must_use]
pub fn lines(spent: &[Spending]) -> Vec<CostLine> {
    let amounts: Vec<[f64; 5]> = spent.iter().map(Spending::amounts).collect();
    let line = |(k, (item, basis)): (usize, (&str, String))| CostLine {
        item: item.to_owned(),
        basis,
        usd: Quantiles::of(&mut amounts.iter().map(|row| row[k]).collect::<Vec<f64>>()),
    };
    let all = words().into_iter().enumerate().map(line);
    all.filter(|line| line.usd.p99 > 0.0).collect()
}

/// How a line of that name is priced today; nothing when there is no such line.
#[must_use]
pub fn basis(item: &str) -> Option<String> {
    let mut words = words().into_iter();
    words.find_map(|(name, basis)| (name == item).then_some(basis))
}

fn words() -> [(&'static str, String); 5] {
    let days = PRICES.kept_days;
    let stored = format!(
        "{} USD per GiB and month (AWS EBS user guide), kept {days} days (assumed)",
        PRICES.snapshot_gib_month
    );
    [
        ("snapshots at the source", stored.clone()),
        ("snapshots in the target", stored),
        (
            "transfer between regions",
            format!("{} USD per GiB (us-east-1, unchecked)", PRICES.transfer_gib),
        ),
        (
            "restored volumes",
            format!("price by type and GiB, {days} days (assumed), baseline performance only"),
        ),
        (
            "EBS direct APIs",
            format!(
                "{} USD per 1000 listing requests, each round and the comparison; on path direct {} per 1000 \
                 blocks read (AWS EBS user guide)",
                PRICES.list_thousand_requests, PRICES.get_thousand_blocks
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spending(copied: bool, between_regions: bool) -> Spending {
        Spending {
            base_bytes: 1024.0 * GIB as f64,
            listed_blocks: 2_097_152.0,
            volumes_usd_month: 80.0,
            copied,
            between_regions,
            ..Spending::default()
        }
    }

    #[test]
    fn a_tebibyte_to_another_region_is_paid_for_line_by_line() {
        let all = lines(&[spending(true, true)]);
        let items: Vec<&str> = all.iter().map(|line| line.item.as_str()).collect();
        assert_eq!(items.len(), 5, "{items:?}");
        assert!((all[2].usd.p50 - 20.48).abs() < 1e-9);
        let sum: f64 = all.iter().map(|line| line.usd.p50).sum();
        assert!((sum - spending(true, true).usd()).abs() < 1e-9);
    }

    #[test]
    fn sharing_stores_once_and_transfers_nothing() {
        assert!(spending(false, true).usd() < spending(true, false).usd());
        assert!(
            lines(&[spending(false, true)])
                .iter()
                .all(|line| !line.item.contains("transfer"))
        );
    }

    #[test]
    fn more_rounds_cost_more() {
        let one = spending(true, true).with_round(1e9);
        assert!(one.with_round(1e9).usd() > one.usd());
    }
}
