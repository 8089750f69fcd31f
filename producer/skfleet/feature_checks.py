"""Feature checks: what is said of a source from which features cannot be rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from skfleet.naming import find_columns, names_of
from skfleet_common.contracts.columns import SourceTable
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.preflight import check_source
from skfleet_common.tables.port import FeatureCounts


def check_features(
    manifests: Sequence[FeatureManifest],
    table: SourceTable,
    *,
    count: Callable[[Sequence[str], Sequence[str]], FeatureCounts],
    allow_all_null: Sequence[str],
) -> list[str]:
    """Refuse a source from which the features of a model cannot be rebuilt; give what is tolerated.

    ``count`` is called once for all models, with the columns to count NULLs of and those to count levels of.
    """
    allowed = names_of(
        find_columns(table.columns, allow_all_null, flag="--allow-all-null", source=table.name)
    )
    for manifest in manifests:
        _check(manifest, table)
    counts = count(
        _each(column for manifest in manifests for column in manifest.feature_columns),
        _each(column for manifest in manifests for column in manifest.categorical_columns),
    )
    warnings: list[str] = []
    for manifest in manifests:
        found = _check(manifest, table, counts, allowed=allowed)
        warnings += found if len(manifests) == 1 else [f"{manifest.name}: {warning}" for warning in found]
    return warnings


def _check(
    manifest: FeatureManifest,
    table: SourceTable,
    counts: FeatureCounts | None = None,
    *,
    allowed: Sequence[str] = (),
) -> list[str]:
    try:
        return check_source(manifest, table.columns, counts, allow_all_null=allowed)
    except Refused as refusal:
        raise Refused(f"{table.name} cannot be scored with {manifest.name}: {refusal}") from refusal


def _each(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
