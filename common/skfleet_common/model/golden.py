"""Golden rows: training rows with what became of them, replayed wherever a bundle is opened.

They are rows of the training table: whoever may read the bundle may read them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from skfleet_common.contracts.errors import BundleRefused, NotReproducibleHere, Refused
from skfleet_common.model.arrays import FloatArray, canonical_array, level_codes, missing, numbers
from skfleet_common.model.manifest import Feature
from skfleet_common.model.moments import as_numbers

if TYPE_CHECKING:
    from skfleet_common.model.scoring import Scorer

GOLDEN_ROWS = 64

# The parts of golden.parquet; a table's own column names may be anything, so they get a prefix.
_INPUT, _FEATURE, _OUTPUT = "input.", "feature.", "output."
#: Of outputs that are given only when they are asked for: a reader that knows none leaves them alone.
_FURTHER = "further."


def choose_golden(table: pa.Table, features: Sequence[Feature], *, seed: int) -> npt.NDArray[np.int64]:
    """Choose up to 64 rows: NULLs and edges of every feature first, then any."""
    chosen: dict[int, None] = {}
    edges = [_edges(table, feature) for feature in features]
    # In turns, so that many features do not leave the last ones without a row.
    for turn in range(max((len(rows) for rows in edges), default=0)):
        chosen |= dict.fromkeys(rows[turn] for rows in edges if turn < len(rows))
    filler = np.random.default_rng(seed).permutation(table.num_rows)[:GOLDEN_ROWS]
    chosen |= dict.fromkeys(int(row) for row in filler)
    return np.array(sorted(list(chosen)[:GOLDEN_ROWS]), dtype=np.int64)


def _edges(table: pa.Table, feature: Feature) -> list[int]:
    array = canonical_array(table, feature.column, feature.dtype)
    flags = missing(array)
    rows = [] if flags is None else [int(flags.argmax())]
    if feature.levels is not None:
        codes = level_codes(array, pa.array(feature.known_levels, type=array.type))
        # The last one is a rare level if there is any.
        ends = (0, len(feature.levels.values) - 1, len(feature.known_levels) - 1)
        return [*rows, *(int((codes == end).argmax()) for end in ends)]
    if pa.types.is_string(array.type) or array.null_count == len(array):
        return rows
    values = as_numbers(array) if pa.types.is_temporal(array.type) else numbers(array)
    return [*rows, int(np.nanargmin(values)), int(np.nanargmax(values))]


def golden_bytes(rows: pa.Table, scorer: Scorer) -> bytes:
    """Give golden.parquet: raw inputs, expected features and expected outputs.

    Raises:
        Refused: the model says nothing finite of any of the rows.
    """
    kept = scorer.score(rows).kept
    if not kept.any():
        raise Refused(
            "The model gives no finite number for rows that it was fitted on; choose another, or other "
            "parameters."
        )
    rows = rows if kept.all() else rows.filter(pa.array(kept))
    built = scorer.builder.build(rows).X
    X = _features(built)
    outputs, further = scorer.score(rows).outputs, scorer.outputs(built, scorer.further)
    columns = {_INPUT + name: rows.column(name) for name in rows.schema.names}
    columns |= {f"{_FEATURE}{position}": pa.array(values) for position, values in enumerate(X.T)}
    columns |= {_OUTPUT + name: outputs.column(name) for name in outputs.schema.names}
    columns |= {_FURTHER + name: further.column(name) for name in further.schema.names}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def replay(golden: bytes, scorer: Scorer, *, tolerance: float) -> None:
    """Build and score the golden rows again.

    Raises:
        NotReproducibleHere: the features are not the same bits, or the outputs differ by more than
            ``tolerance``.
    """
    try:
        table = pq.read_table(io.BytesIO(golden))
        inputs = _part(table, _INPUT)
        built = scorer.builder.build(inputs).X
        X = _features(built)
        outputs, further = scorer.score(inputs).outputs, scorer.outputs(built, scorer.further)
    except Exception as exc:
        # Also a forged file, which may fit neither Parquet nor the model, and fail anywhere in them.
        raise NotReproducibleHere(
            f"The bundle's golden rows cannot be scored here ({type(exc).__name__}); train it again."
        ) from exc
    expected = _part(table, _FEATURE)
    for position in range(max(expected.num_columns, X.shape[1])):
        if position >= min(expected.num_columns, X.shape[1]) or not same_bits(
            X[:, position], numbers(expected.column(position).combine_chunks())
        ):
            raise NotReproducibleHere(
                f"The bundle's feature {position + 1} comes out differently here than in training; "
                "install the versions that it was made with, or train it again."
            )
    _compare_outputs(_part(table, _OUTPUT), outputs, tolerance)
    _compare_outputs(_part(table, _FURTHER), further, tolerance)


def _compare_outputs(expected: pa.Table, got: pa.RecordBatch, tolerance: float) -> None:
    if expected.schema.names != got.schema.names:
        raise BundleRefused(
            "The bundle's golden rows have other output columns than its manifest; train it again."
        )
    for name in expected.schema.names:
        then, now = expected.column(name).combine_chunks(), got.column(name)
        if pa.types.is_floating(now.type):
            # Near zero, what counts is the size of the terms that cancelled out.
            size = float(np.abs(numbers(then)).max(initial=0.0))
            alike = np.allclose(
                numbers(now), numbers(then), rtol=tolerance, atol=tolerance * size, equal_nan=True
            )
        else:
            alike = then.equals(now)
        if not alike:
            raise NotReproducibleHere(
                f"The bundle's {name} of a golden row comes out differently here than in training; "
                "install the versions that it was made with, or train it again."
            )


def same_bits(left: FloatArray, right: FloatArray) -> bool:
    """Whether two arrays hold the same floats, bit for bit; one NaN is as good as another."""
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    # Every single-precision number is a double, and keeps its sign.
    left, right = left.astype(np.float64), right.astype(np.float64)
    left, right = np.where(np.isnan(left), np.nan, left), np.where(np.isnan(right), np.nan, right)
    return bool(np.array_equal(left.view(np.uint64), right.view(np.uint64)))


def _features(X: Any) -> FloatArray:
    """Give the features to compare: none of a frame or of objects, which only repeat the inputs."""
    is_floats = isinstance(X, np.ndarray) and np.issubdtype(X.dtype, np.floating)
    return X.astype(np.float64) if is_floats else np.empty((len(X), 0))


def _part(table: pa.Table, prefix: str) -> pa.Table:
    names = [name for name in table.schema.names if name.startswith(prefix)]
    return table.select(names).rename_columns([name.removeprefix(prefix) for name in names])
