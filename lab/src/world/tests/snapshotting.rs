//! Snapshots of volumes: deltas, order, limits, sets.

use super::*;

#[test]
fn the_first_is_full_and_the_next_is_what_changed() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    write(&mut world, &volume, 0..40, 1);
    let first = snapped(&mut world, &volume);
    write(&mut world, &volume, 38..42, 2);
    let second = snapped(&mut world, &volume);
    let (first, second) = (
        world.snapshot(&first).unwrap(),
        world.snapshot(&second).unwrap(),
    );
    assert_eq!(
        (first.incremental, first.delta_bytes / 524_288),
        (false, 40)
    );
    assert_eq!(
        (second.incremental, second.delta_bytes / 524_288),
        (true, 4)
    );
    assert_eq!(second.full_bytes / 524_288, 42);
    assert_eq!(seconds_taken(&world, &first.id.clone()), 30 + 20);
    assert_eq!(seconds_taken(&world, &second.id.clone()), 30 + 2);
}

#[test]
fn it_holds_the_volume_of_its_point_in_time() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    write(&mut world, &volume, 0..3, 1);
    let id = snap(&mut world, &volume).unwrap();
    write(&mut world, &volume, 0..3, 2);
    pass(&mut world, 3600);
    let held = held(world.snapshot(&id).unwrap().content.as_ref().unwrap());
    assert_eq!(held, BTreeMap::from([(0, 1), (1, 1), (2, 1)]));
}

#[test]
fn newer_ones_wait_for_the_older() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    write(&mut world, &volume, 0..200, 1);
    let first = snap(&mut world, &volume).unwrap();
    pass(&mut world, 15);
    let second = snap(&mut world, &volume).unwrap();
    assert_eq!(seconds_taken(&world, &first), 130);
    assert_eq!(seconds_taken(&world, &second), 115 + 30);
}

#[test]
fn two_requests_for_a_volume_are_15_seconds_apart() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    snap(&mut world, &volume).unwrap();
    pass(&mut world, 14);
    let refused = code(snap(&mut world, &volume));
    assert_eq!(refused, "SnapshotCreationPerVolumeRateExceeded");
    pass(&mut world, 1);
    snap(&mut world, &volume).unwrap();
}

#[test]
fn five_may_be_pending_and_one_on_st1_deleted_ones_included() {
    for (volume_type, limit) in [("gp3", 5), ("st1", 1)] {
        let mut world = world("");
        let volume = volume(&mut world, volume_type);
        write(&mut world, &volume, 0..1900, 1);
        let mut ids = Vec::new();
        for _ in 0..limit {
            ids.push(snap(&mut world, &volume).unwrap());
            pass(&mut world, 15);
        }
        assert_eq!(
            code(snap(&mut world, &volume)),
            "ConcurrentSnapshotLimitExceeded"
        );
        world.delete_snapshot(&me(), &ids[0]).unwrap();
        assert_eq!(
            code(snap(&mut world, &volume)),
            "ConcurrentSnapshotLimitExceeded"
        );
        pass(&mut world, 7200);
        snap(&mut world, &volume).unwrap();
    }
}

#[test]
fn a_failed_one_counts_until_it_is_deleted() {
    let mut world = world("[faults]\nsnapshot_error = 1000.0\n");
    let volume = volume(&mut world, "st1");
    let id = snap(&mut world, &volume).unwrap();
    pass(&mut world, 600);
    assert_eq!(state(&world, &id), State::Error);
    assert_eq!(
        code(snap(&mut world, &volume)),
        "ConcurrentSnapshotLimitExceeded"
    );
    world.delete_snapshot(&me(), &id).unwrap();
    snap(&mut world, &volume).unwrap();
}

fn attach(world: &mut World, volume: &str, device: &str) {
    let request = AttachRequest {
        volume: volume.to_owned(),
        instance: "i-0aaa".to_owned(),
        device: device.to_owned(),
    };
    world.attach_volume(&me(), &request).unwrap();
    pass(world, 60);
}

#[test]
fn a_set_is_held_at_99_percent_and_completes_together() {
    let mut world = world("");
    let (small, large) = (volume(&mut world, "gp3"), volume(&mut world, "gp3"));
    attach(&mut world, &small, "/dev/sdf");
    attach(&mut world, &large, "/dev/sdg");
    write(&mut world, &small, 0..2, 1);
    write(&mut world, &large, 0..200, 1);
    let request = SetRequest {
        instance: "i-0aaa".to_owned(),
        exclude_boot_volume: true,
        ..SetRequest::default()
    };
    let ids = world.create_snapshots(&me(), &request).unwrap();
    assert_eq!(ids.len(), 2);
    pass(&mut world, 100);
    let percents = |world: &World| -> Vec<u8> {
        let status = |id: &String| world.snapshot(id).unwrap().status(world.now());
        ids.iter().map(|id| status(id).percent).collect()
    };
    assert_eq!(percents(&world)[0], 99);
    assert!(percents(&world)[1] < 99);
    assert!(ids.iter().all(|id| seconds_taken(&world, id) == 130));
    let starts: Vec<_> = ids
        .iter()
        .map(|id| world.snapshot(id).unwrap().start_time)
        .collect();
    assert_eq!(starts[0], starts[1]);
}

#[test]
fn a_set_fails_as_one_and_leaves_out_what_it_is_told_to() {
    let mut world = world("[faults]\nsnapshot_error = 1000.0\n");
    let (one, two) = (volume(&mut world, "gp3"), volume(&mut world, "gp3"));
    attach(&mut world, &one, "/dev/sdf");
    attach(&mut world, &two, "/dev/sdg");
    let mut request = SetRequest {
        instance: "i-0aaa".to_owned(),
        ..SetRequest::default()
    };
    assert_eq!(world.check_snapshots(&me(), &request).unwrap().len(), 3);
    request.exclude_data_volumes = vec![one];
    let ids = world.create_snapshots(&me(), &request).unwrap();
    assert_eq!(ids.len(), 2);
    pass(&mut world, 600);
    assert!(ids.iter().all(|id| state(&world, id) == State::Error));
    let root = world.attached_to("i-0aaa").last().unwrap().id.clone();
    request.exclude_data_volumes = vec![root];
    pass(&mut world, 600);
    assert_eq!(
        code(world.create_snapshots(&me(), &request)),
        "InvalidParameterValue"
    );
}

#[test]
fn a_new_one_is_not_seen_at_once_and_only_by_those_who_may() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    let id = snap(&mut world, &volume).unwrap();
    let sees = |world: &World, who: &Caller| {
        world
            .visible_snapshots(who, Glance::at(world.now()))
            .any(|snapshot| snapshot.id == id)
    };
    assert!(!sees(&world, &me()));
    pass(&mut world, 5);
    assert!(sees(&world, &me()));
    let stranger = caller(OTHER, HOME);
    assert!(!sees(&world, &stranger) && !sees(&world, &away()));
    share(&mut world, &id, OTHER);
    assert!(sees(&world, &stranger));
    let earlier = Glance::at(world.now() - TimeDelta::seconds(4));
    assert_eq!(world.visible_snapshots(&me(), earlier).count(), 0);
}
