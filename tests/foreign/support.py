"""What the sessions share: clients of an account and region, expected refusals, blocks and their checksums."""

import base64
import hashlib
import os

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BLOCK = 524288


class Cloud:
    """All clients of one account in one region of the lab at `url`."""

    def __init__(self, url, account, region, **credentials):
        credentials = credentials or {
            "aws_access_key_id": account,
            "aws_secret_access_key": "any",
        }
        session = boto3.Session(region_name=region, **credentials)
        once = Config(retries={"max_attempts": 1})

        def client(name):
            return session.client(name, endpoint_url=url, config=once)

        self.account, self.region = account, region
        self.ec2, self.ebs, self.cloudwatch = (
            client("ec2"),
            client("ebs"),
            client("cloudwatch"),
        )
        self.sts, self.ssm = client("sts"), client("ssm")


def refused(code, call, status=None, reason=None, **arguments):
    """Calls, and fails unless the service refuses with this code."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        found = error.response["Error"]["Code"]
        assert found == code, f"{call.__name__}: {found}, not {code}: {error}"
        http = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status in (None, http), f"{call.__name__}: HTTP {http}, not {status}"
        said = error.response.get("Reason")
        assert reason in (None, said), f"{call.__name__}: {said}, not {reason}"
        return
    raise AssertionError(f"{call.__name__} answered {answer}, not {code}")


def checksum(data):
    """The checksum of a block as the EBS direct APIs carry it."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def linear(blocks):
    """The LINEAR aggregate of CompleteSnapshot over {index: data}."""
    digests = b"".join(hashlib.sha256(blocks[index]).digest() for index in sorted(blocks))
    return checksum(digests)


def put(ebs, snapshot, index, data, **changes):
    """PutSnapshotBlock with what it needs, changed by `changes`."""
    wanted = {
        "SnapshotId": snapshot,
        "BlockIndex": index,
        "BlockData": data,
        "DataLength": len(data),
        "Checksum": checksum(data),
        "ChecksumAlgorithm": "SHA256",
    }
    return ebs.put_snapshot_block(**{**wanted, **changes})


def upload(cloud, size_gib, blocks, **more):
    """A snapshot with these blocks, written through the EBS direct APIs."""
    started = cloud.ebs.start_snapshot(VolumeSize=size_gib, **more)
    assert started["BlockSize"] == BLOCK and started["OwnerId"] == cloud.account
    snapshot = started["SnapshotId"]
    for index, data in blocks.items():
        assert put(cloud.ebs, snapshot, index, data)["Checksum"] == checksum(data)
    done = cloud.ebs.complete_snapshot(
        SnapshotId=snapshot,
        ChangedBlocksCount=len(blocks),
        Checksum=linear(blocks),
        ChecksumAlgorithm="SHA256",
        ChecksumAggregationMethod="LINEAR",
    )
    assert done["Status"] in ("pending", "completed")
    completed(cloud, snapshot)
    return snapshot


def completed(cloud, snapshot):
    """Waits until a snapshot is completed and describes it."""
    waiter = cloud.ec2.get_waiter("snapshot_completed")
    waiter.wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return cloud.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]


def listed(call, key, **arguments):
    """All blocks of a listing, page by page, and how many pages were empty."""
    blocks, empty, token = [], 0, None
    while True:
        more = {"NextToken": token} if token else {}
        page = call(**arguments, **more)
        blocks += page[key]
        empty += not page[key]
        token = page.get("NextToken")
        if not token:
            return blocks, empty


def block(ebs, snapshot, index, token):
    """GetSnapshotBlock, its checksum compared."""
    got = ebs.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=token)
    data = got["BlockData"].read()
    assert got["DataLength"] == BLOCK == len(data)
    assert got["Checksum"] == checksum(data) and got["ChecksumAlgorithm"] == "SHA256"
    return data


def contents(cloud, snapshot):
    """{index: data} of everything a snapshot holds."""
    entries, _ = listed(cloud.ebs.list_snapshot_blocks, "Blocks", SnapshotId=snapshot, MaxResults=100)
    indices = [entry["BlockIndex"] for entry in entries]
    assert indices == sorted(set(indices)), "blocks come once and ascending"
    return {
        entry["BlockIndex"]: block(cloud.ebs, snapshot, entry["BlockIndex"], entry["BlockToken"])
        for entry in entries
    }


def noise(count):
    """Blocks that no two of are alike."""
    return [os.urandom(BLOCK) for _ in range(count)]
