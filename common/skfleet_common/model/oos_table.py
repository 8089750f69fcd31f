"""Out-of-sample table: what the model's twins say of rows unseen by them, behind the ids of the rows."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.arrays import CANONICAL
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fitted import FittedModel
from skfleet_common.model.training import TrainingRows

#: The column that says where a row was, where no ids are known.
ROW = "row"


def out_of_sample_table(
    frame: pa.Table,
    rows: TrainingRows,
    fitted: FittedModel,
    choices: FitChoices,
    outputs: Sequence[OutputColumn],
) -> pa.Table | None:
    """Give a row for each that was held out, in their order in ``frame``; None if none was or is wanted.

    Without ids in the frame, ``row`` is a row's place in it, from 0.

    Raises:
        UsageError: an id is called like an output.
    """
    if not choices.keep_out_of_sample or not fitted.held:
        return None
    places = rows.positions[fitted.held[0].rows]
    ids = [name for name in choices.id_columns if name in frame.column_names]
    if twice := sorted({column.name for column in outputs} & set(ids)):
        raise UsageError(
            f"The id column {twice[0]!r} is called like an output of the model, so both cannot stand in one "
            "table of out-of-sample rows; rename it (--query can), or leave --oos-output out."
        )
    columns: dict[str, pa.Array] = {name: frame.column(name).take(pa.array(places)) for name in ids}
    if not ids:
        columns[ROW] = pa.array(places)
    names = iter(column.name for column in outputs)
    for target, held in zip(rows.targets.described, fitted.held, strict=True):
        kind = pa.float64() if target.classes is None else CANONICAL[target.classes.dtype]
        columns[next(names)] = pa.array(held.predicted, type=kind)
        scores = held.probabilities if held.decisions is None else held.decisions
        if scores is not None:
            columns |= {next(names): pa.array(values) for values in scores.T}
    return pa.table(columns)
