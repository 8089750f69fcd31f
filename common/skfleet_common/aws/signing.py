"""Signing keys: an HMAC key in Secrets Manager, or an asymmetric key that never leaves KMS."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from skfleet_common.aws.clients import open_client
from skfleet_common.aws.faults import cloud_faults, error_code
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.model.signature import Signature, signed_message
from skfleet_common.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.literals import SigningAlgorithmSpecType
    from mypy_boto3_secretsmanager import SecretsManagerClient

#: Shorter keys can be guessed; HMAC-SHA256 gains nothing beyond 64 bytes (RFC 2104).
MIN_KEY_BYTES = 32

HMAC_ALGORITHM = "HMAC_SHA_256"

#: KMS offers a key of one kind several; the first of these that it has is used (KMS API reference).
_KMS_ALGORITHMS: tuple[SigningAlgorithmSpecType, ...] = (
    "ECDSA_SHA_256",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
)

#: What KMS takes as a key's id as it stands: an alias with its prefix, an ARN, a UUID, a multi-region key.
_WHOLE_ID = re.compile("alias/|arn:|mrk-|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")

_MISSING_CODES = frozenset({"ResourceNotFoundException", "NotFoundException"})
_INVALID_CODES = frozenset({"KMSInvalidSignatureException"})
_UNFIT_CODES = frozenset(
    {
        "DisabledException",
        "InvalidKeyUsageException",
        "InvalidRequestException",
        "KMSInvalidStateException",
        "UnsupportedOperationException",
        "ValidationException",
    }
)


class SigningKey(Protocol):
    """What signs bundles where they are made, and checks their signatures where they are opened."""

    def sign(self, digest: str) -> Signature:
        """Sign a bundle's digest.

        Raises:
            EnvironmentFault: the key is not there, or cannot sign.
        """

    def is_right(self, signature: Signature) -> bool:
        """Whether this key made the signature.

        Raises:
            EnvironmentFault: the key is not there, or cannot tell.
        """


@dataclass(frozen=True)
class HmacKey:
    """A secret that both sides know."""

    client: SecretsManagerClient
    name: str
    where: str

    def sign(self, digest: str) -> Signature:
        """See :class:`SigningKey`."""
        value = base64.b64encode(self._mac(digest)).decode()
        return Signature(
            digest=digest, key=f"secretsmanager:{self.name}", algorithm=HMAC_ALGORITHM, value=value
        )

    def is_right(self, signature: Signature) -> bool:
        """See :class:`SigningKey`; takes as long for a wrong one as for a right one."""
        given = _decoded(signature.value)
        return signature.algorithm == HMAC_ALGORITHM and hmac.compare_digest(
            given, self._mac(signature.digest)
        )

    def _mac(self, digest: str) -> bytes:
        with _key_faults(self.name, self.where):
            answer = self.client.get_secret_value(SecretId=self.name)
        key = answer["SecretString"].encode() if "SecretString" in answer else answer["SecretBinary"]
        if len(key) < MIN_KEY_BYTES:
            raise EnvironmentFault(
                f"The signing key {self.name} has {len(key)} bytes, and fewer than {MIN_KEY_BYTES} can be "
                "guessed; store a longer one in Secrets Manager."
            )
        return hmac.new(key, signed_message(digest), hashlib.sha256).digest()


@dataclass(frozen=True)
class KmsKey:
    """A private key that only KMS has; checking needs ``kms:DescribeKey`` and ``kms:Verify``."""

    client: KMSClient
    name: str
    where: str

    def sign(self, digest: str) -> Signature:
        """See :class:`SigningKey`."""
        with _key_faults(self.name, self.where):
            algorithm = self._algorithms()[0]
            answer = self.client.sign(
                KeyId=self._id,
                Message=signed_message(digest),
                MessageType="RAW",
                SigningAlgorithm=algorithm,
            )
        value = base64.b64encode(answer["Signature"]).decode()
        return Signature(digest=digest, key=f"kms:{self.name}", algorithm=algorithm, value=value)

    def is_right(self, signature: Signature) -> bool:
        """See :class:`SigningKey`."""
        given = _decoded(signature.value)
        with _key_faults(self.name, self.where):
            # What the file says of itself must not choose how it is checked.
            if signature.algorithm not in self._algorithms() or not given:
                return False
            try:
                answer = self.client.verify(
                    KeyId=self._id,
                    Message=signed_message(signature.digest),
                    MessageType="RAW",
                    Signature=given,
                    SigningAlgorithm=signature.algorithm,
                )
            except ClientError as exc:
                if error_code(exc) in _INVALID_CODES:
                    return False
                raise
        return bool(answer["SignatureValid"])

    def _algorithms(self) -> list[SigningAlgorithmSpecType]:
        """Give what the key can sign with, the best first."""
        offered = self.client.describe_key(KeyId=self._id)["KeyMetadata"].get("SigningAlgorithms", [])
        known = [algorithm for algorithm in _KMS_ALGORITHMS if algorithm in offered]
        if not known:
            raise EnvironmentFault(
                f"The signing key {self.name} cannot sign; make an asymmetric KMS key with key "
                "usage SIGN_VERIFY."
            )
        return known

    @property
    def _id(self) -> str:
        return self.name if _WHOLE_ID.match(self.name) else f"alias/{self.name}"


def open_signing_key(settings: Settings) -> SigningKey | None:
    """Give the key that the settings name, without a request; None if they name none."""
    if settings.signing_key is None:
        return None
    service, _, name = settings.signing_key.partition(":")
    where = settings.aws_endpoint_url or "AWS"
    if service == "kms":
        return KmsKey(open_client(settings, "kms"), name, where)
    return HmacKey(open_client(settings, "secretsmanager"), name, where)


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return b""


@contextmanager
def _key_faults(name: str, where: str) -> Iterator[None]:
    """Translate what the key's service raises; never the key itself."""
    with cloud_faults(f"the signing key {name} at {where}"):
        try:
            yield
        except ClientError as exc:
            if error_code(exc) in _MISSING_CODES:
                raise EnvironmentFault(
                    f"There is no signing key {name} at {where}; make it, or correct SKFLEET_SIGNING_KEY."
                ) from exc
            if error_code(exc) in _UNFIT_CODES:
                raise EnvironmentFault(
                    f"The signing key {name} at {where} cannot be used ({error_code(exc)}); enable it, or "
                    "name an HMAC secret or an asymmetric KMS key with key usage SIGN_VERIFY."
                ) from exc
            raise
