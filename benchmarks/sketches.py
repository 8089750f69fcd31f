"""What a sketch of the scored rows costs: the flights scored with one and without, batch by batch in turn.

Prints the medians over several passes, in processor time of one thread, and exits 1 if the sketch takes more
than is allowed of the scoring that it watches.
"""

from __future__ import annotations

import os

# Before NumPy and scikit-learn are imported, or they do not look again.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import statistics
import sys
import time

from features import BATCH_ROWS, flights

from skfleet_common.model.bundle import MANIFEST_FILE, digest_of, open_bundle, pack
from skfleet_common.model.choices import FitChoices
from skfleet_common.model.fit import fit_model
from skfleet_common.model.sketch import Sketches

PASSES = 7
#: Of the time that features and scores take.
MOST = 0.03
#: The default, and the fastest one that there is, whose share is not judged: reading takes longer.
MODELS = ("gradient_boosting", "logistic_regression")
JUDGED = "gradient_boosting"


def main() -> int:
    """Fit each model on the flights, and print the figures."""
    table, columns = flights()
    worst = 0.0
    for model in MODELS:
        choices = FitChoices(
            targets=("arr_late",), model=model, exclude=("arr_delay", "arr_time", "air_time")
        )
        files = pack(fit_model(table, columns=columns, choices=choices))
        bundle = open_bundle(files, digest=digest_of(files[MANIFEST_FILE]))
        read = table.select(list(bundle.manifest.feature_columns)).combine_chunks()
        batches = read.to_batches(max_chunksize=BATCH_ROWS)
        plain, sketched, merging = [], [], []
        for _ in range(PASSES):
            seconds, sketches = [0.0, 0.0, 0.0], Sketches()
            for batch in batches:
                started = time.process_time()
                bundle.score(batch)
                middle = time.process_time()
                scored = bundle.score(batch, sketcher=bundle.sketcher)
                stopped = time.process_time()
                sketches += scored.sketches
                seconds[0] += middle - started
                seconds[1] += stopped - middle
                seconds[2] += time.process_time() - stopped
            for times, spent in zip((plain, sketched, merging), seconds, strict=True):
                times.append(spent)
        rows = table.num_rows
        extra = [(b + c - a) / a for a, b, c in zip(plain, sketched, merging, strict=True)]
        share = statistics.median(extra)
        print(f"{model}: {len(bundle.manifest.features)} columns, {rows:,} rows")
        print(f"  scored               {rows / statistics.median(plain):>12,.0f} rows/s")
        print(f"  scored and sketched  {rows / statistics.median(sketched):>12,.0f} rows/s ({share:+.1%})")
        print(f"  a chunk's sketch     {len(sketches.to_json()):>12,} bytes")
        if model == JUDGED:
            worst = share
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(main())
