"""Shift: the sketch of a job held against what the manifest says of the training rows.

The measure is the population stability index (PSI) of a column: the sum of ``(q - p) * ln(q / p)`` over its
bins, where ``p`` is a bin's share of the training rows and ``q`` that of the job's. Half a row is added to
each bin on both sides, so that a bin which only one side has weighs as much as the rows behind it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from skfleet_common.contracts.shifts import BinShift, ColumnShift, Shift, ShiftKind
from skfleet_common.model.bins import NULL, UNSEEN, Bins, Counts, Expected, ScoreBins
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.sketch import Sketch, Sketcher

#: Why a job's rows are compared with nothing.
NO_BASELINES = "the model's bundle has no baselines; train it again"
NO_ROWS = "no row was given to the model"
NO_SKETCHES = "the workers that scored it keep no sketches; update them"

#: The name of what is compared for rejected rows.
REJECTED = "rejected rows"

#: 999 of 1,000 draws of a normal distribution are below.
_SIGMAS = 3.09


def shift_of(manifest: FeatureManifest, sketch: Sketch, *, rows_unknown: int = 0) -> Shift:
    """Give how far the sketched rows are from the training rows, the farthest column first.

    ``rows_unknown``: scored rows of which there is no sketch.
    """
    sketcher = Sketcher.of(manifest)
    if sketcher is None or sketch.rows + sketch.rejected_rows == 0:
        why = NO_BASELINES if sketcher is None else NO_SKETCHES if rows_unknown else NO_ROWS
        return Shift(rows_unknown=rows_unknown, why_not=why)
    trained = manifest.provenance.rows
    columns = [_of_rejects(manifest, sketch)]
    if sketch.rows:
        bins = sketcher.bins()
        columns += [
            _of_feature(name, bins[name], counts, sketch, trained=trained)
            for name, counts in sketch.features.items()
        ]
        for histogram in manifest.scores:
            counts = sketch.scores.get(histogram.output, ())
            if sum(counts):
                expected, counts = ScoreBins(histogram).grouped(counts)
                rows = histogram.rows or trained
                columns.append(
                    _column(histogram.output, expected, counts, trained=rows, kind=ShiftKind.SCORE)
                )
    return Shift(
        rows=sketch.rows,
        rows_unknown=rows_unknown,
        columns=_farthest_first(columns),
        columns_compared=len(columns),
        columns_left_out=len(manifest.features) - len(sketch.features) if sketch.rows else 0,
    )


def shift_of_several(shifts: Mapping[str, Shift]) -> Shift:
    """Give the shifts of the same rows as several models were given them, by the models' names, as one."""
    if len(shifts) == 1:
        return next(iter(shifts.values()))
    found = list(shifts.values())
    columns = [
        column.model_copy(update={"model": name})
        for name, shift in shifts.items()
        for column in shift.columns
    ]
    return Shift(
        rows=max(shift.rows for shift in found),
        rows_unknown=max(shift.rows_unknown for shift in found),
        columns=_farthest_first(columns),
        columns_compared=len(columns),
        columns_left_out=sum(shift.columns_left_out for shift in found),
        why_not=None if columns else found[0].why_not,
    )


def psi(trained: Sequence[float], scored: Sequence[float]) -> float:
    """Give the population stability index of rows in bins, some of which may have none on one side."""
    return sum(_parts(trained, scored))


def chance(bins: int, *, trained: int, scored: int) -> float:
    """Give what the index is below in 999 of 1,000 cases, if both sides are draws from the same rows.

    For few differences, the index is distributed like chi-squared with ``bins - 1`` degrees of freedom, times
    ``1 / trained + 1 / scored``; the quantile is Wilson and Hilferty's.
    """
    if bins < 2 or not trained or not scored:  # noqa: PLR2004  (in one bin, nothing can differ)
        return 0.0
    free = bins - 1
    spread = 2 / (9 * free)
    return (1 / trained + 1 / scored) * free * (1 - spread + _SIGMAS * math.sqrt(spread)) ** 3


def _farthest_first(columns: Sequence[ColumnShift]) -> tuple[ColumnShift, ...]:
    return tuple(sorted(columns, key=lambda it: (it.may_be_chance, -it.psi, it.named)))


def _parts(trained: Sequence[float], scored: Sequence[float]) -> list[float]:
    """Give what each bin adds to the index."""
    used = sum(1 for p, q in zip(trained, scored, strict=True) if p or q)
    all_trained, all_scored = sum(trained) + used / 2, sum(scored) + used / 2
    parts = []
    for p, q in zip(trained, scored, strict=True):
        if p or q:
            share, other = (p + 0.5) / all_trained, (q + 0.5) / all_scored
            parts.append((other - share) * math.log(other / share))
        else:
            parts.append(0.0)
    return parts


def _column(
    name: str, expected: Sequence[Expected], counts: Counts, *, trained: int, kind: ShiftKind
) -> ColumnShift:
    scored = sum(counts)
    shares = [bin_.share for bin_ in expected]
    parts = _parts([share * trained for share in shares], counts)
    bins = [
        BinShift(label=bin_.label, trained=bin_.share, scored=count / scored)
        for bin_, count in zip(expected, counts, strict=True)
    ]
    used = [bin_ for bin_ in bins if bin_.trained or bin_.scored]
    return ColumnShift(
        column=name,
        kind=kind,
        psi=max(0.0, sum(parts)),
        chance=chance(len(used), trained=trained, scored=scored),
        most=bins[parts.index(max(parts))],
        bins=tuple(used),
    )


def _of_feature(name: str, bins: Bins, counts: Counts, sketch: Sketch, *, trained: int) -> ColumnShift:
    expected = bins.expected()
    column = _column(name, expected, counts, trained=trained, kind=ShiftKind.FEATURE)
    rejected = sketch.rejected.get(name) or (0,) * len(counts)
    every = sketch.rows + sketch.rejected_rows
    rates = {
        bin_.label: (given + left) / every
        for bin_, given, left in zip(expected, counts, rejected, strict=True)
        if bin_.label in {NULL, UNSEEN}
    }
    return column.model_copy(
        update={
            "null_rate": rates[NULL],
            "trained_null_rate": next(bin_.share for bin_ in expected if bin_.label == NULL),
            "unseen_rate": rates.get(UNSEEN),
        }
    )


def _of_rejects(manifest: FeatureManifest, sketch: Sketch) -> ColumnShift:
    known = manifest.provenance
    rows = known.rows + known.rows_rejected
    share = known.rows_rejected / rows if rows else 0.0
    expected = [Expected("not rejected", 1.0 - share), Expected("rejected", share)]
    counts = (sketch.rows, sketch.rejected_rows)
    column = _column(REJECTED, expected, counts, trained=rows, kind=ShiftKind.REJECTS)
    every = sketch.rows + sketch.rejected_rows
    # Both bins say the same; people ask for this one.
    most = BinShift(label="rejected", trained=share, scored=sketch.rejected_rows / every)
    return column.model_copy(update={"most": most})
