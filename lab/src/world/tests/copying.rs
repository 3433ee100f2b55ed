//! Copies: incremental or full, queues, limits, promises, keys.

use super::*;

fn chain(world: &mut World, rounds: u32) -> Vec<String> {
    let volume = volume(world, "gp3");
    write(world, &volume, 0..100, 1);
    let mut ids = Vec::new();
    for round in 0..rounds {
        write(
            world,
            &volume,
            u64::from(round) * 3..u64::from(round) * 3 + 2,
            round + 2,
        );
        ids.push(snapped(world, &volume));
    }
    ids
}

fn is_incremental(world: &World, id: &str) -> bool {
    world.snapshot(id).unwrap().incremental
}

#[test]
fn the_first_is_full_the_second_moves_the_delta_and_both_hold_their_source() {
    let mut world = world("");
    let sources = chain(&mut world, 2);
    let first = copied(&mut world, &away(), &sources[0]);
    let second = copied(&mut world, &away(), &sources[1]);
    assert!(!is_incremental(&world, &first) && is_incremental(&world, &second));
    assert_eq!(seconds_taken(&world, &first), 60 + 50);
    assert_eq!(seconds_taken(&world, &second), 60 + 1);
    for (source, copy) in sources.iter().zip([&first, &second]) {
        let content = |id: &str| held(world.snapshot(id).unwrap().content.as_ref().unwrap());
        assert_eq!(content(source), content(copy));
    }
    let (first, second) = (
        world.snapshot(&first).unwrap(),
        world.snapshot(&second).unwrap(),
    );
    assert_eq!(
        (first.family.clone(), first.volume_id.as_str()),
        (second.family.clone(), COPIED_VOLUME_ID)
    );
}

#[test]
fn deleting_the_most_recent_copy_makes_the_next_full_even_with_an_older_one_left() {
    let mut world = world("");
    let sources = chain(&mut world, 3);
    copied(&mut world, &away(), &sources[0]);
    let recent = copied(&mut world, &away(), &sources[1]);
    world.delete_snapshot(&away(), &recent).unwrap();
    let next = copied(&mut world, &away(), &sources[2]);
    assert!(!is_incremental(&world, &next));
}

#[test]
fn an_archived_snapshot_is_no_base_and_of_no_use() {
    let mut world = world("");
    let sources = chain(&mut world, 2);
    let recent = copied(&mut world, &away(), &sources[0]);
    world.archive_snapshot(&away(), &recent).unwrap();
    let next = copied(&mut world, &away(), &sources[1]);
    assert!(!is_incremental(&world, &next));
    assert_eq!(
        code(world.archive_snapshot(&away(), &recent)),
        "IncorrectState"
    );
    world.archive_snapshot(&me(), &sources[1]).unwrap();
    assert_eq!(
        code(copy(&mut world, &away(), &sources[1])),
        "IncorrectState"
    );
    assert_eq!(
        code(world.readable_snapshot(&me(), &sources[1])),
        "ValidationException/INVALID_SNAPSHOT_ID"
    );
}

#[test]
fn an_older_copy_may_be_deleted_and_so_may_the_sources() {
    let mut world = world("");
    let sources = chain(&mut world, 3);
    let old = copied(&mut world, &away(), &sources[0]);
    copied(&mut world, &away(), &sources[1]);
    world.delete_snapshot(&away(), &old).unwrap();
    world.delete_snapshot(&me(), &sources[1]).unwrap();
    let expected = held(
        world
            .snapshot(&sources[2])
            .unwrap()
            .content
            .as_ref()
            .unwrap(),
    );
    let next = copied(&mut world, &away(), &sources[2]);
    assert!(is_incremental(&world, &next));
    assert_eq!(
        held(world.snapshot(&next).unwrap().content.as_ref().unwrap()),
        expected
    );
}

#[test]
fn another_region_or_account_or_key_is_another_destination() {
    let mut world = world("");
    let sources = chain(&mut world, 2);
    sources.iter().for_each(|id| share(&mut world, id, OTHER));
    copied(&mut world, &away(), &sources[0]);
    let foreign = copied(&mut world, &other_away(), &sources[1]);
    assert!(!is_incremental(&world, &foreign));
    let mut request = CopyRequest {
        source_region: HOME.to_owned(),
        source: sources[1].clone(),
        encrypted: Some(true),
        kms_key: Some("alias/mine".to_owned()),
        ..CopyRequest::default()
    };
    let encrypted = world.copy_snapshot(&away(), &request).unwrap();
    pass(&mut world, 3600);
    assert!(!is_incremental(&world, &encrypted));
    request.kms_key = None;
    request.encrypted = None;
    let plain = world.copy_snapshot(&away(), &request).unwrap();
    pass(&mut world, 3600);
    assert!(
        !is_incremental(&world, &plain),
        "not all copies there are under one key"
    );
}

#[test]
fn at_home_under_the_same_key_no_data_moves() {
    let mut world = world("");
    let sources = chain(&mut world, 1);
    let copy = copied(&mut world, &me(), &sources[0]);
    assert_eq!(
        (is_incremental(&world, &copy), seconds_taken(&world, &copy)),
        (true, 10)
    );
}

#[test]
fn copies_of_one_lineage_queue_and_others_do_not() {
    let mut world = world("");
    let sources = chain(&mut world, 2);
    let elsewhere = caller(ME, "eu-central-1");
    let first = copy(&mut world, &away(), &sources[0]).unwrap();
    let second = copy(&mut world, &away(), &sources[1]).unwrap();
    let apart = copy(&mut world, &elsewhere, &sources[1]).unwrap();
    assert_eq!(world.snapshot(&second).unwrap().ends_at(), None);
    pass(&mut world, 3600);
    assert_eq!(seconds_taken(&world, &first), 110);
    assert_eq!(seconds_taken(&world, &second), 110 + 61);
    assert_eq!(seconds_taken(&world, &apart), 110);
    assert!(is_incremental(&world, &second));
}

#[test]
fn giving_up_a_copy_lets_the_next_begin() {
    let mut world = world("");
    let sources = chain(&mut world, 2);
    let first = copy(&mut world, &away(), &sources[0]).unwrap();
    let second = copy(&mut world, &away(), &sources[1]).unwrap();
    pass(&mut world, 20);
    world.delete_snapshot(&away(), &first).unwrap();
    pass(&mut world, 3600);
    assert_eq!(state(&world, &second), State::Completed);
    assert!(!is_incremental(&world, &second));
    assert_eq!(seconds_taken(&world, &second), 20 + 110);
}

#[test]
fn twenty_copies_into_a_region_are_enough() {
    let mut world = world("");
    let sources = chain(&mut world, 1);
    for _ in 0..20 {
        copy(&mut world, &away(), &sources[0]).unwrap();
    }
    assert_eq!(
        code(copy(&mut world, &away(), &sources[0])),
        "ResourceLimitExceeded"
    );
    copy(&mut world, &caller(ME, "eu-central-1"), &sources[0]).unwrap();
}

#[test]
fn a_source_must_be_shared_and_complete() {
    let mut world = world("");
    let sources = chain(&mut world, 1);
    assert_eq!(
        code(copy(&mut world, &other_away(), &sources[0])),
        "InvalidSnapshot.NotFound"
    );
    let volume = world.snapshot(&sources[0]).unwrap().volume_id.clone();
    let pending = snap(&mut world, &volume).unwrap();
    pass(&mut world, 10);
    assert_eq!(code(copy(&mut world, &away(), &pending)), "IncorrectState");
}

#[test]
fn a_key_of_another_region_fails_later_and_silently() {
    let mut world = world("");
    let sources = chain(&mut world, 1);
    let request = CopyRequest {
        source_region: HOME.to_owned(),
        source: sources[0].clone(),
        encrypted: Some(true),
        kms_key: Some("arn:aws:kms:us-east-1:111111111111:key/k".to_owned()),
        ..CopyRequest::default()
    };
    let id = world.copy_snapshot(&away(), &request).unwrap();
    pass(&mut world, 3600);
    let status = world.snapshot(&id).unwrap().status(world.now());
    assert_eq!(status.state, State::Error);
    assert_eq!(
        status.message.as_deref(),
        Some("Given key ID is not accessible")
    );
    let next = copied(&mut world, &away(), &sources[0]);
    assert!(!is_incremental(&world, &next));
}

#[test]
fn a_promise_is_kept_and_must_be_possible() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    write(&mut world, &volume, 0..2000, 1);
    let source = snapped(&mut world, &volume);
    let mut request = CopyRequest {
        source_region: HOME.to_owned(),
        source,
        completion_minutes: Some(15),
        ..CopyRequest::default()
    };
    let id = world.copy_snapshot(&away(), &request).unwrap();
    assert!(seconds_taken(&world, &id) <= 900);
    request.completion_minutes = Some(20);
    assert_eq!(
        code(world.copy_snapshot(&away(), &request)),
        "InvalidParameterValue"
    );
}
