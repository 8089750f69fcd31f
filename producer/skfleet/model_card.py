"""Model card: what is known of a registered bundle without opening its model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skfleet.registry import Registry
from skfleet_common.contracts.errors import BundleRefused, EnvironmentFault, Refused
from skfleet_common.model.bundle import METRICS_FILE, REPORT_FILE
from skfleet_common.model.manifest import FeatureManifest


@dataclass(frozen=True)
class ModelCard:
    """A bundle's manifest and figures, checked against its digest."""

    name: str
    digest: str
    manifest: FeatureManifest
    metrics: dict[str, Any]
    #: The key by its setting, unchecked; None if there is no signature.
    signed_with: str | None

    @property
    def notes(self) -> list[str]:
        """What training or registering had to say."""
        return list(self.metrics.get("notes", []))

    def figures(self) -> dict[str, str]:
        """Give the figures of each target in words."""
        by_target = self.metrics.get("targets") or {"": self.metrics}
        return {
            f"{name} of {target}" if target else name: f"{value:.4f}"
            for target, figures in by_target.items()
            for name, value in figures.items()
            if isinstance(value, float)
        }

    def importance(self) -> list[dict[str, Any]]:
        """Give the columns whose importance was measured, the most important first."""
        found = (self.metrics.get("importance") or {}).get("columns", [])
        return [column for column in found if column["loss"] is not None]


def read_card(registry: Registry, reference: str) -> ModelCard:
    """Give the card of ``NAME`` or ``NAME@<digest prefix>``.

    Raises:
        Refused: there is no such bundle.
    """
    name, digest = registry.resolve(reference)
    raw = registry.file(name, digest, METRICS_FILE)
    try:
        metrics = json.loads(raw or b"{}")
    except ValueError as exc:
        raise BundleRefused(f"The bundle's {METRICS_FILE} is no JSON; train the model again.") from exc
    signature = registry.signature(name, digest)
    return ModelCard(
        name=name,
        digest=digest,
        manifest=registry.manifest(name, digest),
        metrics=metrics,
        signed_with=None if signature is None else signature.key,
    )


def write_report(registry: Registry, card: ModelCard, path: Path) -> None:
    """Write the bundle's report into a file, whatever was there.

    Raises:
        Refused: the bundle has none.
        EnvironmentFault: the file cannot be written.
    """
    page = registry.file(card.name, card.digest, REPORT_FILE)
    if page is None:
        raise Refused(
            f"{card.name}@{card.digest[:12]} has no report, because an older skfleet made it; train or "
            "register it again."
        )
    try:
        path.write_bytes(page)
    except OSError as exc:
        raise EnvironmentFault(f"{path} cannot be written ({exc.strerror}); name another file.") from exc
