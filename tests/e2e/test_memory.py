"""Memory of a scoring process does not grow with the chunk."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "memory_of_a_scorer.py"


@pytest.mark.slow
def test_a_chunk_ten_times_as_large_needs_no_more_memory() -> None:
    benchmark = runpy.run_path(str(BENCHMARK))
    small, large = benchmark["measure"](40_000, 400_000)
    assert large - small <= benchmark["ALLOWED_GROWTH_MB"]
