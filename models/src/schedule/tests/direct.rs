//! The path `direct` is taken where the policy asks for it by name.

use super::*;

#[test]
fn direct_is_chosen_where_the_policy_asks_for_it_by_name() {
    let mut policy = policy(1800.0);
    policy.paths = vec![TransferPath::Copy, TransferPath::Direct];
    policy.direct = Some(crate::policy::DirectPolicy {
        reader_role_arn: "arn:aws:iam::111111111111:role/reader".into(),
    });
    policy.target.instance = "i-02".parse().ok();
    policy.database = Some(crate::policy::DatabasePolicy {
        engine: "postgres".into(),
        source_host: "unix:/s".into(),
        target_host: "unix:/t".into(),
        helper_sha256: None,
    });
    let plan = planned(&profile(1, 300, 1.0), &policy);
    assert!(plan.rounds.iter().all(|r| r.path == TransferPath::Direct));
    assert!(
        plan.rationale
            .iter()
            .any(|why| why.contains("nothing loads lazily"))
    );
    let copied = planned(
        &profile(1, 300, 1.0),
        &Policy {
            direct: None,
            ..policy
        },
    );
    assert!(copied.rounds.iter().all(|r| r.path == TransferPath::Copy));
    let seconds = |plan: &Plan| plan.forecast.write_downtime_seconds.p50;
    assert!(
        seconds(&plan) < seconds(&copied),
        "no copy behind the fence"
    );
    let refused = copied.paths.iter().find(|p| p.path == TransferPath::Direct);
    assert!(refused.is_some_and(|p| p.reason.contains("reader_role_arn")));
}

/// Under aws/ebs into another account only `direct` can be run; the hop under another key is told with its price.
#[test]
fn the_hop_under_another_key_is_shown_and_not_taken() {
    let mut profile = profile(1, 300, 1.0);
    profile.inventory.volumes[0].encrypted = true;
    let mut policy = policy(7200.0);
    policy.target.account = "444455556666".parse().unwrap();
    policy.target.kms_key = Some("arn:aws:kms:us-east-1:444455556666:key/1".into());
    policy.target.instance = "i-02".parse().ok();
    policy.paths = vec![TransferPath::Copy, TransferPath::Direct];
    policy.direct = Some(crate::policy::DirectPolicy {
        reader_role_arn: "arn:aws:iam::111122223333:role/reader".into(),
    });
    policy.database = Some(crate::policy::DatabasePolicy {
        engine: "postgres".into(),
        source_host: "unix:/s".into(),
        target_host: "unix:/t".into(),
        helper_sha256: None,
    });
    let plan = planned(&profile, &policy);
    let of = |path| {
        plan.paths
            .iter()
            .find(|choice| choice.path == path)
            .unwrap()
    };
    let (copy, direct) = (of(TransferPath::Copy), of(TransferPath::Direct));
    assert!(direct.chosen && !copy.chosen);
    assert!(
        copy.reason.contains("may be full every round"),
        "{}",
        copy.reason
    );
    let full = plan.rounds[0].snapshot_seconds.p50 / 4.0;
    assert!(
        copy.final_hop_seconds.unwrap().p50 > full,
        "as long as a full copy"
    );
    assert!(copy.cost_usd.unwrap() > 0.0);
}
