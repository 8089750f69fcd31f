"""Objects written where a user wants them: streamed, whole or not there at all."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.aws.store import CONDITION_CODES
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.contracts.errors import TryAgain
from skfleet_common.retry import cloud_calls

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

#: An object has at most 10,000 parts of at least 5 MB (S3's quotas for multipart uploads): these make 640 GB.
PART_BYTES = 64 * 1024**2
#: DeleteObjects takes a thousand keys (S3 API reference).
_MAX_DELETE_KEYS = 1_000


@dataclass(frozen=True)
class UserWrites:
    """What the fleet's own credentials may write."""

    files: UserFiles

    def put(self, url: ObjectUrl, body: bytes) -> None:
        """Write a small object, whatever was there."""
        with self.faults(url):
            self.files.client.put_object(Bucket=url.bucket, Key=url.key, Body=body)

    def put_if(self, url: ObjectUrl, body: bytes, *, etag: str | None) -> bool:
        """Write a small object if the one there still has ``etag`` (None: if none is there); whether it did.

        When the reply to a first try was lost, the next one finds what the first wrote: False, too.
        """
        for attempt in cloud_calls():
            with attempt, cloud_faults(str(url)):
                try:
                    if etag is None:
                        self.files.client.put_object(
                            Bucket=url.bucket, Key=url.key, Body=body, IfNoneMatch="*"
                        )
                    else:
                        self.files.client.put_object(Bucket=url.bucket, Key=url.key, Body=body, IfMatch=etag)
                except ClientError as exc:
                    if error_code(exc) in CONDITION_CODES:
                        return False
                    meaning = self.files.meaning(exc, url)
                    if meaning is None:
                        raise
                    raise meaning from exc
        return True

    def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects; a key without one is no error."""
        for first in range(0, len(keys), _MAX_DELETE_KEYS):
            batch = keys[first : first + _MAX_DELETE_KEYS]
            with self.faults(ObjectUrl(bucket, batch[0])):
                answer = self.files.client.delete_objects(
                    Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
                )
            if answer.get("Errors"):
                raise TryAgain(f"S3 did not delete {len(answer['Errors'])} objects of {bucket}; try again.")

    def abort_uploads(self, url: ObjectUrl) -> None:
        """Let go of what dead writers left of objects whose keys begin so."""
        with self.faults(url):
            pages = self.files.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=url.bucket, Prefix=url.key
            )
            for upload in [it for page in pages for it in page.get("Uploads", [])]:
                self.files.client.abort_multipart_upload(
                    Bucket=url.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )

    @contextmanager
    def faults(self, url: ObjectUrl) -> Iterator[None]:
        """Say what a refusal of S3 means for an object."""
        with cloud_faults(str(url)):
            try:
                yield
            except ClientError as exc:
                meaning = self.files.meaning(exc, url)
                if meaning is None:
                    raise
                raise meaning from exc


class Upload(io.RawIOBase):
    """An object that is being written: it appears when it is closed without an error, and holds all then."""

    def __init__(self, writes: UserWrites, url: ObjectUrl) -> None:
        super().__init__()
        self._writes = writes
        self._client = writes.files.client
        self._url = url
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._parts: list[CompletedPartTypeDef] = []
        self.size_bytes = 0

    def writable(self) -> bool:
        """It is there to be written."""
        return True

    def write(self, block: Any) -> int:
        """Add bytes; a part of them is sent when it is full."""
        self._buffer += block
        self.size_bytes += len(block)
        while len(self._buffer) >= PART_BYTES:
            self._send(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]
        return len(block)

    def finish(self) -> None:
        """Let the object appear."""
        if self._upload_id is None:
            for attempt in cloud_calls():
                with attempt:
                    self._writes.put(self._url, bytes(self._buffer))
            return
        if self._buffer:
            self._send(bytes(self._buffer))
        for attempt in cloud_calls():
            with attempt, self._writes.faults(self._url):
                self._client.complete_multipart_upload(
                    Bucket=self._url.bucket,
                    Key=self._url.key,
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": self._parts},
                )
        self._upload_id = None

    def give_up(self) -> None:
        """Let go of what was sent."""
        if self._upload_id is not None:
            # Whatever is left of it, clean-up finds.
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(
                    Bucket=self._url.bucket, Key=self._url.key, UploadId=self._upload_id
                )

    def _send(self, block: bytes) -> None:
        number = len(self._parts) + 1
        for attempt in cloud_calls():
            with attempt, self._writes.faults(self._url):
                if self._upload_id is None:
                    self._upload_id = self._client.create_multipart_upload(
                        Bucket=self._url.bucket, Key=self._url.key
                    )["UploadId"]
                sent = self._client.upload_part(
                    Bucket=self._url.bucket,
                    Key=self._url.key,
                    UploadId=self._upload_id,
                    PartNumber=number,
                    Body=block,
                )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})
