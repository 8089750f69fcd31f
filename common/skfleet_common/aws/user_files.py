"""Users' files on S3: objects of any bucket, named by ``s3://`` URLs."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.contracts.errors import EnvironmentFault, Refused, SkfleetError, UsageError, nearest
from skfleet_common.retry import cloud_calls

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEME = "s3://"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
_READ_BYTES = 1024 * 1024
_NO_KEY_CODES = frozenset({"NoSuchKey", "404"})
#: boto3 follows a bucket into its region by itself; these are left where it may not, or cannot.
_OTHER_REGION_CODES = frozenset(
    {
        "PermanentRedirect",
        "TemporaryRedirect",
        "301",
        "307",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
    }
)
#: What a HEAD that was signed for another region is answered, without a body that would say so.
_NO_WORDS_CODE = "400"
#: The action that allows a call (S3's service authorization reference).
_ACTIONS = {
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "DeleteObjects": "s3:DeleteObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "PutObject": "s3:PutObject",
}
_DENIED_CODES = frozenset({"AccessDenied", "403", "AllAccessDisabled"})
#: Neighbours that a suggestion is chosen from.
_SUGGESTED_FROM = 1_000


@dataclass(frozen=True)
class ObjectUrl:
    """A bucket, and a key or a pattern of keys in it."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str) -> ObjectUrl:
        """Read ``s3://bucket/key``.

        Raises:
            UsageError: it has another scheme, no bucket or no key.
        """
        bucket, _, key = url.removeprefix(SCHEME).partition("/")
        if not url.startswith(SCHEME) or not bucket or not key:
            raise UsageError(f"{url} names no object; write s3://BUCKET/KEY.")
        return cls(bucket, key)

    def __str__(self) -> str:
        """Give the URL."""
        return f"{SCHEME}{self.bucket}/{self.key}"


@dataclass(frozen=True)
class UserFiles:
    """What the fleet's own credentials may read on S3."""

    client: S3Client
    #: How messages to people name the cloud.
    where: str

    def download(self, url: ObjectUrl, path: Path, *, on_bytes: Callable[[int, int], None]) -> int:
        """Copy an object into a file, and give its size; ``on_bytes`` hears how much of it is there.

        Raises:
            Refused: there is no such bucket or object.
            EnvironmentFault: it may not be read, or there is no room for it here.
        """
        for attempt in cloud_calls():
            with attempt, cloud_faults(str(url)):
                try:
                    answer = self.client.get_object(Bucket=url.bucket, Key=url.key)
                except ClientError as exc:
                    meaning = self.meaning(exc, url)
                    if meaning is None:
                        raise
                    raise meaning from exc
                return _copy(answer["Body"].iter_chunks(_READ_BYTES), answer["ContentLength"], path, on_bytes)
        raise AssertionError  # the policy either returns or raises

    def _keys(self, bucket: str, prefix: str, *, at_most: int | None = None) -> list[str]:
        url = ObjectUrl(bucket, prefix)
        keys: list[str] = []
        with cloud_faults(str(url)):
            try:
                for page in self.client.get_paginator("list_objects_v2").paginate(
                    Bucket=bucket, Prefix=prefix
                ):
                    keys += [entry["Key"] for entry in page.get("Contents", [])]
                    if at_most is not None and len(keys) >= at_most:
                        break
            except ClientError as exc:
                meaning = self.meaning(exc, url)
                if meaning is None:
                    raise
                raise meaning from exc
        return keys

    def meaning(self, error: ClientError, url: ObjectUrl) -> SkfleetError | None:
        """Give what a refusal means for a user's object; None if it means what it does everywhere."""
        code = error_code(error)
        if code == "NoSuchBucket":
            return Refused(f"There is no bucket {url.bucket} at {self.where}; correct {url}.")
        if code in _DENIED_CODES:
            action = _ACTIONS.get(error.operation_name, error.operation_name)
            return EnvironmentFault(
                f"AWS denies {action} on {url}; allow this role that, or correct the URL."
            )
        here, there = self.client.meta.region_name, _region_of(error)
        if code in _OTHER_REGION_CODES or (code == _NO_WORDS_CODE and there not in {"", here}):
            where = f"region {there}, not in {here}" if there else f"another region than {here}"
            return EnvironmentFault(
                f"The bucket of {url} is in {where}, and the endpoint in use does not lead there; copy its "
                f"files into a bucket in {here}, or use a fleet in {there or 'its region'}."
            )
        if code in _NO_KEY_CODES:
            return self._no_object(url)
        return None

    def _no_object(self, url: ObjectUrl) -> Refused:
        if self._keys(url.bucket, f"{url.key.rstrip('/')}/", at_most=1):
            return Refused(f"{url} is a folder; name what is below it with {str(url).rstrip('/')}/.")
        folder, _, name = url.key.rpartition("/")
        prefix = f"{folder}/" if folder else ""
        others = [key.removeprefix(prefix) for key in self._keys(url.bucket, prefix, at_most=_SUGGESTED_FROM)]
        return Refused(f"There is no object {url}; correct it{nearest(name, others)}")


def _region_of(error: ClientError) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region", ""))


def _copy(blocks: Iterable[bytes], size: int, path: Path, on_bytes: Callable[[int, int], None]) -> int:
    done = 0
    try:
        with path.open("wb") as file:
            for block in blocks:
                file.write(block)
                done += len(block)
                on_bytes(done, size)
    except OSError as exc:
        if exc.errno not in _NO_ROOM:
            raise
        raise EnvironmentFault(
            f"There is no room for {size:,} bytes in {path.parent} ({exc.strerror}); free some or set TMPDIR."
        ) from exc
    return done
