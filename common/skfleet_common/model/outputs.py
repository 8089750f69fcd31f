"""Outputs: the columns that a model adds to a scored table."""

from __future__ import annotations

from collections.abc import Sequence

from skfleet_common.contracts.columns import LogicalDtype
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.contracts.kinds import Kind
from skfleet_common.model.manifest import Target
from skfleet_common.model.output_names import DECISION, PREDICTION, PROBABILITY_PREFIX, column_names
from skfleet_common.model.predictor import Scores

_WAREHOUSE_TYPES = {
    LogicalDtype.BOOLEAN: "boolean",
    LogicalDtype.INTEGER: "bigint",
    LogicalDtype.TEXT: "text",
}

#: Beside the ids; PostgreSQL ends a table at 1,600 columns.
MAX_OUTPUT_COLUMNS = 1_500

#: A target's part of a column's name, which must leave room for a class.
_MAX_TARGET_CHARACTERS = 28


def output_columns_of(targets: Sequence[Target], scores: Scores) -> tuple[OutputColumn, ...]:
    """Give the columns that a model of ``targets`` adds, with PostgreSQL's types.

    One target's are called ``prediction``, ``proba_<class>``; of several, ``prediction_<target>``,
    ``proba_<target>_<class>``.

    Raises:
        Refused: they are more than a table can have.
    """
    words = [""] if len(targets) == 1 else _words(targets)
    columns: list[OutputColumn] = []
    for target, word in zip(targets, words, strict=True):
        taken = {column.name for column in columns}
        columns.append(_column(PREDICTION + word, source=Kind.PREDICTION.value, target=target))
        if target.classes is not None and scores is not Scores.NOTHING:
            columns += [
                _column(name, source=scores.value) for name in _score_names(target, word, scores, taken)
            ]
    if len(columns) > MAX_OUTPUT_COLUMNS:
        raise Refused(
            f"The targets have so many classes that the model would add {len(columns):,} columns, and a "
            f"table may get {MAX_OUTPUT_COLUMNS:,}; name fewer targets."
        )
    return tuple(columns)


def decision_columns(target: Target, *, taken: Sequence[OutputColumn]) -> tuple[OutputColumn, ...]:
    """Give ``decision``, or of more than two classes ``decision_<class>``."""
    names = [DECISION]
    if target.classes is not None:
        names = _score_names(target, "", Scores.DECISION, {column.name for column in taken})
    return tuple(_column(name, source=Kind.DECISION.value) for name in names)


def component_columns(names: Sequence[str], *, taken: Sequence[OutputColumn]) -> tuple[OutputColumn, ...]:
    """Give a column a component, by names that need not be names of columns."""
    found = column_names("", names, kind="component", taken=[column.name for column in taken])
    return tuple(_column(name, source=Kind.TRANSFORMED.value) for name in found)


def label_column(target: Target) -> OutputColumn:
    """Give the column of labels that no target had: numbers of clusters, or -1 for an outlier."""
    kind = "bigint" if target.dtype is LogicalDtype.INTEGER else "double precision"
    return OutputColumn(name=PREDICTION, warehouse_type=kind, source=Kind.PREDICTION.value, nullable=False)


def part_columns(width: int) -> tuple[OutputColumn, ...]:
    """Give a column for the probability of each part of a mixture."""
    return tuple(
        _column(f"{PROBABILITY_PREFIX}{part}", source=Kind.PROBABILITY.value) for part in range(width)
    )


def _words(targets: Sequence[Target]) -> list[str]:
    """Give ``_<target>`` for each, as a word that no two share."""
    names = column_names("", [target.column for target in targets], kind="target")
    cut = [name[:_MAX_TARGET_CHARACTERS].rstrip("_") for name in names]
    # Names that are alike as far as there is room for them get their places.
    return [
        f"_{word}" if cut.count(word) == 1 else f"_{word[: _MAX_TARGET_CHARACTERS - 4]}_{position + 1}"
        for position, word in enumerate(cut)
    ]


def _score_names(target: Target, word: str, scores: Scores, taken: set[str]) -> list[str]:
    assert target.classes is not None  # noqa: S101  (an amount has no scores)
    values = target.classes.values
    if scores is Scores.PROBABILITY:
        prefix = PROBABILITY_PREFIX + (f"{word[1:]}_" if word else "")
        return column_names(prefix, values, taken=taken)
    if len(values) == 2:  # noqa: PLR2004  (one value says on which side a row is)
        return [DECISION]
    return column_names(f"{DECISION}_", values, taken=taken)


def _column(name: str, *, source: str, target: Target | None = None) -> OutputColumn:
    kind = "double precision"
    if target is not None and target.classes is not None:
        kind = _WAREHOUSE_TYPES[target.classes.dtype]
    return OutputColumn(name=name, warehouse_type=kind, source=source, nullable=False)
