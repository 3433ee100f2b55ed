"""Sets moto's server up for measuring: python moto_stage.py URL. Prints the ids as JSON."""

import json
import sys
import time

import boto3


def main(url):
    session = boto3.Session(
        region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
    )
    ec2 = session.client("ec2", endpoint_url=url)
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]

    def instance():
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
        return made["InstanceId"], made["Placement"]["AvailabilityZone"]

    def volume(zone, size):
        return ec2.create_volume(AvailabilityZone=zone, Size=size, VolumeType="gp3")["VolumeId"]

    database, zone = instance()
    bare, _ = instance()
    other, _ = instance()
    data, wal, loose, elsewhere = (volume(zone, size) for size in (10, 20, 5, 7))
    for volume_id, instance_id, device in (
        (data, database, "/dev/sdf"),
        (wal, database, "/dev/sdg"),
        (elsewhere, other, "/dev/sdf"),
    ):
        ec2.attach_volume(VolumeId=volume_id, InstanceId=instance_id, Device=device)
    snapshots = []
    for _ in range(2):
        snapshots += [ec2.create_snapshot(VolumeId=v)["SnapshotId"] for v in (data, wal)]
        time.sleep(1.1)  # moto's times are whole seconds
    root = ec2.describe_instances(InstanceIds=[database])["Reservations"][0]["Instances"][0]
    mapped = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in root["BlockDeviceMappings"]}
    print(
        json.dumps(
            {
                "instance": database,
                "bare": bare,
                "data": data,
                "wal": wal,
                "loose": loose,
                "elsewhere": elsewhere,
                "root": mapped[root["RootDeviceName"]],
                "snapshots": snapshots,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
