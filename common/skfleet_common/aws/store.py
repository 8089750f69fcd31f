"""The object store: one S3 bucket, with conditional writes."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.contracts.errors import EnvironmentFault, SkfleetError, TryAgain
from skfleet_common.retry import cloud_calls

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READ_BYTES = 1024 * 1024
#: DeleteObjects takes a thousand keys (S3 API reference).
MAX_DELETE_KEYS = 1_000

#: S3 answers a condition that does not hold with 412, and If-Match on a missing key with 404.
CONDITION_CODES = frozenset({"PreconditionFailed", "412", "NoSuchKey"})
_NO_KEY_CODES = frozenset({"NoSuchKey", "404"})
#: What S3 says of a key of DeleteObjects that it could not delete just now.
_PASSING_CODES = frozenset({"InternalError", "ServiceUnavailable", "SlowDown"})


class NoSuchObject(SkfleetError):
    """There is no object at a key. The caller says what that means, e.g. no such model."""


@dataclass(frozen=True)
class StoredObject:
    """An object as a listing shows it; both times are by S3's own clock, this host's has no say."""

    key: str
    size_bytes: int
    modified_at: datetime
    age_seconds: float


@dataclass(frozen=True)
class ObjectStore:
    """The objects of one bucket, by key."""

    client: S3Client
    bucket: str
    where: str

    def get(self, key: str) -> bytes:
        """Give an object's bytes.

        Raises:
            NoSuchObject: there is none.
        """
        return self.get_with_tag(key)[0]

    def get_with_tag(self, key: str) -> tuple[bytes, str]:
        """Give an object's bytes and the tag that :meth:`replace` compares."""
        for attempt in cloud_calls():
            with attempt, cloud_faults(self._target):
                try:
                    answer = self.client.get_object(Bucket=self.bucket, Key=key)
                except ClientError as exc:
                    self._name_missing(exc, key)
                    raise
                return answer["Body"].read(), answer["ETag"]
        raise AssertionError  # the policy either returns or raises

    def download(self, key: str, path: Path) -> None:
        """Copy an object into a file, which appears whole or not at all; memory stays small.

        One stream in the calling thread: boto3's own transfer starts threads, which a process that is
        going to fork must not have.
        """
        for attempt in cloud_calls():
            with attempt, cloud_faults(self._target), tempfile.TemporaryDirectory(dir=path.parent) as folder:
                try:
                    answer = self.client.get_object(Bucket=self.bucket, Key=key)
                except ClientError as exc:
                    self._name_missing(exc, key)
                    raise
                part = Path(folder) / "part"
                with part.open("wb") as file:
                    for block in answer["Body"].iter_chunks(_READ_BYTES):
                        file.write(block)
                part.replace(path)

    def put(self, key: str, body: bytes) -> None:
        """Write an object, whatever was there."""
        with cloud_faults(self._target):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_new(self, key: str, body: bytes) -> bool:
        """Write an object unless there is one; give whether this call wrote it.

        When the reply to a first try was lost, boto3's second try finds what the first one wrote: False
        means only that an object stands there.
        """
        return self.replace(key, body, etag=None)

    def put_file_new(self, key: str, path: Path, *, sha256: str) -> bool:
        """Write a file as an object unless there is one; give whether the object there has these bytes.

        S3 checks ``sha256`` (hex) on arrival. The same bytes found there count as written, so that a reply
        which was lost does not fail the attempt that wrote them.
        """
        for attempt in cloud_calls():
            with attempt, cloud_faults(self._target), path.open("rb") as file:
                try:
                    self.client.put_object(
                        Bucket=self.bucket,
                        Key=key,
                        Body=file,
                        IfNoneMatch="*",
                        ChecksumAlgorithm="SHA256",
                        ChecksumSHA256=_as_s3_spells(sha256),
                    )
                except ClientError as exc:
                    if error_code(exc) not in CONDITION_CODES:
                        raise
                    return self.holds(key, sha256=sha256)
        return True

    def holds(self, key: str, *, sha256: str) -> bool:
        """Whether the object at ``key`` is a file with these bytes, by the checksum that S3 took of it."""
        with cloud_faults(self._target):
            try:
                head = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as exc:
                if error_code(exc) in _NO_KEY_CODES:
                    return False
                raise
        return head.get("ChecksumSHA256") == _as_s3_spells(sha256)

    def url(self, key: str) -> str:
        """Give the address by which other services of AWS know the object at ``key``."""
        return f"s3://{self.bucket}/{key}"

    def replace(self, key: str, body: bytes, *, etag: str | None) -> bool:
        """Write an object if the one there still has ``etag`` (None: if none is there); whether it did."""
        for attempt in cloud_calls():
            with attempt, cloud_faults(self._target):
                try:
                    if etag is None:
                        self.client.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")
                    else:
                        self.client.put_object(Bucket=self.bucket, Key=key, Body=body, IfMatch=etag)
                except ClientError as exc:
                    if error_code(exc) in CONDITION_CODES:
                        return False
                    raise
        return True

    def exists(self, key: str) -> bool:
        """Whether there is an object at ``key``."""
        with cloud_faults(self._target):
            try:
                self.client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as exc:
                if error_code(exc) in _NO_KEY_CODES:
                    return False
                raise
        return True

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """Give the objects whose keys begin with ``prefix``, in the order of their keys."""
        with cloud_faults(self._target):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                now = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
                for entry in page.get("Contents", []):
                    # The header is in whole seconds, so that a new object may seem to be of the future.
                    age = max(0.0, (now - entry["LastModified"]).total_seconds())
                    yield StoredObject(entry["Key"], entry["Size"], entry["LastModified"], age)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; a key without one is no error.

        Raises:
            TryAgain: S3 kept failing some of them; deleting all again is harmless.
            EnvironmentFault: S3 refuses to delete one.
        """
        for first in range(0, len(keys), MAX_DELETE_KEYS):
            left = list(keys[first : first + MAX_DELETE_KEYS])
            for attempt in cloud_calls():
                with attempt:
                    left = self._delete_once(left)
                    if left:
                        raise TryAgain(f"S3 did not delete {len(left)} objects of {self._target}; try again.")

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Give the keys that begin with ``prefix``, in order."""
        with cloud_faults(self._target):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for entry in page.get("Contents", []):
                    yield entry["Key"]

    def list_folders(self, prefix: str) -> list[str]:
        """Give the names right below ``prefix`` (which ends in ``/``) that have something below them."""
        with cloud_faults(self._target):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            return [
                folder["Prefix"].removeprefix(prefix).rstrip("/")
                for page in pages
                for folder in page.get("CommonPrefixes", [])
            ]

    def _delete_once(self, keys: Sequence[str]) -> list[str]:
        """Delete one batch and give the keys that S3 failed for a reason which may pass."""
        with cloud_faults(self._target):
            answer = self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        failed = answer.get("Errors", [])
        for entry in failed:
            if entry["Code"] not in _PASSING_CODES:
                raise EnvironmentFault(
                    f"AWS refuses to delete an object of {self._target} ({entry['Code']}); "
                    "allow this role s3:DeleteObject."
                )
        return [entry["Key"] for entry in failed]

    @property
    def _target(self) -> str:
        return f"bucket {self.bucket} at {self.where}"

    def _name_missing(self, error: ClientError, key: str) -> None:
        """Raise what a missing key means; anything else is the edge's to translate."""
        if error_code(error) in _NO_KEY_CODES:
            raise NoSuchObject(f"There is no object {key} in bucket {self.bucket}.") from error


def _as_s3_spells(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()
