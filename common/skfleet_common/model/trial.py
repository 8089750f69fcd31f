"""Trial: what a model that was fitted elsewhere does with a sample, and whether it always does the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.exceptions import NotFittedError

from skfleet_common.contracts.errors import Refused, SkfleetError, shown
from skfleet_common.model.arrays import FloatArray
from skfleet_common.model.estimators.traits import SUMS_TOLERANCE
from skfleet_common.model.scoring import Scorer

#: What LightGBM says where it was fitted on pandas categories and is given none.
_OTHER_CATEGORIES = "categorical_feature do not match"

#: Rows that are also scored one by one.
_ALONE = 8


@contextmanager
def blaming_sample() -> Iterator[None]:
    """Turn whatever the model raises into one sentence for who gave the sample."""
    try:
        yield
    except SkfleetError:
        raise
    except NotFittedError as exc:
        raise Refused("The model is not fitted, so it predicts nothing; fit it before it is saved.") from exc
    except Exception as exc:
        said = shown(str(exc).strip().split("\n")[0])
        wanted = "a sample with the columns and types that it was fitted on"
        if _OTHER_CATEGORIES in said:
            # A Pipeline does not tell which of its columns they are.
            wanted = "a DataFrame as the sample (fleet.register), with the pandas categories of its fit"
        raise Refused(
            f"The model cannot score the sample ({type(exc).__name__}: {said}); give {wanted}."
        ) from exc


def outputs_a_row(model: Any, X: Any) -> int:
    """Give how many predictions the model gives a row."""
    predicted = np.asarray(model.predict(X.copy()))
    return predicted.shape[1] if predicted.ndim > 1 else 1


def scorable_rows(sample: pa.Table, scorer: Scorer) -> pa.Array:
    """Give which rows of the sample the model scores.

    Raises:
        Refused: it scores none of them.
    """
    scored = scorer.score(sample)
    if not scored.kept.any():
        reason = scored.rejected[0].reason
        raise Refused(f"The model scores no row of the sample ({reason}); give one that it can score.")
    return pa.array(scored.kept)


def check_repeatable(scorer: Scorer, rows: pa.Table, *, tolerance: float = SUMS_TOLERANCE) -> bool:
    """Give whether the same rows, all of which are scored, gave the same bits again, at once and in parts.

    Raises:
        Refused: they gave other outputs, by more than ``tolerance``.
    """
    first = _outputs(scorer, [rows])
    again = _outputs(scorer, [rows])
    if not _alike(first, again, tolerance):
        raise Refused(
            "The model predicts otherwise when it is asked again about the same rows, so no worker could "
            "reproduce it; set its random_state, or make it predict without chance."
        )
    half = rows.num_rows // 2
    singly = [rows.slice(row, 1) for row in range(min(_ALONE, rows.num_rows))]
    parts = [part for part in (rows.slice(0, half), rows.slice(half)) if part.num_rows]
    halves = _outputs(scorer, parts)
    alone = _outputs(scorer, singly)
    begin = {name: values[: len(singly)] for name, values in first.items()}
    if not _alike(first, halves, tolerance) or not _alike(begin, alone, tolerance):
        raise Refused(
            "The model's prediction for a row depends on the rows beside it, and a fleet cuts tables into "
            "parts; take out of it what looks at the whole input, such as ranks or means of the batch."
        )
    return all(np.array_equal(first[name], values) for name, values in (*again.items(), *halves.items()))


def _outputs(scorer: Scorer, parts: list[pa.Table]) -> dict[str, FloatArray]:
    scored = [scorer.score(part).outputs for part in parts]
    joined = pa.Table.from_batches(scored)
    return {name: joined.column(name).to_numpy() for name in joined.schema.names}


def _alike(left: dict[str, FloatArray], right: dict[str, FloatArray], tolerance: float) -> bool:
    for name, values in left.items():
        others = right[name]
        if len(values) != len(others):
            return False
        if values.dtype.kind != "f":
            if not np.array_equal(values, others):
                return False
            continue
        size = float(np.abs(values).max(initial=0.0))
        if not np.allclose(values, others, rtol=tolerance, atol=tolerance * size):
            return False
    return True
