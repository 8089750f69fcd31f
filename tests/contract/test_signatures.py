"""Signatures by real keys of the emulator: right ones open, all others are refused in a sentence."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from tests.contract.aws_emulator import free_port, new_settings

from model_samples import fit_shop, shop_rows
from skfleet.registry import Registry
from skfleet_common.aws.clients import open_client
from skfleet_common.aws.session import Cloud, connect_cloud, create_fleet
from skfleet_common.aws.signing import open_signing_key
from skfleet_common.aws.trust import Trust
from skfleet_common.contracts.errors import BundleRefused, EnvironmentFault, UsageError
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, pack
from skfleet_common.model.signature import SIGNATURE_FILE, Signature
from skfleet_common.settings import Settings
from skfleet_worker.models import Models
from skfleet_worker.outcomes import Blame, weigh

MODEL = "shop"
SECRET = "a secret of more than thirty-two bytes"
KEYS = ["secretsmanager:skfleet/signing", "kms:skfleet-rsa-signing-key-2", "kms:alias/skfleet-ecc"]


@pytest.fixture(scope="module")
def emulated(aws_endpoint: str) -> Settings:
    """A fleet with keys of every kind."""
    settings = new_settings(aws_endpoint)
    create_fleet(settings)
    secrets, kms = open_client(settings, "secretsmanager"), open_client(settings, "kms")
    for name, value in (("skfleet/signing", SECRET), ("another", SECRET[::-1]), ("short", "guess me")):
        secrets.create_secret(Name=name, SecretString=value)
    secrets.create_secret(Name="binary", SecretBinary=bytes(range(32)))
    for alias, spec, usage in (
        ("skfleet-rsa-signing-key-2", "RSA_2048", "SIGN_VERIFY"),
        ("skfleet-ecc", "ECC_NIST_P256", "SIGN_VERIFY"),
        ("encrypts", "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    ):
        made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]  # type: ignore[arg-type]
        kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=made["KeyId"])
    return settings


@dataclass(frozen=True)
class Place:
    """A fleet, and a bundle for it."""

    settings: Settings
    cloud: Cloud
    files: dict[str, bytes]


@pytest.fixture(scope="module")
def place(emulated: Settings) -> Iterator[Place]:
    """A fleet without a bundle."""
    with closing(connect_cloud(emulated)) as cloud:
        yield Place(emulated, cloud, pack(fit_shop(shop_rows(100), name=MODEL)))


@functools.cache  # a client takes longer to make than to use
def trusting(settings: Settings, key: str | None, *, require: bool = True) -> Trust:
    return Trust.of(settings.model_copy(update={"signing_key": key, "require_signature": require}))


def registered(cloud: Cloud, files: dict[str, bytes], trust: Trust) -> str:
    """Register the bundle with no signature but that of ``trust``."""
    digest = digest_of(files[MANIFEST_FILE])
    key = cloud.names.bundle_file(MODEL, digest, SIGNATURE_FILE)
    cloud.store.delete([key])
    Registry(cloud.store, cloud.names, trust).register(MODEL, files, digest=digest)
    return digest


@pytest.mark.parametrize("key", [*KEYS, "secretsmanager:binary"])
def test_a_signed_bundle_opens_for_client_and_worker_that_demand_it(
    key: str, place: Place, tmp_path: Path
) -> None:
    trust = trusting(place.settings, key)
    digest = registered(place.cloud, place.files, trust)
    registry = Registry(place.cloud.store, place.cloud.names, trust)
    assert registry.open(MODEL).digest == digest
    assert Models(place.cloud, tmp_path, trust).open(MODEL, digest).digest == digest
    signature = registry.signature(MODEL, digest)
    assert signature is not None
    assert (signature.key, signature.digest) == (key, digest)


def test_a_signed_bundle_under_another_name_is_refused_where_signatures_are_demanded(
    place: Place, tmp_path: Path
) -> None:
    demanding = trusting(place.settings, KEYS[0])
    files = pack(fit_shop(shop_rows(100), name="another"))
    digest = registered(place.cloud, files, demanding)
    for opening in (
        lambda: Registry(place.cloud.store, place.cloud.names, demanding).open(MODEL),
        lambda: Models(place.cloud, tmp_path, demanding).open(MODEL, digest),
    ):
        with pytest.raises(BundleRefused, match="was registered as another, but stands under shop"):
            opening()
    lenient = trusting(place.settings, KEYS[0], require=False)
    assert Models(place.cloud, tmp_path, lenient).open(MODEL, digest).digest == digest


def test_a_bundle_without_a_signature_is_refused_where_one_is_demanded(place: Place, tmp_path: Path) -> None:
    digest = registered(place.cloud, place.files, trusting(place.settings, None, require=False))
    demanding = trusting(place.settings, KEYS[0])
    for opening in (
        lambda: Registry(place.cloud.store, place.cloud.names, demanding).open(MODEL),
        lambda: Models(place.cloud, tmp_path, demanding).open(MODEL, digest),
    ):
        with pytest.raises(BundleRefused, match="has no signature, and SKFLEET_REQUIRE_SIGNATURE") as refusal:
            opening()
        assert weigh(refusal.value, attempt=1, max_attempts=5).blame is Blame.JOB
    lenient = trusting(place.settings, KEYS[0], require=False)
    assert Models(place.cloud, tmp_path, lenient).open(MODEL, digest).digest == digest


@pytest.mark.parametrize(
    ("signed", "checked"), [(KEYS[0], "secretsmanager:another"), (KEYS[1], KEYS[2]), (KEYS[0], KEYS[1])]
)
@pytest.mark.parametrize("require", [True, False])
def test_a_signature_by_another_key_is_refused_whether_one_is_demanded_or_not(
    signed: str,
    checked: str,
    require: bool,
    place: Place,
    tmp_path: Path,
) -> None:
    digest = registered(place.cloud, place.files, trusting(place.settings, signed))
    with pytest.raises(BundleRefused, match="is not by this side's SKFLEET_SIGNING_KEY"):
        Models(place.cloud, tmp_path, trusting(place.settings, checked, require=require)).open(MODEL, digest)


def _flipped(value: str) -> str:
    raw = bytearray(base64.b64decode(value))
    raw[-1] ^= 1
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: {"value": _flipped(s.value)}, "is not by this side's"),
        (lambda _: {"value": "not base64!"}, "is not by this side's"),
        (lambda _: {"value": ""}, "is not by this side's"),
        (lambda _: {"algorithm": "NONE"}, "is not by this side's"),
        (lambda _: {"digest": "0" * 64}, "is that of another bundle"),
    ],
)
def test_an_altered_signature_is_refused(
    key: str,
    change: Any,
    sentence: str,
    place: Place,
    tmp_path: Path,
) -> None:
    trust = trusting(place.settings, key)
    digest = registered(place.cloud, place.files, trust)
    at = place.cloud.names.bundle_file(MODEL, digest, SIGNATURE_FILE)
    signature = Signature.from_json(place.cloud.store.get(at))
    place.cloud.store.put(at, signature.model_copy(update=change(signature)).to_json())
    with pytest.raises(BundleRefused, match=sentence):
        Models(place.cloud, tmp_path, trust).open(MODEL, digest)


@pytest.mark.parametrize("raw", [b"", b"{}", b"\xff", b'{"schema_version": 99}'])
def test_a_file_that_is_no_signature_is_refused(raw: bytes, place: Place, tmp_path: Path) -> None:
    trust = trusting(place.settings, KEYS[0])
    digest = registered(place.cloud, place.files, trust)
    place.cloud.store.put(place.cloud.names.bundle_file(MODEL, digest, SIGNATURE_FILE), raw)
    with pytest.raises(BundleRefused, match=r"signature\.json cannot be read"):
        Models(place.cloud, tmp_path, trust).open(MODEL, digest)


def test_a_bundle_that_stands_there_unsigned_can_be_signed_later(place: Place) -> None:
    digest = registered(place.cloud, place.files, trusting(place.settings, None, require=False))
    trust = trusting(place.settings, KEYS[0])
    Registry(place.cloud.store, place.cloud.names, trust).sign(MODEL, digest)
    assert Registry(place.cloud.store, place.cloud.names, trust).open(MODEL).digest == digest
    with pytest.raises(UsageError, match="No key is set to sign with; set SKFLEET_SIGNING_KEY"):
        Registry(place.cloud.store, place.cloud.names).sign(MODEL, digest)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("secretsmanager:nowhere", "There is no signing key nowhere at .*; make it, or correct"),
        ("kms:nowhere", "There is no signing key nowhere at .*; make it, or correct"),
        ("secretsmanager:short", "has 8 bytes, and fewer than 32 can be guessed"),
        ("kms:encrypts", "cannot sign; make an asymmetric KMS key"),
    ],
)
def test_a_key_that_cannot_sign_leaves_nothing_registered(key: str, sentence: str, place: Place) -> None:
    registry = Registry(place.cloud.store, place.cloud.names, trusting(place.settings, key))
    with pytest.raises(EnvironmentFault, match=sentence) as fault:
        registry.register("unsigned", place.files, digest=digest_of(place.files[MANIFEST_FILE]))
    assert "unsigned" not in registry.models()
    assert "guess me" not in str(fault.value)


def test_a_key_service_that_nobody_answers_at_is_asked_again_later(place: Place, tmp_path: Path) -> None:
    digest = registered(place.cloud, place.files, trusting(place.settings, KEYS[0]))
    gone = place.settings.model_copy(update={"aws_endpoint_url": f"http://127.0.0.1:{free_port()}"})
    with pytest.raises(EnvironmentFault) as fault:
        Models(place.cloud, tmp_path, trusting(gone, KEYS[0])).open(MODEL, digest)
    assert fault.value.retryable
    assert weigh(fault.value, attempt=1, max_attempts=5).blame is Blame.SURROUNDINGS


def test_the_key_itself_is_never_said_or_logged(place: Place, tmp_path: Path) -> None:
    trust = trusting(place.settings, KEYS[0])
    with structlog.testing.capture_logs() as logged:
        digest = registered(place.cloud, place.files, trust)
        Models(place.cloud, tmp_path, trust).open(MODEL, digest)
    stored = place.cloud.store.get(place.cloud.names.bundle_file(MODEL, digest, SIGNATURE_FILE)).decode()
    assert SECRET not in json.dumps(logged, default=str) + stored + repr(trust) + str(trust.key)


def test_no_key_is_opened_where_none_is_set(place: Place) -> None:
    assert open_signing_key(place.settings) is None


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"SKFLEET_REQUIRE_SIGNATURE": "true"}, "SKFLEET_REQUIRE_SIGNATURE needs SKFLEET_SIGNING_KEY"),
        ({"SKFLEET_SIGNING_KEY": "my-key"}, "SKFLEET_SIGNING_KEY: "),
        ({"SKFLEET_SIGNING_KEY": "kms:"}, "SKFLEET_SIGNING_KEY: "),
        ({"SKFLEET_ALLOW_JOBLIB": "perhaps"}, "SKFLEET_ALLOW_JOBLIB: "),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Settings.load(variables, dotenv=Path("/nowhere"))
