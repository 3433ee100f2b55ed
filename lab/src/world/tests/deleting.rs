//! Deleting snapshots: what becomes full, and what is freed when.

use super::*;

#[test]
fn with_all_earlier_ones_deleted_the_next_is_full() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    write(&mut world, &volume, 0..50, 1);
    let first = snapped(&mut world, &volume);
    write(&mut world, &volume, 0..1, 2);
    let second = snapped(&mut world, &volume);
    world.delete_snapshot(&me(), &second).unwrap();
    let third = snapped(&mut world, &volume);
    assert_eq!(
        world.snapshot(&third).unwrap().delta_bytes / 524_288,
        1,
        "since the first"
    );
    world.delete_snapshot(&me(), &first).unwrap();
    world.delete_snapshot(&me(), &third).unwrap();
    let fourth = snapped(&mut world, &volume);
    let fourth = world.snapshot(&fourth).unwrap();
    assert_eq!(
        (fourth.incremental, fourth.delta_bytes / 524_288),
        (false, 50)
    );
}

#[test]
fn deleted_ones_are_gone_for_all_and_their_data_goes_when_nobody_needs_it() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    write(&mut world, &volume, 0..50, 1);
    let source = snapped(&mut world, &volume);
    let copy = copied(&mut world, &away(), &source);
    world.delete_snapshot(&me(), &source).unwrap();
    assert_eq!(
        code(world.delete_snapshot(&me(), &source)),
        "InvalidSnapshot.NotFound"
    );
    assert!(
        world.snapshot(&source).unwrap().content.is_some(),
        "the copy's baseline"
    );
    world.delete_snapshot(&away(), &copy).unwrap();
    assert!(world.snapshot(&source).unwrap().content.is_none());
    assert!(world.snapshot(&copy).unwrap().content.is_none());
}

#[test]
fn only_the_owner_deletes() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    let id = snapped(&mut world, &volume);
    let stranger = caller(OTHER, HOME);
    assert_eq!(
        code(world.delete_snapshot(&stranger, &id)),
        "InvalidSnapshot.NotFound"
    );
    share(&mut world, &id, OTHER);
    assert_eq!(
        code(world.delete_snapshot(&stranger, &id)),
        "UnauthorizedOperation"
    );
}
