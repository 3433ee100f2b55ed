use snapmigrate_models::format::Document;

use super::*;

fn example() -> Plan {
    let text = include_str!("../../fixtures/formats/plan.json");
    Plan::from_json(text).expect("a frozen example is readable")
}

fn allows(policy: &PolicyDocument, action: &str) -> bool {
    policy
        .statements
        .iter()
        .any(|statement| statement.actions.contains(&action))
}

#[test]
fn only_the_side_that_needs_it_may_do_it() {
    let policies = policies(&example());
    assert!(allows(&policies.source, "ec2:CreateSnapshots"));
    assert!(allows(&policies.target, "ec2:CopySnapshot"));
    for (policy, action) in [
        (&policies.source, "ec2:CopySnapshot"),
        (&policies.source, "ec2:DeleteVolume"),
        (&policies.target, "ec2:CreateSnapshots"),
        (&policies.target, "ebs:PutSnapshotBlock"),
    ] {
        assert!(!allows(policy, action), "{action} is not needed there");
    }
}

#[test]
fn what_deletes_is_bound_to_our_own_tag_or_to_one_name() {
    let policies = policies(&example());
    for statement in policies
        .source
        .statements
        .iter()
        .chain(&policies.target.statements)
    {
        if statement
            .actions
            .iter()
            .any(|action| action.contains("Delete"))
        {
            let one = statement.resources.iter().all(|name| !name.contains('*'));
            let condition = statement.condition.as_ref().map(Value::to_string);
            let bound = condition.is_some_and(|text| text.contains("snapmigrate:migration"));
            assert!(bound || one, "{} is unbounded", statement.sid);
        }
    }
}

#[test]
fn an_encrypted_source_needs_its_key_on_both_sides() {
    let policies = policies(&example());
    assert!(allows(&policies.source, "kms:DescribeKey"));
    assert!(allows(&policies.target, "kms:CreateGrant"));
    let mut plain = example();
    plain
        .volumes
        .iter_mut()
        .for_each(|volume| volume.kms_key = None);
    plain.policy.target.kms_key = None;
    assert!(!allows(&super::policies(&plain).target, "kms:CreateGrant"));
}

#[test]
fn the_direct_path_has_a_reader_that_can_do_nothing_else() {
    let mut plan = example();
    assert_eq!(policies(&plan).reader, None);
    for round in &mut plan.rounds {
        round.path = TransferPath::Direct;
    }
    plan.paths.clear();
    plan.policy.direct = Some(snapmigrate_models::policy::DirectPolicy {
        reader_role_arn: "arn:aws:iam::111111111111:role/reader".into(),
    });
    let policies = policies(&plan);
    let reader = policies.reader.expect("it has one");
    let actions = reader.statements.iter().flat_map(|s| &s.actions);
    let reads = |action: &str| {
        ["Describe", "List", "Get", "Decrypt"]
            .iter()
            .any(|verb| action.contains(verb))
    };
    assert!(actions.clone().count() >= 4 && actions.clone().all(|action| reads(action)));
    assert!(allows(&policies.source, "sts:AssumeRole"));
    assert!(allows(&policies.target, "ec2:CreateSnapshot"));
    for action in ["ec2:CopySnapshot", "ebs:PutSnapshotBlock"] {
        assert!(!allows(&policies.target, action), "{action}");
    }
    assert!(!allows(&policies.source, "ec2:ModifySnapshotAttribute"));
}

#[test]
fn only_a_host_that_is_reached_by_ssm_is_commanded_and_only_that_one() {
    let mut plan = example();
    assert!(!allows(&policies(&plan).source, "ssm:SendCommand"));
    plan.policy.database = Some(snapmigrate_models::policy::DatabasePolicy {
        engine: "postgres".into(),
        source_host: "ssm:i-0123456789abcdef0/run/x.sock".into(),
        target_host: "ssh:db2".into(),
        helper_sha256: None,
    });
    let policies = policies(&plan);
    assert!(!allows(&policies.target, "ssm:SendCommand"));
    let sends = policies
        .source
        .statements
        .iter()
        .find(|s| s.actions.contains(&"ssm:SendCommand"));
    let resources = &sends.expect("it is allowed").resources;
    assert!(
        resources
            .iter()
            .any(|arn| arn.ends_with("instance/i-0123456789abcdef0")),
        "{resources:?}"
    );
    assert!(
        resources.iter().all(|arn| !arn.contains('*')),
        "{resources:?}"
    );
}
