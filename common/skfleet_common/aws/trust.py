"""Trust: which bundles this process opens, as its settings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from skfleet_common.aws.signing import SigningKey, open_signing_key
from skfleet_common.contracts.errors import BundleRefused
from skfleet_common.model.signature import read_signature
from skfleet_common.settings import Settings


@dataclass(frozen=True)
class Trust:
    """What a bundle must be to be opened here, beyond what every bundle must be."""

    allow_joblib: bool = False
    require_signature: bool = False
    key: SigningKey | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Give what the settings say, without a request."""
        return cls(
            allow_joblib=settings.allow_joblib,
            require_signature=settings.require_signature,
            key=open_signing_key(settings),
        )

    def check_signature(self, read: Callable[[], bytes | None], *, digest: str) -> None:
        """Check a bundle's signature; ``read`` gives it, or None if it has none.

        Raises:
            BundleRefused: it is wrong, or lacks where one is demanded.
            EnvironmentFault: the key cannot be reached, or is not there.
        """
        if self.key is None:
            return
        raw = read()
        if raw is None:
            if not self.require_signature:
                return
            raise BundleRefused(
                f"The bundle {digest[:12]} has no signature, and SKFLEET_REQUIRE_SIGNATURE demands one here; "
                "sign it with: skfleet models sign"
            )
        if not self.key.is_right(read_signature(raw, digest=digest)):
            raise BundleRefused(
                f"The signature of the bundle {digest[:12]} is not by this side's SKFLEET_SIGNING_KEY: it "
                "was altered, or signed with another key; register it again from a source that you trust."
            )

    def check_name(self, registered: str, *, model: str, digest: str) -> None:
        """Refuse, where signatures are demanded, a signed bundle that was put under another model's name.

        Raises:
            BundleRefused: it was ``registered`` as another model than ``model``.
        """
        if self.require_signature and registered != model:
            raise BundleRefused(
                f"The bundle {digest[:12]} was registered as {registered}, but stands under {model}: "
                f"somebody copied it there; register it as {model}, or use the model {registered}."
            )


#: Only what every bundle must be.
NO_MORE = Trust()
