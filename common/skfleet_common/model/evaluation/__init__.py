"""Evaluation: the figures of predictions for rows that the model was not fitted on, ready for JSON."""

from __future__ import annotations

from skfleet_common.model.evaluation.figures import evaluate

__all__ = ["evaluate"]
