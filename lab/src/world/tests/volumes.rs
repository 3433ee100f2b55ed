//! Volumes: from snapshots, by token, attached and detached; sharing and keys.

use super::*;

fn from_snapshot(snapshot: &str) -> CreateVolumeRequest {
    CreateVolumeRequest {
        zone: Some("us-east-1a".to_owned()),
        snapshot: Some(snapshot.to_owned()),
        volume_type: Some("gp3".to_owned()),
        ..CreateVolumeRequest::default()
    }
}

#[test]
fn a_volume_of_my_own_snapshot_goes_on_with_its_lineage_and_a_foreign_one_does_not() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    write(&mut world, &volume, 0..50, 1);
    let id = snapped(&mut world, &volume);
    share(&mut world, &id, OTHER);
    let stranger = caller(OTHER, HOME);
    for (who, incremental) in [(me(), true), (stranger, false)] {
        let restored = world.create_volume(&who, &from_snapshot(&id)).unwrap();
        pass(&mut world, 20);
        assert_eq!(
            held(&world.volume(&restored).unwrap().content),
            held(world.snapshot(&id).unwrap().content.as_ref().unwrap())
        );
        let request = SnapshotRequest {
            volume: restored,
            ..SnapshotRequest::default()
        };
        let next = world.create_snapshot(&who, &request).unwrap();
        assert_eq!(world.snapshot(&next).unwrap().incremental, incremental);
    }
}

#[test]
fn the_same_token_makes_one_volume() {
    let mut world = world("");
    let mut request = CreateVolumeRequest {
        zone: Some("us-east-1a".to_owned()),
        size_gib: Some(4),
        client_token: Some("token".to_owned()),
        ..CreateVolumeRequest::default()
    };
    let id = world.create_volume(&me(), &request).unwrap();
    assert_eq!(world.create_volume(&me(), &request).unwrap(), id);
    assert_ne!(
        world.create_volume(&caller(OTHER, HOME), &request).unwrap(),
        id
    );
    request.size_gib = Some(5);
    assert_eq!(
        code(world.create_volume(&me(), &request)),
        "IdempotentParameterMismatch"
    );
}

#[test]
fn what_can_not_be_is_refused() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    let pending = snap(&mut world, &volume).unwrap();
    pass(&mut world, 5);
    assert_eq!(
        code(world.create_volume(&me(), &from_snapshot(&pending))),
        "IncorrectState"
    );
    let nowhere = CreateVolumeRequest {
        zone: Some("eu-west-1a".to_owned()),
        size_gib: Some(1),
        ..CreateVolumeRequest::default()
    };
    assert_eq!(
        code(world.create_volume(&me(), &nowhere)),
        "InvalidZone.NotFound"
    );
    let attach = AttachRequest {
        volume: volume.clone(),
        instance: "i-0bbb".to_owned(),
        device: "/dev/sdf".to_owned(),
    };
    assert_eq!(
        code(world.attach_volume(&me(), &attach)),
        "InvalidInstanceID.NotFound"
    );
    let root = AttachRequest {
        instance: "i-0aaa".to_owned(),
        device: ROOT_DEVICE.to_owned(),
        ..attach
    };
    assert_eq!(
        code(world.attach_volume(&me(), &root)),
        "InvalidParameterValue"
    );
    assert_eq!(
        code(world.detach_volume(&me(), &volume, None)),
        "IncorrectState"
    );
}

#[test]
fn attaching_and_detaching_take_their_time() {
    let mut world = world("");
    let volume = volume(&mut world, "gp3");
    let attach = AttachRequest {
        volume: volume.clone(),
        instance: "i-0aaa".to_owned(),
        device: "/dev/sdf".to_owned(),
    };
    let word = |world: &World| {
        let volume = world.volume(&volume).unwrap();
        (
            volume.state_word(world.now()),
            volume
                .attached(world.now())
                .and_then(|a| a.word(world.now())),
        )
    };
    world.attach_volume(&me(), &attach).unwrap();
    assert_eq!(word(&world), ("in-use", Some("attaching")));
    pass(&mut world, 60);
    assert_eq!(word(&world), ("in-use", Some("attached")));
    assert_eq!(code(world.delete_volume(&me(), &volume)), "VolumeInUse");
    world.detach_volume(&me(), &volume, None).unwrap();
    assert_eq!(word(&world), ("in-use", Some("detaching")));
    pass(&mut world, 60);
    assert_eq!(word(&world), ("available", None));
    world.delete_volume(&me(), &volume).unwrap();
}

#[test]
fn snapshots_under_the_managed_key_are_not_shared() {
    let mut world = world("");
    let request = CreateVolumeRequest {
        zone: Some("us-east-1a".to_owned()),
        size_gib: Some(1),
        encrypted: Some(true),
        ..CreateVolumeRequest::default()
    };
    let volume = world.create_volume(&me(), &request).unwrap();
    pass(&mut world, 20);
    let id = snapped(&mut world, &volume);
    let request = ShareRequest {
        snapshot: id,
        add: vec![OTHER.to_owned()],
        remove: Vec::new(),
    };
    assert_eq!(
        code(world.share_snapshot(&me(), &request)),
        "OperationNotPermitted"
    );
}
