"""Names of files: which objects and files of this host a user's words stand for, and which they do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skfleet.files.opening import open_files
from skfleet.request import PredictRequest
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.jobs import IfExists

BUCKET = "named"


@pytest.fixture
def objects(cloud: Cloud) -> Iterator[UserObjects]:
    """A bucket of the user's own beside the fleet's."""
    client = cloud.store.client
    client.create_bucket(Bucket=BUCKET)
    yield UserObjects(UserFiles(client, cloud.store.where))
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


def put(objects: UserObjects, key: str, body: bytes = b"n,t\n1,x\n") -> str:
    objects.client.put_object(Bucket=BUCKET, Key=key, Body=body)
    return f"s3://{BUCKET}/{key}"


@pytest.mark.parametrize(
    "names",
    [
        ["s3://named/out/part.csv"],
        ["s3://named/ou*/part*.csv"],
        ["s3://named/"],
        ["s3://named/in/a.csv", "s3://named/out/"],
        ["s3://named/in/manifest"],
    ],
)
def test_nothing_that_is_read_lies_below_what_may_be_replaced(objects: UserObjects, names: list[str]) -> None:
    put(objects, "in/a.csv")
    put(objects, "in/manifest", put(objects, "out/part.csv").encode())
    asked = PredictRequest(model="m", csv=tuple(names), output="s3://named/out", if_exists=IfExists.REPLACE)
    with pytest.raises(
        UsageError, match=r"s3://named/out/part\.csv, .* lies below the output s3://named/out/"
    ):
        open_files(asked, objects, [])
