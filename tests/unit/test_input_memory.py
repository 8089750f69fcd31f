"""What a training frame takes is told before it is read, and compared with what is free."""

from __future__ import annotations

import psutil
import pytest

from skfleet.inputs.memory import available_bytes, needed_bytes, refuse_too_large
from skfleet_common.contracts.errors import Refused


def test_what_is_free_is_no_more_than_the_host_has() -> None:
    assert 0 < available_bytes() <= psutil.virtual_memory().total


def test_the_need_grows_with_rows_columns_and_what_is_read() -> None:
    least = needed_bytes(1_000, 10, table_bytes=0)
    assert needed_bytes(2_000, 10, table_bytes=0) == 2 * least
    assert needed_bytes(1_000, 20, table_bytes=0) == 2 * least
    assert needed_bytes(1_000, 10, table_bytes=5_000) == least + 5_000


def test_too_much_is_refused_with_what_to_do() -> None:
    refuse_too_large("public.small", 1_000, rows=10, remedy="--where")
    with pytest.raises(Refused, match=r"public.big would take about 1,000,000.0 GB .*--where or --sample"):
        refuse_too_large("public.big", 1e15, rows=10**12, remedy="--where or --sample ROWS")
