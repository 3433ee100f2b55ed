"""The AWS CLI against the lab: python aws_cli_session.py URL. Runs the `aws` beside this Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

AWS = str(Path(sys.executable).parent / "aws")


def run(url, account, region, *words):
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": region,
        "AWS_DEFAULT_OUTPUT": "json",
        "AWS_PAGER": "",
    }
    command = [AWS, "--endpoint-url", url, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def aws(url, account, region, *words):
    """The answer of a command that must succeed, parsed."""
    done = run(url, account, region, *words)
    assert done.returncode == 0, f"aws {' '.join(words)}: {done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else None


def main(url):
    def source(*words):
        return aws(url, "111111111111", "us-east-1", *words)

    def target(*words):
        return aws(url, "222222222222", "eu-west-1", *words)

    zone = ("--availability-zone", "us-east-1a")
    volume = source("ec2", "create-volume", *zone, "--size", "1", "--volume-type", "gp3")["VolumeId"]
    source("ec2", "wait", "volume-available", "--volume-ids", volume)
    tags = "ResourceType=snapshot,Tags=[{Key=round,Value=1}]"
    take = ("ec2", "create-snapshot", "--volume-id", volume, "--tag-specifications", tags)
    first, second = (source(*take)["SnapshotId"] for _ in range(2))
    assert source(
        "ec2", "describe-snapshots", "--filters", "Name=tag:round,Values=1",
        "--query", "sort(Snapshots[].SnapshotId)",
    ) == sorted([first, second])
    source("ec2", "wait", "snapshot-completed", "--snapshot-ids", first, second)
    assert source(
        "ec2", "describe-snapshots", "--snapshot-ids", second,
        "--query", "Snapshots[0].{state: State, volume: VolumeId, progress: Progress}",
    ) == {"state": "completed", "volume": volume, "progress": "100%"}
    pair = ("--first-snapshot-id", first, "--second-snapshot-id", second)
    changed = source("ebs", "list-changed-blocks", *pair)
    assert changed["ChangedBlocks"] == [] and changed["BlockSize"] == 524288
    source(
        "ec2", "modify-snapshot-attribute", "--snapshot-id", second,
        "--attribute", "createVolumePermission", "--operation-type", "add",
        "--user-ids", "222222222222",
    )
    copy = target(
        "ec2", "copy-snapshot", "--source-region", "us-east-1", "--source-snapshot-id", second,
        "--description", "by hand",
    )["SnapshotId"]
    target("ec2", "wait", "snapshot-completed", "--snapshot-ids", copy)
    made = target(
        "ec2", "create-volume", "--availability-zone", "eu-west-1a", "--snapshot-id", copy
    )
    assert made["Size"] == 1 and made["SnapshotId"] == copy
    refused = run(url, "111111111111", "us-east-1", *take, "--dry-run")
    assert refused.returncode != 0 and "DryRunOperation" in refused.stderr, refused.stderr


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("AWS CLI session done")
