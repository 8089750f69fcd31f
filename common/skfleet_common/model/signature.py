"""Signature: who vouches for a bundle, over its digest, which vouches for every byte of it."""

from __future__ import annotations

from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.contracts.shapes import NewerShape, StoredShape, UnreadableShape

SIGNATURE_FILE = "signature.json"


class Signature(StoredShape):
    """What ``signature.json`` holds. It stands beside the manifest, which cannot list it."""

    digest: str
    #: The key by its setting, ``secretsmanager:…`` or ``kms:…``; for people, never trusted.
    key: str
    #: As KMS calls it, or ``HMAC_SHA_256``.
    algorithm: str
    #: Base64.
    value: str


def signed_message(digest: str) -> bytes:
    """Give the bytes that are signed: nothing else that the key may sign begins like them."""
    return f"skfleet bundle {digest}".encode()


def read_signature(raw: bytes, *, digest: str) -> Signature:
    """Give the signature that ``raw`` holds.

    Raises:
        BundleRefused: it is none, or that of another bundle.
    """
    try:
        signature = Signature.from_json(raw)
    except (NewerShape, UnreadableShape) as exc:
        raise BundleRefused(f"The bundle's {SIGNATURE_FILE} cannot be read: {exc}") from exc
    if signature.digest != digest:
        raise BundleRefused(
            f"The bundle's {SIGNATURE_FILE} is that of another bundle; sign it with: skfleet models sign"
        )
    return signature
