"""Users' objects on S3 that are read in parts: which there are, and ranges of their bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.aws.user_files import ObjectUrl, UserFiles
from skfleet_common.contracts.errors import Refused, SourceChanged, TryAgain
from skfleet_common.contracts.slices import ObjectPart
from skfleet_common.retry import cloud_calls

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHANGED_CODES = frozenset({"PreconditionFailed", "412"})
_GONE_CODES = frozenset({"NoSuchKey", "404"})
#: What listings leave out of a folder: notes of whoever wrote it, as Hadoop and its successors have it.
_HIDDEN = ("_", ".")


@dataclass(frozen=True)
class UserObject:
    """An object as it was when it was found; whoever reads it later reads this very one."""

    url: ObjectUrl
    size_bytes: int
    etag: str

    @classmethod
    def of(cls, part: ObjectPart) -> UserObject:
        """Give the object of a planned part."""
        return cls(ObjectUrl.parse(part.uri), part.size_bytes, part.etag)

    def __str__(self) -> str:
        """Give its URL."""
        return str(self.url)


@dataclass(frozen=True)
class UserObjects:
    """What the fleet's own credentials may read, by parts."""

    files: UserFiles

    @property
    def client(self) -> S3Client:
        """The client for S3."""
        return self.files.client

    def look(self, url: ObjectUrl) -> UserObject:
        """Find one object.

        Raises:
            Refused: there is no such bucket or object.
            EnvironmentFault: it may not be read.
        """
        with self._faults(url):
            head = self.client.head_object(Bucket=url.bucket, Key=url.key)
        return UserObject(url, head["ContentLength"], head["ETag"])

    def below(self, url: ObjectUrl) -> list[UserObject]:
        """Find the objects below a prefix, in the order of their keys, without those that notes are in.

        Raises:
            Refused: there is none.
        """
        found = [it for it in self._listed(url) if not _is_hidden(it.url.key.removeprefix(url.key))]
        if not found:
            raise Refused(f"There is no object below {url}; correct it.")
        return found

    def everything(self, url: ObjectUrl) -> list[UserObject]:
        """Find whatever is below a prefix, notes included; there may be nothing."""
        return list(self._listed(url))

    def matching(self, url: ObjectUrl) -> list[UserObject]:
        """Find the objects whose keys match a pattern, in the order of their keys.

        Notes are left out as below a prefix, unless the pattern writes what such a name begins with. An
        object whose very key it is, is meant alone.

        Raises:
            Refused: none does.
        """
        written = [_literal(part) for part in url.key.split("/") if part.startswith(_HIDDEN)]
        found: list[UserObject] = []
        for it in self._listed(ObjectUrl(url.bucket, _literal(url.key))):
            if it.url == url:
                return [it]
            if fnmatchcase(it.url.key, url.key) and not _is_hidden(it.url.key, but=written):
                found.append(it)
        if not found:
            raise Refused(f"No object matches {url}; correct it.")
        return found

    def whole(self, url: ObjectUrl) -> tuple[bytes, str] | None:
        """Give the bytes of a small object, with its ETag; None if there is no object."""
        for attempt in cloud_calls():
            with attempt, cloud_faults(str(url)):
                try:
                    answer = self.client.get_object(Bucket=url.bucket, Key=url.key)
                except ClientError as exc:
                    if error_code(exc) in _GONE_CODES:
                        return None
                    meaning = self.files.meaning(exc, url)
                    if meaning is None:
                        raise
                    raise meaning from exc
                return answer["Body"].read(), answer["ETag"]
        raise AssertionError  # the policy either returns or raises

    def bytes_of(self, found: UserObject, first: int, stop: int) -> bytes:
        """Give the bytes ``[first, stop)`` of an object.

        Raises:
            SourceChanged: it is another one by now, or gone.
        """
        with RangedStream(self, found, first, stop) as stream:
            return stream.read()

    def stream(self, found: UserObject, first: int = 0, stop: int | None = None) -> RangedStream:
        """Stream the bytes ``[first, stop)`` of an object."""
        return RangedStream(self, found, first, found.size_bytes if stop is None else stop)

    def open_body(self, found: UserObject, first: int, stop: int) -> Any:
        """Ask S3 for the bytes ``[first, stop)``, at least one."""
        with self._faults(found.url, is_planned=True):
            return self.client.get_object(
                Bucket=found.url.bucket,
                Key=found.url.key,
                Range=f"bytes={first}-{stop - 1}",
                IfMatch=found.etag,
            )["Body"]

    def _listed(self, url: ObjectUrl) -> Iterator[UserObject]:
        with self._faults(url):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=url.bucket, Prefix=url.key
            ):
                for entry in page.get("Contents", []):
                    if not entry["Key"].endswith("/"):
                        yield UserObject(ObjectUrl(url.bucket, entry["Key"]), entry["Size"], entry["ETag"])

    @contextmanager
    def _faults(self, url: ObjectUrl, *, is_planned: bool = False) -> Iterator[None]:
        with cloud_faults(str(url)):
            try:
                yield
            except ClientError as exc:
                code = error_code(exc)
                if is_planned and code in _CHANGED_CODES:
                    raise SourceChanged(
                        f"{url} is not the file any more that the job was planned on; submit it again when "
                        "the files stand still."
                    ) from exc
                if is_planned and code in _GONE_CODES:
                    raise SourceChanged(
                        f"{url} is gone since the job was planned; put it back, or submit the job again."
                    ) from exc
                meaning = self.files.meaning(exc, url)
                if meaning is None:
                    raise
                raise meaning from exc


class RangedStream(io.RawIOBase):
    """A range of an object's bytes, asked for once; a broken connection is taken up where it broke."""

    def __init__(self, objects: UserObjects, found: UserObject, first: int, stop: int) -> None:
        super().__init__()
        self._objects = objects
        self._found = found
        self._stop = stop
        self._body: Any = None
        #: The next byte of the object to be read.
        self.position = first

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes, ``size`` of them where the range has so many.

        Raises:
            SourceChanged: the object is another one by now, or gone.
            TryAgain: the connection broke again and again.
        """
        left = self._stop - self.position
        wanted = left if size < 0 else min(size, left)
        blocks: list[bytes] = []
        while wanted > 0:
            block = self._block(wanted)
            wanted -= len(block)
            blocks.append(block)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self) -> None:
        """Let go of the connection."""
        self._drop()
        super().close()

    def _block(self, size: int) -> bytes:
        for attempt in cloud_calls():
            with attempt:
                try:
                    return self._read(size)
                except BaseException:
                    self._drop()
                    raise
        raise AssertionError  # the policy either returns or raises

    def _read(self, size: int) -> bytes:
        if self._body is None:
            self._body = self._objects.open_body(self._found, self.position, self._stop)
        with cloud_faults(str(self._found)):
            block: bytes = self._body.read(size)
        if not block:
            raise TryAgain(f"The connection to {self._found} broke; try again.")
        self.position += len(block)
        return block

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


def _literal(pattern: str) -> str:
    """Give what every match of a pattern begins with."""
    return pattern[: min((pattern.find(mark) for mark in "*?[" if mark in pattern), default=len(pattern))]


def _is_hidden(name: str, *, but: Sequence[str] = ()) -> bool:
    parts = (part for part in name.split("/") if part.startswith(_HIDDEN))
    return any(not part.startswith(tuple(but)) for part in parts)
