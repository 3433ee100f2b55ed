"""A lab with a scenario as boto3 sees it: python scenario_session.py URL VOLUME.

Write history in CloudWatch, limits per volume, and sets that complete together.
"""

import sys
from datetime import datetime, timedelta, timezone

from support import Cloud, refused

SOURCE, INSTANCE = "111111111111", "i-0db00000000000001"


def history(cloud, volume, metric, period, start, end):
    stat = {
        "Metric": {
            "Namespace": "AWS/EBS",
            "MetricName": metric,
            "Dimensions": [{"Name": "VolumeId", "Value": volume}],
        },
        "Period": period,
        "Stat": "Sum",
    }
    pages = cloud.cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[{"Id": "sums", "MetricStat": stat}],
        StartTime=start,
        EndTime=end,
        ScanBy="TimestampAscending",
        PaginationConfig={"PageSize": 100},
    )
    points = []
    for page in pages:
        (result,) = page["MetricDataResults"]
        points += zip(result["Timestamps"], result["Values"])
    return points


def writes(cloud, volume):
    """Minutes add up to coarser periods, and other metrics are empty."""
    now = datetime.now(timezone.utc)
    end = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    start = end - timedelta(hours=6)
    fine = history(cloud, volume, "VolumeWriteBytes", 60, start, end)
    coarse = history(cloud, volume, "VolumeWriteBytes", 3600, start, end)
    operations = history(cloud, volume, "VolumeWriteOps", 60, start, end)
    assert len(fine) == 360 and len(coarse) == 6, (len(fine), len(coarse))
    assert [time for time, _ in fine] == [start + timedelta(minutes=m) for m in range(360)]
    assert sum(value for _, value in fine) == sum(value for _, value in coarse) > 0
    assert sum(value for _, value in operations) > 0
    assert history(cloud, volume, "VolumeQueueLength", 60, start, end) == []
    assert history(cloud, "vol-0123456789abcdef0", "VolumeWriteBytes", 60, start, end) == []
    refused(
        "ValidationError",
        cloud.cloudwatch.get_metric_data,
        MetricDataQueries=[
            {
                "Id": "w",
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/EBS", "MetricName": "VolumeWriteBytes"},
                    "Period": 60,
                    "Stat": "Sum",
                },
            }
        ],
        StartTime=end,
        EndTime=start,
    )


def limits(cloud, volume):
    """One CreateSnapshot a volume within 15 seconds; a set of all data volumes at one point in time."""
    group = {"InstanceId": INSTANCE, "ExcludeBootVolume": True}
    made = cloud.ec2.create_snapshots(InstanceSpecification=group)["Snapshots"]
    assert len(made) == 2 and len({entry["StartTime"] for entry in made}) == 1, made
    too_soon = "SnapshotCreationPerVolumeRateExceeded"
    refused(too_soon, cloud.ec2.create_snapshot, 400, VolumeId=volume)


def throttled(cloud):
    """Bursts beyond the request bucket are refused: as soon as they outran its refill, however slow the machine."""
    for _ in range(10_000):
        try:
            cloud.ec2.describe_snapshots(OwnerIds=["self"])
        except cloud.ec2.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "RequestLimitExceeded", error
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            return
    raise AssertionError("10,000 describes in a row were all answered")


def main(url, volume):
    cloud = Cloud(url, SOURCE, "us-east-1")
    writes(cloud, volume)
    limits(cloud, volume)
    throttled(cloud)


if __name__ == "__main__":
    main(*sys.argv[1:])
    print("scenario session done")
