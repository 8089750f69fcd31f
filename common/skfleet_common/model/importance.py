"""Importance: how much each column matters to a twin of the model, as rows tell that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from skfleet_common.model.evaluation.importance import chosen_rows, measured_importance
from skfleet_common.model.out_of_sample import take
from skfleet_common.model.predictor import Predictor, Scores
from skfleet_common.model.training import TrainingRows


def importance_of(
    twin: Predictor,
    X: Any,
    rows: TrainingRows,
    unseen: npt.NDArray[np.int64],
    *,
    groups: Mapping[str, Sequence[int | str]],
    scores: Scores,
    seed: int,
) -> dict[str, Any]:
    """Give what the report says of importance; ``unseen`` are the rows that the twin was not fitted on."""
    if rows.weights is not None:
        unseen = unseen[rows.weights[unseen] > 0]
    looked_at = unseen[chosen_rows(len(unseen), seed=seed)]
    return measured_importance(
        twin,
        take(X, looked_at),
        [column.y[looked_at] for column in rows.targets.columns],
        targets=rows.targets.described,
        scores=scores,
        weights=None if rows.weights is None else rows.weights[looked_at],
        groups=groups,
        seed=seed,
    )
