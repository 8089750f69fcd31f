"""Names of files: which objects and files of this host a user's words stand for, and which they do not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from skfleet.files.found import find_files
from skfleet.files.opening import open_files
from skfleet.files.uploads import uploaded
from skfleet.inputs.asked import InputAsked
from skfleet.inputs.opening import open_input
from skfleet.progress import Silent
from skfleet.request import PredictRequest
from skfleet_common.aws.session import Cloud
from skfleet_common.aws.user_files import UserFiles
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.errors import Refused, UsageError
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


def test_nothing_that_is_read_lies_below_what_may_be_replaced(objects: UserObjects) -> None:
    put(objects, "in/a.csv")
    put(objects, "in/manifest", put(objects, "out/part.csv").encode())
    for keys in (["out/part.csv"], ["ou*/part*.csv"], [""], ["in/a.csv", "out/"], ["in/manifest"]):
        names = tuple(f"s3://{BUCKET}/{key}" for key in keys)
        asked = PredictRequest(model="m", csv=names, output="s3://named/out", if_exists=IfExists.REPLACE)
        with pytest.raises(UsageError, match=r"out/part\.csv, .* lies below the output s3://named/out/"):
            open_files(asked, objects, [])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two files, one of which goes by three names; it is the current one."""
    monkeypatch.chdir(tmp_path)
    for name, number in (("a.csv", 1), ("b.csv", 2)):
        Path(name).write_text(f"n,t\n{number},x\n")
    Path("link.csv").symlink_to("a.csv")
    return tmp_path


def read(objects: UserObjects, *names: str) -> dict[str, list[object]]:
    """Give what training reads."""
    asked = InputAsked(csv=names)
    with open_input(
        asked, open_warehouse=NotImplemented, open_files=lambda: objects.files, steps=Silent()
    ) as source:
        return source.read(["n", "t"], steps=Silent()).to_pydict()


def test_no_row_of_a_file_of_this_host_is_read_twice(objects: UserObjects, cloud: Cloud, here: Path) -> None:
    for names, phrase in {
        ("a.csv", "a.csv"): "a.csv is named twice; its rows would count twice",
        ("a.csv", "./a.csv"): "./a.csv is a.csv, which is named already; its rows",
        ("a.csv", "link.csv"): "link.csv is a.csv, which is named already; its rows",
        ("?.csv", "b*"): "b.csv is named twice; its rows would count twice",
    }.items():
        asked = PredictRequest(model="m", csv=names, output_table="t")
        with pytest.raises(Refused, match=re.escape(phrase)), uploaded(asked, cloud, job="j", steps=Silent()):
            pass
        with pytest.raises(Refused, match=re.escape(phrase)):
            read(objects, *names)


def test_training_reads_no_object_twice(objects: UserObjects) -> None:
    url = put(objects, "in/a.csv")
    with pytest.raises(Refused, match="is named twice"):
        read(objects, "s3://named/in/", url)


def test_names_keep_their_order_wherever_they_lead(objects: UserObjects, cloud: Cloud, here: Path) -> None:
    url = put(objects, "in/a.csv", b"n,t\n7,x\n")
    names = ("b.csv", url, "a.csv")
    assert read(objects, *names)["n"] == [2, 7, 1]
    asked = PredictRequest(model="m", csv=names, output_table="t")
    with uploaded(asked, cloud, job="j", steps=Silent()) as there:
        assert [name.rpartition("/")[2] for name in there.csv] == ["b.csv", "a.csv", "a.csv"]
        assert there.csv[1] == url
        cloud.store.delete(list(cloud.store.list_keys(cloud.names.uploads("j"))))


def test_a_pattern_leaves_hidden_names_out_unless_it_writes_what_hides_them(objects: UserObjects) -> None:
    hidden = ("in/.a.csv", "in/_SUCCESS", "in/_tmp/a.csv", "in/_tmp/.a.csv")
    for key in ("in/a.csv", "in/deep/b.csv", "in_2/c.csv", *hidden):
        put(objects, key)
    expected = {
        "*": ["in/a.csv", "in/deep/b.csv", "in_2/c.csv"],
        "in/*": ["in/a.csv", "in/deep/b.csv"],
        "in/?*.csv": ["in/a.csv", "in/deep/b.csv"],
        "in/[!a]*": ["in/deep/b.csv"],
        "in/.*": ["in/.a.csv"],
        "in/_*": ["in/_SUCCESS", "in/_tmp/a.csv"],
        "in/_t*csv": ["in/_tmp/a.csv"],
        "in/_tmp/*": ["in/_tmp/a.csv"],
        "in*/a.csv": ["in/a.csv"],
        "*_2/*": ["in_2/c.csv"],
    }
    found = {it: [one.url.key for one in find_files(objects, [f"s3://{BUCKET}/{it}"])] for it in expected}
    assert found == expected


def test_who_names_a_folder_is_told_its_prefix(objects: UserObjects) -> None:
    put(objects, "in/a.csv")
    with pytest.raises(
        Refused, match=r"s3://named/in is a folder; name what is below it with s3://named/in/\.$"
    ):
        find_files(objects, ["s3://named/in"])


def test_names_that_hold_a_patterns_characters_and_names_that_are_none(
    objects: UserObjects, cloud: Cloud, here: Path
) -> None:
    Path("b[1].csv").write_text("n,t\n3,x\n")
    url = put(objects, "in/b[1].csv", b"n,t\n4,x\n")
    put(objects, "in/b1.csv", b"n,t\n5,x\n")
    assert read(objects, "b[1].csv", url)["n"] == [3, 4]
    asked = PredictRequest(model="m", csv=("b[1].csv", url), output_table="t")
    with uploaded(asked, cloud, job="j", steps=Silent()) as there:
        assert [str(it) for it in find_files(objects, there.csv)] == [*there.csv]
        cloud.store.delete(list(cloud.store.list_keys(cloud.names.uploads("j"))))
    for name in ("s3://nam*/a.csv", "s3://[n]/"):
        with pytest.raises(UsageError, match="has a pattern for its bucket; name each bucket"):
            find_files(objects, [name])
    manifest = put(objects, "manifest", b'{"entries": [{"url": "named/in/b1.csv"}]}')
    with pytest.raises(Refused, match=r"named/in/b1.csv names no object; write s3://BUCKET/KEY\."):
        find_files(objects, [manifest])


def test_training_leaves_objects_without_a_byte_out_as_scoring_does(objects: UserObjects) -> None:
    empty = put(objects, "in/0.csv", b"")
    put(objects, "in/a.csv", b"n,t\n4,x\n")
    assert read(objects, "s3://named/in/")["n"] == read(objects, "s3://named/in/*")["n"] == [4]
    with pytest.raises(Refused, match="is empty; name a file that has rows"):
        read(objects, empty)
