"""The object store on a real S3 API."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.contract.aws_emulator import new_settings
from tests.contract.scripted_endpoint import Answer, scripted_endpoint

from skfleet_common.aws.clients import open_clients
from skfleet_common.aws.session import Cloud, create_fleet
from skfleet_common.aws.store import NoSuchObject, ObjectStore
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.settings import Settings


@pytest.fixture
def store(cloud: Cloud) -> ObjectStore:
    return cloud.store


@contextmanager
def store_at(url: str) -> Iterator[ObjectStore]:
    clients = open_clients(Settings(aws_endpoint_url=url))
    try:
        yield ObjectStore(clients.s3, "bucket", url)
    finally:
        clients.s3.close()


def test_what_is_put_is_got(store: ObjectStore) -> None:
    store.put("folder/key", b"bytes")
    store.put("folder/key", b"other bytes")
    assert store.get("folder/key") == b"other bytes"
    assert store.exists("folder/key")


def test_a_missing_object_is_named(store: ObjectStore, tmp_path: Path) -> None:
    assert not store.exists("missing")
    with pytest.raises(NoSuchObject, match="missing"):
        store.get("missing")
    with pytest.raises(NoSuchObject, match="missing"):
        store.download("missing", tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_a_new_object_never_replaces_one(store: ObjectStore) -> None:
    assert store.put_new("key", b"first")
    assert not store.put_new("key", b"second")
    assert store.get("key") == b"first"


def test_of_many_that_put_a_new_object_at_once_one_does(store: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        wrote = list(threads.map(lambda n: store.put_new("key", b"%d" % n), range(16)))
    assert sum(wrote) == 1
    assert store.get("key") == b"%d" % wrote.index(True)


def test_a_file_put_again_counts_as_written_and_other_bytes_do_not(
    store: ObjectStore, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    for content, expected in ((b"ours", True), (b"ours", True), (b"theirs", False)):
        file.write_bytes(content)
        assert store.put_file_new("key", file, sha256=hashlib.sha256(content).hexdigest()) is expected
    assert store.get("key") == b"ours"


def test_a_file_whose_bytes_are_not_those_of_its_checksum_is_refused(
    store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"altered")
    with pytest.raises(EnvironmentFault, match="PutObject"):
        store.put_file_new("key", tmp_path / "file", sha256=hashlib.sha256(b"original").hexdigest())
    assert not store.exists("key")


def test_a_downloaded_file_replaces_the_old_one_whole(store: ObjectStore, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    store.put("key", content)
    (tmp_path / "file").write_bytes(b"old")
    store.download("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_replacing_wants_the_tag_that_was_read(store: ObjectStore) -> None:
    assert store.replace("key", b"one", etag=None)
    assert not store.replace("key", b"two", etag=None)
    _, tag = store.get_with_tag("key")
    assert store.replace("key", b"two", etag=tag)
    assert not store.replace("key", b"three", etag=tag)
    assert store.get("key") == b"two"


def test_replacing_what_was_deleted_fails(store: ObjectStore) -> None:
    assert not store.replace("missing", b"", etag='"0"')
    assert not store.exists("missing")


def test_all_keys_are_listed_page_after_page(store: ObjectStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: store.put(f"many/{n:04d}", b""), range(1_001)))
    store.put("other/key", b"")
    assert list(store.list_keys("many/")) == [f"many/{n:04d}" for n in range(1_001)]


def test_folders_are_listed_by_name(store: ObjectStore) -> None:
    for key in ("models/b/1/file", "models/a/1/file", "models/a/2/file", "models/loose", "jobs/j/file"):
        store.put(key, b"")
    assert store.list_folders("models/") == ["a", "b"]
    assert store.list_folders("nothing/") == []


def test_a_body_that_is_cut_off_is_read_again() -> None:
    cut, whole = Answer(b"who", promised=10), Answer(b"whole body")
    with scripted_endpoint([cut, whole]) as endpoint, store_at(endpoint.url) as store:
        assert store.get("key") == b"whole body"


def test_a_download_that_is_cut_off_is_made_again(tmp_path: Path) -> None:
    cut, whole = Answer(b"who", promised=10), Answer(b"whole body")
    with scripted_endpoint([cut, whole]) as endpoint, store_at(endpoint.url) as store:
        store.download("key", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"whole body"


def test_objects_are_listed_with_size_and_age_by_the_stores_own_clock() -> None:
    page = """<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>k</Key>
    <Size>7</Size><LastModified>2001-02-03T04:05:00.250Z</LastModified></Contents></ListBucketResult>"""
    dated = Answer(page.encode(), date="Sat, 03 Feb 2001 04:06:00 GMT")
    with scripted_endpoint([dated]) as endpoint, store_at(endpoint.url) as store:
        (found,) = store.list_objects("")
    assert (found.key, found.size_bytes, found.age_seconds) == ("k", 7, 59.75)


def test_a_new_object_has_no_age(store: ObjectStore) -> None:
    store.put("new/key", b"bytes")
    (found,) = store.list_objects("new/")
    assert (found.key, found.size_bytes) == ("new/key", 5)
    assert 0 <= found.age_seconds < 60


def test_more_objects_are_deleted_than_one_request_takes(store: ObjectStore) -> None:
    keys = [f"many/{n:04d}" for n in range(1_001)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: store.put(key, b""), [*keys, "other"]))
    store.delete([*keys, "missing"])
    store.delete([])
    assert list(store.list_keys("")) == ["other"]


def _undeleted(code: str) -> Answer:
    return Answer(f"<DeleteResult><Error><Key>b</Key><Code>{code}</Code></Error></DeleteResult>".encode())


def test_objects_that_s3_failed_to_delete_are_deleted_again_alone() -> None:
    with (
        scripted_endpoint([_undeleted("InternalError"), Answer(b"<DeleteResult/>")]) as endpoint,
        store_at(endpoint.url) as store,
    ):
        store.delete(["a", "b"])
    assert [re.findall("<Key>(.)</Key>", body) for body in endpoint.bodies] == [["a", "b"], ["b"]]


def test_an_object_that_may_not_be_deleted_is_told() -> None:
    with (
        scripted_endpoint([_undeleted("AccessDenied")]) as endpoint,
        store_at(endpoint.url) as store,
        pytest.raises(EnvironmentFault, match="DeleteObject"),
    ):
        store.delete(["a", "b"])


def test_a_fleet_lets_the_leftovers_of_its_jobs_expire_and_keeps_the_rules_of_others(
    aws_endpoint: str,
) -> None:
    first, second = new_settings(aws_endpoint), new_settings(aws_endpoint)
    second = second.model_copy(update={"bucket": first.bucket, "retention_days": 30})
    for settings in (first, second, second):
        create_fleet(settings)
    clients = open_clients(first)
    rules = clients.s3.get_bucket_lifecycle_configuration(Bucket=str(first.bucket))["Rules"]
    clients.s3.close()
    assert {(rule["Filter"]["Prefix"], rule["Expiration"]["Days"]) for rule in rules} == {
        (f"{first.fleet}/jobs/", 90),
        (f"{second.fleet}/jobs/", 30),
    }
    assert len(rules) == 2
