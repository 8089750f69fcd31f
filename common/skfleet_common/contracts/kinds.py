"""Kinds of output: what a model can be asked for, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from skfleet_common.contracts.errors import UsageError, nearest, shown


class Kind(StrEnum):
    """What an output of a model is; the values are those of ``OutputColumn.source``."""

    PREDICTION = "prediction"
    PROBABILITY = "probability"
    #: Values of ``decision_function``: signed distances, not probabilities.
    DECISION = "decision"
    #: What ``transform`` makes of a row: components, distances to clusters, an embedding.
    TRANSFORMED = "transformed"


#: The word of ``--outputs`` for each kind, and the method that gives it.
WORDS: Mapping[str, Kind] = {
    "predict": Kind.PREDICTION,
    "proba": Kind.PROBABILITY,
    "decision": Kind.DECISION,
    "transform": Kind.TRANSFORMED,
}
METHODS: Mapping[Kind, str] = {
    Kind.PREDICTION: "predict",
    Kind.PROBABILITY: "predict_proba",
    Kind.DECISION: "decision_function",
    Kind.TRANSFORMED: "transform",
}


def word_of(kind: Kind) -> str:
    """Give the word of ``--outputs`` for a kind."""
    return next(word for word, meant in WORDS.items() if meant is kind)


def kinds_of(words: Iterable[str]) -> tuple[Kind, ...]:
    """Give the kinds that words of ``--outputs`` name, each once; a method's own name will do, too.

    Raises:
        UsageError: a word names none.
    """
    known = {**WORDS, **{method: kind for kind, method in METHODS.items()}}
    kinds: dict[Kind, None] = {}
    for word in words:
        if word not in known:
            raise UsageError(
                f"--outputs takes {', '.join(WORDS)}, not {shown(repr(word))}{nearest(word, list(WORDS))}"
            )
        kinds[known[word]] = None
    return tuple(kinds)
