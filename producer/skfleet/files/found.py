"""Found files: what a user's words for them (a file, a prefix, a pattern, a manifest) name on S3."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skfleet.inputs.files import is_pattern
from skfleet_common.aws.user_files import SCHEME, ObjectUrl
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.errors import Refused, UsageError

#: A manifest is no larger; one of 100,000 files is.
_MANIFEST_BYTES = 32 * 1024**2
#: What tells a manifest: it is a JSON object, or a list of addresses.
_BEGINNING_BYTES = 512
_OBJECT = "{"

#: Requests under way at a time, where each file costs one.
THREADS = 16


def find_files(objects: UserObjects, names: Sequence[str]) -> list[UserObject]:
    """Give every object that is named, in order.

    Raises:
        Refused: there is none, one is named twice, or a manifest names what is not there.
        UsageError: a name is no S3 address.
    """
    found = [it for name in names for it in find_named(objects, name)]
    refuse_same_objects(found)
    return found


def refuse_same_objects(found: Iterable[UserObject]) -> None:
    """Refuse an object that is there twice.

    Raises:
        Refused: its rows would count twice.
    """
    twice = [url for url, times in Counter(str(it) for it in found).items() if times > 1]
    if twice:
        raise Refused(f"{twice[0]} is named twice; its rows would count twice, so name it once.")


def find_named(objects: UserObjects, name: str) -> list[UserObject]:
    """Give every object that one name stands for, in order.

    Raises:
        Refused: there is none, or a manifest names what is not there.
        UsageError: the name is no S3 address.
    """
    if not name.startswith(SCHEME):
        raise UsageError(f"{name} is no address on S3; write s3://BUCKET/KEY.")
    bucket, _, key = name.removeprefix(SCHEME).partition("/")
    if is_pattern(bucket):
        raise UsageError(f"{name} has a pattern for its bucket; name each bucket, and patterns of its keys.")
    if bucket and (not key or key.endswith("/")):
        return objects.below(ObjectUrl(bucket, key))
    url = ObjectUrl.parse(name)
    found = objects.matching(url) if is_pattern(url.key) else [objects.look(url)]
    if found[0].url != url:
        return found
    one = found[0]
    entries = _manifest(objects, one)
    return [one] if entries is None else _of_manifest(objects, one, entries)


def _manifest(objects: UserObjects, one: UserObject) -> list[tuple[str, int | None]] | None:
    """Give what a manifest names, with sizes where it tells them; None if the file is none."""
    if not one.size_bytes:
        return None
    start = _text(objects.bytes_of(one, 0, min(one.size_bytes, _BEGINNING_BYTES)))
    if not start.startswith((_OBJECT, SCHEME)):
        return None
    if one.size_bytes > _MANIFEST_BYTES:
        raise Refused(
            f"{one} begins like a manifest, and is larger than {_MANIFEST_BYTES // 1024**2} MB; name the "
            "prefix of its files, or several manifests."
        )
    text = _text(objects.bytes_of(one, 0, one.size_bytes))
    if start.startswith(SCHEME):
        return [(line.strip(), None) for line in text.splitlines() if line.strip()]
    try:
        return list(_entries(json.loads(text)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise Refused(
            f'{one} begins with {_OBJECT}, and is no manifest; it should read {{"entries": [{{"url": '
            '"s3://…"}, …]}, as UNLOAD has it.'
        ) from exc


def _text(raw: bytes) -> str:
    return raw.decode("utf-8-sig", errors="replace").lstrip()


def _entries(manifest: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
    for entry in manifest["entries"]:
        url, size = entry["url"], (entry.get("meta") or {}).get("content_length")
        if not isinstance(url, str) or not isinstance(size, int | None):
            raise TypeError
        yield url, size


def _of_manifest(
    objects: UserObjects, manifest: UserObject, entries: Sequence[tuple[str, int | None]]
) -> list[UserObject]:
    if not entries:
        raise Refused(f"{manifest} names no files; write it anew.")

    def look(entry: tuple[str, int | None]) -> UserObject:
        url, size = entry
        try:
            found = objects.look(ObjectUrl.parse(url))
        except (Refused, UsageError) as refusal:
            raise Refused(f"The manifest {manifest} names what is not there: {refusal}") from refusal
        if size is not None and size != found.size_bytes:
            raise Refused(
                f"{url} has {found.size_bytes:,} bytes, but {size:,} by the manifest {manifest}: it changed "
                "since; write both anew."
            )
        return found

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(look, entries))
