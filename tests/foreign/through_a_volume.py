"""A volume from a snapshot and a snapshot of that volume: python through_a_volume.py URL SNAPSHOT.

Prints the new snapshot's id."""

import sys

from support import Cloud, completed


def main(url, snapshot):
    cloud = Cloud(url, "111111111111", "us-east-1")
    volume = cloud.ec2.create_volume(AvailabilityZone="us-east-1a", SnapshotId=snapshot)["VolumeId"]
    cloud.ec2.get_waiter("volume_available").wait(
        VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    made = cloud.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    completed(cloud, made)
    print(made)


if __name__ == "__main__":
    main(*sys.argv[1:])
