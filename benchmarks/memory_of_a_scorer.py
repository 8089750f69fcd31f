"""Peak memory of a scoring process for a small and for a large chunk: it must not grow with the chunk.

Runs the real fleet (one worker with one scoring process) on a stack of its own, scores 100,000 rows
as one chunk, restarts the worker, scores 2,000,000 rows as one chunk, and compares the kernel's own
high-water marks. Run it with ``make bench``; the figures stand in docs/performance.md.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import psycopg2

from skfleet.api import Fleet, connect
from skfleet.flights import ROWS, load_flights
from skfleet.local.stack import Stack
from skfleet.progress import Silent
from skfleet.target import warehouse_url
from skfleet_common.settings import Settings

SMALL_ROWS = 100_000
LARGE_ROWS = 2_000_000

ALLOWED_GROWTH_MB = 150


def peak_mb(pid: int) -> float:
    """Give the high-water mark of a process's resident memory (proc(5), VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text("ascii"))
    assert found is not None
    return int(found[1]) / 1024


def make_table(fleet: Fleet, rows: int) -> None:
    """Make public.many: the flights over and over, with ids of their own."""
    connection = psycopg2.connect(warehouse_url(fleet.settings))
    with connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE public.flights RENAME COLUMN id TO original")
        cursor.execute(
            "CREATE TABLE public.many AS SELECT row_number() OVER () AS id, f.* "
            f"FROM public.flights f, generate_series(1, {-(-rows // ROWS)}) LIMIT {rows}"
        )
        cursor.execute("ALTER TABLE public.many ADD PRIMARY KEY (id)")
        cursor.execute("ALTER TABLE public.flights RENAME COLUMN original TO id")
    connection.close()


def peak_of_one_chunk(stack: Stack, fleet: Fleet, rows: int) -> float:
    """Score the first ``rows`` rows as one chunk on a fresh worker; give its scoring process's peak."""
    stack.up(workers=0)
    status = stack.up(workers=1)
    (worker,) = status.workers
    job = fleet.predict(
        model="flights-delay",
        table="public.many",
        id_column="id",
        where=f"id <= {rows}",
        output_table="public.many_scores",
        if_exists="replace",
        chunk_rows=rows,
    )
    done = job.wait(600)
    assert (done.chunks, done.rows_scored) == (1, rows)
    return max(peak_mb(pid) for pid in worker.scorer_pids)


def measure(small_rows: int, large_rows: int) -> tuple[float, float]:
    """Give both peaks in MB."""
    with tempfile.TemporaryDirectory(prefix="skfleet-bench-") as folder:
        Path(folder).chmod(0o755)  # so that the unprivileged PostgreSQL gets in
        home = Path(folder) / ".skfleet"
        settings = Settings.load({"SKFLEET_HOME": str(home), "SKFLEET_SCORERS": "1"})
        stack = Stack(home, settings)
        try:
            stack.up(workers=0, durable=False)
            fleet = connect(settings)
            load_flights(warehouse_url(fleet.settings), Silent())
            fleet.train(
                table="public.flights",
                target="arr_late",
                id_column="id",
                name="flights-delay",
                exclude=("arr_time", "arr_delay", "air_time"),
            )
            make_table(fleet, large_rows)
            return (
                peak_of_one_chunk(stack, fleet, small_rows),
                peak_of_one_chunk(stack, fleet, large_rows),
            )
        finally:
            stack.down()


def main() -> None:
    """Measure, print, and fail if memory grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small-rows", type=int, default=SMALL_ROWS)
    parser.add_argument("--large-rows", type=int, default=LARGE_ROWS)
    given = parser.parse_args()
    small, large = measure(given.small_rows, given.large_rows)
    print(f"chunk of {given.small_rows:>9,} rows: peak {small:6.0f} MB")
    print(f"chunk of {given.large_rows:>9,} rows: peak {large:6.0f} MB")
    print(f"growth {large - small:+.0f} MB, allowed {ALLOWED_GROWTH_MB} MB")
    raise SystemExit(0 if large - small <= ALLOWED_GROWTH_MB else 1)


if __name__ == "__main__":
    main()
