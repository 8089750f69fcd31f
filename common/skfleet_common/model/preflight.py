"""Preflight: whether a model can score a table, told from its columns and counts before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from skfleet_common.contracts.columns import Column, LogicalDtype, type_word
from skfleet_common.contracts.errors import Refused
from skfleet_common.model.arrays import SPOKEN
from skfleet_common.model.blanks import Blanks, is_padded
from skfleet_common.model.manifest import Feature, FeatureKind, FeatureManifest
from skfleet_common.model.policies import NullPolicy, UnseenPolicy
from skfleet_common.model.refusals import MissingColumn, NullRefused, TypeChanged, UnseenLevel, counted, named

#: A feature that is NULL in every row is refused when training makes that less likely than this.
_PRACTICALLY_IMPOSSIBLE = 1e-6


class SourceCounts(Protocol):
    """Rows, NULLs by column, and rows by level by categorical column; levels as the warehouse prints them."""

    @property
    def rows(self) -> int:
        """All rows that would be scored."""

    @property
    def nulls(self) -> Mapping[str, int]:
        """How many of them are NULL, by feature column."""

    @property
    def levels(self) -> Mapping[str, Mapping[str, int]]:
        """How many of them hold a level, by categorical column; NULL is no level."""


def check_source(
    manifest: FeatureManifest,
    columns: Sequence[Column],
    counts: SourceCounts | None = None,
    *,
    allow_all_null: Collection[str] = (),
) -> list[str]:
    """Give warnings about a table that the model can score; without ``counts``, see only to its columns.

    Raises:
        MissingColumn: a feature is not among ``columns``.
        TypeChanged: a feature has another logical type than in training.
        NullRefused: a feature is NULL, and its policy is error.
        UnseenLevel: levels are unseen, by policy or more often than tolerated.
        Refused: a feature is NULL in every row, which training makes practically impossible.
    """
    by_name = {column.name: column for column in columns}
    for feature in manifest.features:
        if feature.column not in by_name:
            # A renamed column is one that training did not know; others are not worth suggesting first.
            strangers = set(by_name) - {column.name for column in manifest.columns}
            raise MissingColumn.called(feature.column, [*sorted(strangers), *by_name])
        _check_type(manifest, feature, by_name[feature.column])
    if counts is None or counts.rows == 0:
        return []
    warnings: list[str] = []
    for feature in manifest.features:
        warnings += _check_nulls(manifest, feature, counts, allowed=feature.column in allow_all_null)
        warnings += _check_levels(feature, counts)
    return warnings


def _check_type(manifest: FeatureManifest, feature: Feature, column: Column) -> None:
    if column.dtype is feature.dtype:
        if is_padded(column.warehouse_type) and _tells_by_blanks(feature):
            raise Refused(
                f"Column {feature.column!r} is {column.warehouse_type}, whose texts are read without the "
                "blanks at their end, but the model learned texts that end in blanks; train it on the table "
                "itself, or on texts without blanks at their end."
            )
        return
    trained = manifest.column(feature.column)
    raise TypeChanged.of(
        feature.column,
        expected=f"{SPOKEN[feature.dtype]} ({trained.warehouse_type})",
        got=f"{SPOKEN[column.dtype]} ({column.warehouse_type})",
        as_type=None if column.dtype is LogicalDtype.OTHER else type_word(column.dtype),
    )


def _tells_by_blanks(feature: Feature) -> bool:
    # Bundles of before have levels alone.
    return feature.blanks is Blanks.KEPT or (
        feature.blanks is None and any(str(level).endswith(" ") for level in feature.known_levels)
    )


def _check_nulls(
    manifest: FeatureManifest, feature: Feature, counts: SourceCounts, *, allowed: bool
) -> list[str]:
    nulls = counts.nulls.get(feature.column, 0)
    if nulls == 0:
        return []
    if feature.nulls is NullPolicy.ERROR:
        raise NullRefused.in_rows(feature.column, nulls, is_raw=feature.kind is FeatureKind.RAW)
    if nulls == counts.rows and not allowed:
        share = (feature.training_nulls + 1) / (manifest.provenance.rows + 2)
        if share**counts.rows < _PRACTICALLY_IMPOSSIBLE:
            raise Refused(
                f"Column {feature.column!r} is NULL in all {counted(counts.rows)}, but was in only "
                f"{feature.training_nulls:,} of {manifest.provenance.rows:,} in training; fill it, or allow "
                f"it with --allow-all-null {feature.column}."
            )
    if feature.nulls is NullPolicy.REJECT_ROW:
        return [f"Column {feature.column!r} is NULL in {counted(nulls)}, which will be rejected."]
    if feature.training_nulls == 0:
        return [f"Column {feature.column!r} is NULL in {counted(nulls)}, but never was in training."]
    return []


def _check_levels(feature: Feature, counts: SourceCounts) -> list[str]:
    if feature.levels is None:
        return []
    known = {str(level) for level in feature.known_levels}
    found = counts.levels.get(feature.column, {})
    unseen = {level: rows for level, rows in found.items() if _as_stored(feature, level) not in known}
    rows = sum(unseen.values())
    if rows == 0:
        return []
    names = sorted(unseen, key=lambda level: (-unseen[level], level))
    if feature.unseen is UnseenPolicy.ERROR:
        raise UnseenLevel.in_rows(
            feature.column, rows, levels=names, is_registered=feature.kind is FeatureKind.RAW
        )
    if feature.unseen is UnseenPolicy.REJECT_ROW:
        return [
            f"Column {feature.column!r} holds levels that the model never saw{named(names)} in "
            f"{counted(rows)}, which will be rejected."
        ]
    tolerated = 0.0 if feature.tolerated_unseen is None else feature.tolerated_unseen
    if rows > tolerated * counts.rows:
        raise UnseenLevel.too_often(
            feature.column,
            rows,
            of_rows=counts.rows,
            tolerated=tolerated,
            levels=names,
            is_registered=feature.kind is FeatureKind.RAW,
        )
    return [
        f"Column {feature.column!r} holds levels that the model never saw{named(names)} in {counted(rows)}, "
        "which are scored as other."
    ]


def _as_stored(feature: Feature, level: str) -> str:
    """Give a level's text as Python would print the stored value."""
    if feature.blanks is Blanks.IGNORED:
        return level.rstrip(" ")
    return str(int(level)) if feature.dtype is LogicalDtype.INTEGER else level
