"""A glimpse of an object: what S3 says of it, and its last bytes, without fetching it."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from botocore.exceptions import ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.aws.store import NoSuchObject, ObjectStore
from skfleet_common.retry import cloud_calls

#: What S3 answers where there is no object, or not the one that was asked for.
_GONE_CODES = frozenset({"NoSuchKey", "404", "PreconditionFailed", "412"})


@dataclass(frozen=True)
class Glimpse:
    """An object as S3 describes it."""

    size_bytes: int
    #: What changes whenever the object is written.
    etag: str
    #: Of all its bytes, hex, by S3's own reckoning when they arrived; None if nobody asked for it then.
    sha256: str | None


def glimpse(store: ObjectStore, key: str) -> Glimpse:
    """Describe the object at ``key``.

    Raises:
        NoSuchObject: there is none.
    """
    for attempt in cloud_calls():
        with attempt, cloud_faults(f"bucket {store.bucket} at {store.where}"):
            try:
                head = store.client.head_object(Bucket=store.bucket, Key=key, ChecksumMode="ENABLED")
            except ClientError as exc:
                raise _gone(exc, store, key) from exc
            return Glimpse(head["ContentLength"], head["ETag"], _as_hex(head.get("ChecksumSHA256")))
    raise AssertionError  # the policy either returns or raises


def tail_of(store: ObjectStore, key: str, size_bytes: int, *, etag: str) -> bytes:
    """Give the last bytes of the object that has ``etag``.

    Raises:
        NoSuchObject: there is none, or another one by now.
    """
    for attempt in cloud_calls():
        with attempt, cloud_faults(f"bucket {store.bucket} at {store.where}"):
            try:
                answer = store.client.get_object(
                    Bucket=store.bucket, Key=key, Range=f"bytes=-{size_bytes}", IfMatch=etag
                )
            except ClientError as exc:
                raise _gone(exc, store, key) from exc
            return answer["Body"].read()
    raise AssertionError  # the policy either returns or raises


def _gone(error: ClientError, store: ObjectStore, key: str) -> Exception:
    """Give what a missing object means; anything else is the edge's to translate."""
    if error_code(error) in _GONE_CODES:
        return NoSuchObject(f"There is no such object {key} in bucket {store.bucket}.")
    return error


def _as_hex(spelled: str | None) -> str | None:
    # The checksum of an object that came in parts is of the parts' checksums, and ends in their number.
    return None if spelled is None or "-" in spelled else base64.b64decode(spelled).hex()
