"""Damage: whatever a message, a stored object, a bundle or a setting became, it is read or refused."""

from __future__ import annotations

import functools
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.mutations import CANARY, TOKENS, damaged
from tests.unit.test_shapes import TODAY

from model_samples import fit_shop
from skfleet_common.contracts.errors import (
    BundleRefused,
    NewerMessage,
    SkfleetError,
    UnreadableMessage,
    UsageError,
)
from skfleet_common.contracts.messages import ChunkMessage, PublishMessage, decode, encode
from skfleet_common.contracts.shapes import NewerShape, StoredShape, UnreadableShape
from skfleet_common.model.bundle import (
    GOLDEN_FILE,
    MANIFEST_FILE,
    METRICS_FILE,
    MODEL_FILE,
    digest_of,
    open_bundle,
    pack,
)
from skfleet_common.model.manifest import BundleFile, FeatureManifest
from skfleet_common.settings import PREFIX, Settings

NOWHERE = Path("there-is-no-such-file")
MESSAGES = [shape for shape in TODAY.values() if isinstance(shape, ChunkMessage | PublishMessage)]
SHAPES = [shape for shape in TODAY.values() if shape not in MESSAGES]

CASES = {"message": 4_000, "shape": 3_600, "manifest": 1_200, "setting": 1_000, "file": 600, "bundle": 200}


@functools.cache
def files() -> dict[str, bytes]:
    return pack(fit_shop(model="logistic_regression"))


def outcome(call: Callable[[], Any], *refusals: type[SkfleetError], repeats: bool = False) -> Any:
    """Give what a call gives, or None if it refuses as it should: in one printable sentence of its own.

    ``repeats``: the sentence may repeat what was given, for it is a person's own word or a version.
    """
    try:
        return call()
    except refusals as refusal:
        sentence = str(refusal)
    assert sentence.isprintable()
    assert sentence[0] == sentence[0].upper()
    assert sentence[-1] in ".?"
    assert len(sentence) < 400
    assert repeats or CANARY.lower() not in sentence.lower()
    return None


def cases(kind: str) -> Iterator[random.Random]:
    """Give each case's chance, and show that cases were both read and refused."""
    for seed in range(CASES[kind]):
        yield random.Random(f"{kind} {seed}")  # noqa: S311  (damage, not a secret)


def check_both(seen: Counter[bool], kind: str, *, least: float = 0.05) -> None:
    """All cases were played, and neither all nor none of them were read."""
    assert seen.total() == CASES[kind]
    assert min(seen[True], seen[False]) >= least * CASES[kind], seen


def test_ten_thousand_cases_are_played() -> None:
    assert sum(CASES.values()) >= 10_000


def test_a_damaged_message_is_read_or_refused() -> None:
    seen: Counter[bool] = Counter()
    for chance in cases("message"):
        body = damaged(encode(chance.choice(MESSAGES)).encode(), chance).decode(errors="surrogateescape")
        message = outcome(lambda body=body: decode(body), UnreadableMessage, NewerMessage)
        seen[message is not None] += 1
        if message is not None:
            assert decode(encode(message)) == message
    check_both(seen, "message")


def test_a_damaged_stored_object_is_read_or_refused() -> None:
    seen: Counter[bool] = Counter()
    for chance in cases("shape"):
        shape = chance.choice(SHAPES)
        check_stored(type(shape), damaged(shape.to_json(), chance), seen)
    check_both(seen, "shape")


def test_a_damaged_manifest_is_read_or_refused() -> None:
    seen: Counter[bool] = Counter()
    for chance in cases("manifest"):
        check_stored(FeatureManifest, damaged(files()[MANIFEST_FILE], chance), seen)
    check_both(seen, "manifest")


def check_stored(cls: type[StoredShape], raw: bytes, seen: Counter[bool]) -> None:
    read = outcome(lambda: cls.from_json(raw), UnreadableShape, NewerShape)
    seen[read is not None] += 1
    if read is not None:
        assert cls.from_json(read.to_json()) == read


def test_settings_of_any_value_are_read_or_refused() -> None:
    seen: Counter[bool] = Counter()
    names = sorted(Settings.model_fields)
    for chance in cases("setting"):
        environ = {
            PREFIX + chance.choice(names).upper(): _value(chance) for _ in range(chance.randrange(1, 3))
        }
        settings = outcome(
            lambda environ=environ: Settings.load(environ, dotenv=NOWHERE),
            UsageError,
            repeats="SKFLEET_FLEET" in environ,
        )
        seen[settings is not None] += 1
    check_both(seen, "setting")


def test_a_damaged_file_of_settings_is_read_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: Counter[bool] = Counter()
    path = tmp_path / ".env"
    caplog.set_level(logging.CRITICAL)
    whole = b"SKFLEET_FLEET=a\nexport SKFLEET_BUCKET='b'\nSKFLEET_POLL_SECONDS=\"5\"\n# words\nHOME=/root\n"
    for chance in cases("file"):
        path.write_bytes(damaged(whole, chance))
        read = outcome(lambda: Settings.load({}, dotenv=path), UsageError)
        seen[read is not None] += 1
    check_both(seen, "file")


def _value(chance: random.Random) -> str:
    """Give text as the environment may hold it: bytes that are no UTF-8 come as surrogates."""
    numbers = [
        "0",
        "-1",
        "1",
        "20",
        "120",
        "1e3",
        "nan",
        "inf",
        "-inf",
        "9" * 30,
        "0x10",
        "١٢",
        "1_000",
        " 5 ",
    ]
    words = [
        "",
        "local",
        "Local",
        "a" * 41,
        "../..",
        "a\0b",
        "a\nb",
        "\udcff",
        CANARY.lower(),
        "::::",
        "info",
    ]
    token = chance.choice(TOKENS)
    return chance.choice([chance.choice(numbers), chance.choice(words), token])


def test_a_forged_bundle_is_opened_or_refused() -> None:
    """Its digest is right, so somebody who may write bundles made it; what it holds fits nothing else."""
    seen: Counter[bool] = Counter()
    for chance in cases("bundle"):
        forged = dict(files())
        name = chance.choice(
            [MANIFEST_FILE, MANIFEST_FILE, MANIFEST_FILE, MODEL_FILE, GOLDEN_FILE, METRICS_FILE]
        )
        if name == MANIFEST_FILE:
            manifest = _changed_manifest(forged[MANIFEST_FILE], chance)
        else:
            forged[name] = _flipped(forged[name], chance)
            manifest = _relisted(forged)
        forged[MANIFEST_FILE] = manifest
        opened = outcome(
            lambda forged=forged: open_bundle(forged, digest=digest_of(forged[MANIFEST_FILE])),
            BundleRefused,
            repeats=True,
        )
        seen[opened is not None] += 1
    check_both(seen, "bundle")


def _changed_manifest(raw: bytes, chance: random.Random) -> bytes:
    """Damage a manifest so that it can still be read, if that comes about soon."""
    for _ in range(20):
        changed = damaged(raw, chance)
        try:
            FeatureManifest.from_json(changed)
        except SkfleetError:
            continue
        if json.loads(changed) != json.loads(raw):
            break
    return changed


def _flipped(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw))
    return chance.choice([raw[:at], raw[:at] + bytes([raw[at] ^ 255]) + raw[at + 1 :], b"", raw[at:]])


def _relisted(forged: dict[str, bytes]) -> bytes:
    """Give a manifest that lists the files as they are now."""
    manifest = FeatureManifest.from_json(forged[MANIFEST_FILE])
    listed = tuple(
        BundleFile(name=file.name, size=len(forged[file.name]), sha256=digest_of(forged[file.name]))
        for file in manifest.files
    )
    return manifest.model_copy(update={"files": listed}).to_json()
