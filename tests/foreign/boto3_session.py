"""A migration by hand with boto3 against the lab: python boto3_session.py URL DIR.

Everything a client sees is asserted; the first surprise ends the session with exit code 1.
"""

import sys
import time

from support import BLOCK, Cloud, block, completed, contents, listed, noise, put, refused, upload

INSTANCE = "i-0123456789abcdef0"
SOURCE, TARGET, STRANGER = "111111111111", "222222222222", "333333333333"


def identities(url):
    """Accounts come from the access key, or from the role assumed."""
    source = Cloud(url, SOURCE, "us-east-1")
    assert source.sts.get_caller_identity()["Account"] == SOURCE
    role = f"arn:aws:iam::{TARGET}:role/migration"
    given = source.sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    target = Cloud(
        url,
        TARGET,
        "eu-west-1",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    assert target.sts.get_caller_identity()["Arn"].endswith(":assumed-role/migration/session")
    return source, target


def volume_from(cloud, zone, snapshot, **more):
    made = cloud.ec2.create_volume(
        AvailabilityZone=zone, SnapshotId=snapshot, VolumeType="gp3", **more
    )
    volume = made["VolumeId"]
    waiter = cloud.ec2.get_waiter("volume_available")
    waiter.wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return volume


def attach(cloud, volume):
    cloud.ec2.attach_volume(VolumeId=volume, InstanceId=INSTANCE, Device="/dev/sdf")
    waiter = cloud.ec2.get_waiter("volume_in_use")
    waiter.wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    found = cloud.ec2.describe_instances(InstanceIds=[INSTANCE])["Reservations"][0]["Instances"][0]
    held = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in found["BlockDeviceMappings"]}
    assert held["/dev/sdf"] == volume, held


def snapshot_of(cloud, volume, name):
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "round", "Value": name}]}]
    made = cloud.ec2.create_snapshot(VolumeId=volume, Description=name, TagSpecifications=tags)
    assert made["State"] == "pending" and made["VolumeId"] == volume
    facts = completed(cloud, made["SnapshotId"])
    assert facts["Progress"] == "100%" and facts["OwnerId"] == cloud.account
    assert facts["CompletionTime"] >= facts["StartTime"]
    return made["SnapshotId"]


def write(directory, volume, blocks):
    """Writes into the attached volume the way its instance would."""
    with open(f"{directory}/volumes/{volume}.img", "r+b") as image:
        for index, data in blocks.items():
            image.seek(index * BLOCK)
            image.write(data)


def compare_rounds(cloud, first, second, changed):
    """ListChangedBlocks tells exactly what was written in between."""
    names = {"FirstSnapshotId": first, "SecondSnapshotId": second}
    found, empty = listed(cloud.ebs.list_changed_blocks, "ChangedBlocks", **names, MaxResults=100)
    assert [entry["BlockIndex"] for entry in found] == sorted(changed), found
    assert empty == 1, "the first 100 blocks scanned are the same on both sides: an empty page"
    for entry in found:
        index = entry["BlockIndex"]
        assert block(cloud.ebs, second, index, entry["SecondBlockToken"]) == changed[index]
    old = [entry for entry in found if "FirstBlockToken" in entry]
    assert [entry["BlockIndex"] for entry in old] == [119], "2000 was never written before"
    refused(
        "ValidationException",
        cloud.ebs.get_snapshot_block,
        reason="INVALID_BLOCK_TOKEN",
        SnapshotId=second,
        BlockIndex=found[0]["BlockIndex"],
        BlockToken=found[1]["SecondBlockToken"],
    )


def share_and_copy(source, target, url, snapshot):
    """Sharing lets exactly the target account copy it."""
    there = Cloud(url, TARGET, source.region)
    assert there.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"] == []
    copy = {"SourceRegion": source.region, "SourceSnapshotId": snapshot}
    refused("InvalidSnapshot.NotFound", target.ec2.copy_snapshot, **copy)
    permission = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
    source.ec2.modify_snapshot_attribute(**permission, OperationType="add", UserIds=[TARGET])
    shared = source.ec2.describe_snapshot_attribute(**permission)["CreateVolumePermissions"]
    assert shared == [{"UserId": TARGET}]
    refused("UnauthorizedOperation", there.ec2.delete_snapshot, SnapshotId=snapshot)
    stranger = Cloud(url, STRANGER, source.region)
    refused("AccessDeniedException", stranger.ebs.list_snapshot_blocks, SnapshotId=snapshot)
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "step", "Value": "copy"}]}]
    made = target.ec2.copy_snapshot(**copy, Description="copied", TagSpecifications=tags)
    facts = completed(target, made["SnapshotId"])
    assert facts["OwnerId"] == TARGET and facts["VolumeId"] == "vol-ffffffff"
    assert facts["Tags"] == [{"Key": "step", "Value": "copy"}]
    return made["SnapshotId"]


def tags_and_filters(cloud, volume, snapshots):
    cloud.ec2.create_tags(Resources=[volume, snapshots[0]], Tags=[{"Key": "plan", "Value": "p1"}])

    def found(**filters):
        wanted = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
        pages = cloud.ec2.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=wanted, PaginationConfig={"PageSize": 5}
        )
        return {entry["SnapshotId"] for page in pages for entry in page["Snapshots"]}

    assert found(**{"tag:plan": "p1"}) == {snapshots[0]}
    assert found(tag_key="round", volume_id=volume) == set(snapshots)
    assert found(volume_id=volume, status="pending") == set()
    assert found(description="rou*") == set(snapshots)
    many = {cloud.ebs.start_snapshot(VolumeSize=1)["SnapshotId"] for _ in range(12)}
    assert found(volume_size="1", status="pending") == many, "three pages"
    refused(
        "InvalidParameterValue",
        cloud.ec2.describe_snapshots,
        Filters=[{"Name": "no-such-filter", "Values": ["x"]}],
    )
    volumes = cloud.ec2.describe_volumes(Filters=[{"Name": "tag:plan", "Values": ["p*"]}])["Volumes"]
    assert [entry["VolumeId"] for entry in volumes] == [volume]


def refusals(cloud, url, volume, snapshot):
    """Error codes of the services, not of the lab."""
    unknown, ec2, ebs = "vol-0123456789abcdef0", cloud.ec2, cloud.ebs
    refused("InvalidVolume.NotFound", ec2.create_snapshot, 400, VolumeId=unknown)
    refused("InvalidVolume.NotFound", ec2.describe_volumes, 400, VolumeIds=[unknown])
    refused("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=["snap-0123456789abcdef0"])
    refused("InvalidSnapshotID.Malformed", ec2.describe_snapshots, SnapshotIds=["nonsense"])
    refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=["i-00000000000000001"])
    refused("DryRunOperation", ec2.create_snapshot, 412, VolumeId=volume, DryRun=True)
    refused("InvalidVolume.NotFound", ec2.create_snapshot, VolumeId=unknown, DryRun=True)
    refused("VolumeInUse", ec2.delete_volume, VolumeId=volume)
    stranger = Cloud(url, STRANGER, cloud.region)
    refused("InvalidVolume.NotFound", stranger.ec2.create_snapshot, VolumeId=volume)
    refused("InvalidAction", ec2.describe_vpcs)
    open_one = ebs.start_snapshot(VolumeSize=1)["SnapshotId"]
    (data,) = noise(1)
    bad = "INVALID_PARAMETER_VALUE"
    wrong = {"Checksum": "A" * 43 + "="}
    refused("ValidationException", lambda: put(ebs, open_one, 0, data, **wrong), reason=bad)
    refused("ValidationException", lambda: put(ebs, open_one, 2048, data), reason="INVALID_BLOCK")
    refused(
        "ValidationException", ebs.complete_snapshot, reason=bad, SnapshotId=open_one, ChangedBlocksCount=1
    )
    other = upload(cloud, 1, {0: data})
    refused(
        "ValidationException",
        ebs.list_changed_blocks,
        reason="UNRELATED_SNAPSHOTS",
        FirstSnapshotId=snapshot,
        SecondSnapshotId=other,
    )
    gone = "snap-0123456789abcdef0"
    refused("ResourceNotFoundException", ebs.list_snapshot_blocks, 404, SnapshotId=gone)
    refused("ConflictException", conflicting_token, 409, ebs=ebs)


def conflicting_token(ebs):
    first = ebs.start_snapshot(VolumeSize=1, ClientToken="one")["SnapshotId"]
    assert ebs.start_snapshot(VolumeSize=1, ClientToken="one")["SnapshotId"] == first
    ebs.start_snapshot(VolumeSize=2, ClientToken="one")


def lock(cloud):
    """PutParameter without Overwrite is an atomic create."""
    name, put_parameter = {"Name": "/snapmigrate/lock"}, cloud.ssm.put_parameter
    assert put_parameter(**name, Value="me", Type="String")["Version"] == 1
    refused("ParameterAlreadyExists", put_parameter, **name, Value="you", Type="String")
    assert cloud.ssm.get_parameter(**name)["Parameter"]["Value"] == "me"
    cloud.ssm.delete_parameter(**name)
    refused("ParameterNotFound", cloud.ssm.get_parameter, **name)
    assert put_parameter(**name, Value="you", Type="String")["Version"] == 1


def take_away(cloud, volume, snapshots):
    detached = cloud.ec2.detach_volume(VolumeId=volume)
    assert detached["State"] in ("detaching", "detached")
    waiter = cloud.ec2.get_waiter("volume_available")
    waiter.wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    refused("IncorrectState", cloud.ec2.detach_volume, VolumeId=volume)
    cloud.ec2.delete_volume(VolumeId=volume)
    refused("InvalidVolume.NotFound", cloud.ec2.describe_volumes, VolumeIds=[volume])
    for snapshot in snapshots:
        cloud.ec2.delete_snapshot(SnapshotId=snapshot)
        refused("InvalidSnapshot.NotFound", cloud.ec2.describe_snapshots, SnapshotIds=[snapshot])


def main(url, directory):
    source, target = identities(url)
    held = dict(enumerate(noise(120)))
    base = upload(source, 1, held, Description="uploaded")
    assert contents(source, base) == held
    volume = volume_from(source, "us-east-1a", base)
    attach(source, volume)
    first = snapshot_of(source, volume, "round 1")
    assert contents(source, first) == held
    changed = dict(zip((119, 2000), noise(2)))
    write(directory, volume, changed)
    second = snapshot_of(source, volume, "round 2")
    compare_rounds(source, first, second, changed)
    held |= changed
    copy = share_and_copy(source, target, url, second)
    assert contents(target, copy) == held, "the copy holds what its source held"
    restored = volume_from(target, "eu-west-1a", copy, Size=2)
    after = target.ec2.create_snapshot(VolumeId=restored)["SnapshotId"]
    completed(target, after)
    assert contents(target, after) == held, "so does the volume made from it"
    tags_and_filters(source, volume, [first, second])
    refusals(source, url, volume, second)
    lock(source)
    take_away(source, volume, [first, second])
    assert contents(target, copy) == held, "a copy outlives its source"


if __name__ == "__main__":
    began = time.monotonic()
    main(*sys.argv[1:])
    print(f"boto3 session done in {time.monotonic() - began:.1f} s")
