"""Users' files on S3: any bucket that the credentials may read, and a sentence for what is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skfleet.inputs.asked import InputAsked
from skfleet.inputs.opening import open_input
from skfleet.progress import Silent
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.contracts.errors import EnvironmentFault, Refused, UsageError
from skfleet_common.tables.port import Warehouse


@pytest.fixture
def files(cloud: Cloud) -> Iterator[UserFiles]:
    """A bucket of the user's own beside the fleet's."""
    client = cloud.store.client
    client.create_bucket(Bucket="users-own")
    for key, text in {
        "in/a.csv": "n,t\n1,x\n",
        "in/b.csv": "n,t\n2,y\n",
        "in/deep/c.csv": "n,t\n3,z\n",
        "in/empty.csv": "",
        "odd key/[ü].csv": "n,t\n4,w\n",
    }.items():
        client.put_object(Bucket="users-own", Key=key, Body=text.encode())
    yield UserFiles(client, cloud.store.where)
    for entry in client.list_objects_v2(Bucket="users-own").get("Contents", []):
        client.delete_object(Bucket="users-own", Key=entry["Key"])
    client.delete_bucket(Bucket="users-own")


def no_warehouse() -> Warehouse:
    raise AssertionError("files need no warehouse")


def read(files: UserFiles, *urls: str) -> dict[str, list[object]]:
    with open_input(
        InputAsked(csv=urls), open_warehouse=no_warehouse, open_files=lambda: files, steps=Silent()
    ) as source:
        return source.read(["n", "t"], steps=Silent()).to_pydict()


@pytest.mark.parametrize(
    ("url", "numbers"),
    [
        ("s3://users-own/in/a.csv", [1]),
        ("s3://users-own/in/[ab].csv", [1, 2]),
        ("s3://users-own/in/d*.csv", [3]),
        ("s3://users-own/odd key/*", [4]),
        ("s3://users-own/in/deep/", [3]),
    ],
)
def test_objects_are_read_by_url_or_by_pattern(files: UserFiles, url: str, numbers: list[int]) -> None:
    assert read(files, url)["n"] == numbers


def test_files_here_and_on_s3_are_read_as_one(files: UserFiles, tmp_path: Path) -> None:
    (tmp_path / "here.csv").write_text("n,t\n7,q\n")
    assert read(files, str(tmp_path / "here.csv"), "s3://users-own/in/a.csv")["n"] == [7, 1]


def test_what_was_downloaded_is_named_by_its_url_and_removed_in_the_end(files: UserFiles) -> None:
    asked = InputAsked(csv=("s3://users-own/in/a.csv",))
    with open_input(asked, open_warehouse=no_warehouse, open_files=lambda: files, steps=Silent()) as source:
        assert source.label == source.origin.files[0].name == "s3://users-own/in/a.csv"
        path = source.files[0].csv.file.path  # type: ignore[attr-defined]
        assert path.exists()
    assert not path.exists()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("url", "phrase"),
    [
        ("s3://nobodys-bucket/a.csv", "There is no bucket nobodys-bucket"),
        ("s3://nobodys-bucket/*.csv", "There is no bucket nobodys-bucket"),
        (
            "s3://users-own/in/aa.csv",
            "There is no object s3://users-own/in/aa.csv; correct it; did you mean a.csv?",
        ),
        ("s3://users-own/in", "is a folder"),
        ("s3://users-own/in/*.tsv", "No object matches"),
        ("s3://users-own/in/empty.csv", "s3://users-own/in/empty.csv is empty"),
    ],
)
def test_what_is_not_there_is_said(files: UserFiles, url: str, phrase: str) -> None:
    with pytest.raises(Refused) as refused:
        read(files, url)
    assert phrase in str(refused.value)


@pytest.mark.parametrize("url", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key"])
def test_a_url_names_bucket_and_key(url: str) -> None:
    with pytest.raises(UsageError, match="s3://BUCKET/KEY"):
        ObjectUrl.parse(url)


def test_a_bucket_name_that_none_can_have_is_refused(files: UserFiles) -> None:
    with pytest.raises((Refused, EnvironmentFault)):
        read(files, "s3://no_such bucket!/a.csv")
