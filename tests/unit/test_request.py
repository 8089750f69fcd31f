"""Names in options, and what makes two requests the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skfleet.request import PredictRequest, split_names
from skfleet_common.contracts.errors import UsageError


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b", ("a", "b")),
        (" a , b ", ("a", "b")),
        ('" a","b, c"', (" a", "b, c")),
        ('"say ""hi""",x', ('say "hi"', "x")),
        ('My "Flights"', ('My "Flights"',)),
        ("a,,b,", ("a", "b")),
        ("", ()),
        ("two\nlines", ("two\nlines",)),
    ],
)
def test_names_are_separated_by_commas_outside_quotes(text: str, names: tuple[str, ...]) -> None:
    assert split_names(text) == names


@given(st.lists(st.text(min_size=1, max_size=8), max_size=4))
def test_quoted_names_come_back_whatever_they_hold(names: list[str]) -> None:
    text = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    assert split_names(text) == tuple(names)


def request(**changes: object) -> PredictRequest:
    """A request with some of its fields changed."""
    usual: dict[str, object] = {"model": "m", "table": "t", "id_columns": ("id",), "output_table": "o"}
    return PredictRequest(**(usual | changes))  # type: ignore[arg-type]


def test_a_token_is_no_part_of_what_is_asked() -> None:
    assert request(token="a").asks("f") == request(token="b").asks("f")


@pytest.mark.parametrize("change", [{"where": "x"}, {"table": "u"}, {"columns": ("a",)}, {"chunk_rows": 7}])
def test_another_request_asks_for_something_else(change: dict[str, object]) -> None:
    assert request(**change).asks("f") != request().asks("f")
    assert request().asks("f") != request().asks("g")


@pytest.mark.parametrize(
    "change", [{"token": " "}, {"token": "x" * 257}, {"chunk_rows": 0}, {"id_columns": ()}]
)
def test_what_cannot_be_asked_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        request(**change)
