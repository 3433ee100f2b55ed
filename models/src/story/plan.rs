//! Tests only: a plan of one volume, in three rounds.

use super::{after, start, volume};
use crate::forecast::FittedModel;
use crate::plan::{
    Bounds, Forecast, Place, Plan, PlannedRound, PlannedVolume, RoundKind, Verdict, Window,
};
use crate::policy::{DatabasePolicy, Policy, TransferPath};
use crate::units::Quantiles;

pub(crate) fn forecast(downtime_seconds: f64) -> Forecast {
    Forecast {
        freeze_seconds: Quantiles::exact(2.0),
        write_downtime_seconds: Quantiles::exact(downtime_seconds),
        read_downtime_seconds: Quantiles::exact(downtime_seconds),
        final_delta_bytes: Quantiles::exact(1e9),
        cost_usd: Quantiles::exact(10.0),
        spread: Vec::new(),
        provenance: Vec::new(),
    }
}

fn policy() -> Policy {
    let target = serde_json::json!({
        "account": "222222222222", "region": "eu-west-1", "zone": "eu-west-1a",
        "instance": "i-02",
    });
    let policy = serde_json::json!({ "name": "m", "target": target });
    let mut policy: Policy = serde_json::from_value(policy).expect("a policy of this version");
    policy.database = Some(DatabasePolicy {
        engine: "postgres".into(),
        source_host: "unix:/s".into(),
        target_host: "unix:/t".into(),
        helper_sha256: None,
    });
    policy.try_restore = false;
    policy
}

pub(crate) fn plan() -> Plan {
    let policy = policy();
    let round = |index: u32, kind| PlannedRound {
        index,
        kind,
        start: after(i64::from(index) * 3600),
        path: TransferPath::Copy,
        delta_bytes: Quantiles::exact(1e9),
        snapshot_seconds: Quantiles::exact(300.0),
        transfer_seconds: Quantiles::exact(300.0),
    };
    let place = |account: &str, region: &str, instance: &str| Place {
        account: account.parse().expect("an account"),
        region: region.parse().expect("a region"),
        zone: format!("{region}a").parse().expect("a zone"),
        instance: instance.parse().ok(),
    };
    let plan = Plan {
        format: "snapmigrate.plan/1".into(),
        digest: String::new(),
        parent: None,
        root: None,
        name: "m".into(),
        made_at: start(),
        seed: 1,
        profile_digest: String::new(),
        source: place("111111111111", "us-east-1", "i-01"),
        target: place("222222222222", "eu-west-1", "i-02"),
        verdict: Verdict::Converges,
        binding_constraint: "the snapshot's overhead".into(),
        confidence: 0.9,
        forecast: forecast(900.0),
        rounds: vec![
            round(0, RoundKind::Base),
            round(1, RoundKind::Round),
            round(2, RoundKind::Final),
        ],
        window: Window {
            start: after(4 * 3600),
            end: after(6 * 3600),
        },
        volumes: vec![PlannedVolume {
            volume: volume(),
            size_gib: 100,
            volume_type: "gp3".into(),
            target_volume_type: "gp3".into(),
            device: "/dev/sdf".into(),
            kms_key: None,
            reusable_base: None,
        }],
        paths: Vec::new(),
        cost: Vec::new(),
        bounds: Bounds {
            max_write_downtime_seconds: 1800.0,
            max_write_bytes_per_second: 1e8,
            max_rounds: 4,
            latest_fence: after(6 * 3600),
        },
        what_if: Vec::new(),
        alternatives: Vec::new(),
        rationale: Vec::new(),
        model: FittedModel {
            volumes: Vec::new(),
            services: Vec::new(),
            database: true,
            flush_bytes: None,
            clock_scores: Vec::new(),
            provenance: Vec::new(),
        },
        policy,
    };
    plan.sealed()
}
