"""A publisher may lose Redshift, or die, before and after any statement: one more call settles it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from tests.contract.publications import LEDGER, counts, old_table, part, publication
from tests.contract.warehouse_place import REDSHIFT, Place
from tests.redshift.place import RedshiftPlace
from tests.redshift.refusal import Refusal

from skfleet_common.contracts.errors import TryAgain
from skfleet_common.contracts.jobs import IfExists
from skfleet_common.tables.port import Publication, Published
from skfleet_common.tables.redshift import publisher

pytestmark = REDSHIFT

#: Statements that change something or hold something, in the order in which a replacement sends them; each
#: with the number of such statements that come before it.
POINTS = {
    "loading": ("^COPY", 0),
    "loaded": ("^CREATE TABLE .*skfleet_staging", 0),
    "filling": ("^INSERT INTO .*skfleet_staging", 0),
    "committing staging": ("^COMMIT", 3),
    "locking the ledger": ("^LOCK TABLE .*skfleet_publications", 0),
    "locking the table": ("^LOCK TABLE .*scores", 0),
    "setting aside": ("^ALTER TABLE .*scores. RENAME", 0),
    "taking the name": ("^ALTER TABLE .*skfleet_staging.* RENAME TO .scores", 0),
    "dropping the old one": ("^DROP TABLE .*_old", 0),
    "recording": ("^INSERT INTO .*skfleet_publications", 0),
    "committing": ("^COMMIT", 4),
}

#: What is tried in every run.
ALWAYS = {"loading", "committing staging", "taking the name", "committing"}


@pytest.fixture
def replaced(place: Place) -> Place:
    """A place with a published table of three rows."""
    first = publication(place, rows=3, job="before")
    place.publisher.publish(first, [part(0, 3, "old")])
    return place


def asked_in(place: Place, if_exists: IfExists = IfExists.REPLACE) -> Publication:
    return publication(place, rows=10, if_exists=if_exists, id_columns=("id",))


def assert_one_effect(place: Place, *, was_published: bool) -> None:
    """Publish once more, and see that it has happened once, and that nothing else is there."""
    assert counts(place) == ([("late", 10, 10)] if was_published else [("old", 3, 3)])
    again = place.publisher.publish(asked_in(place), [part(0, 10)])
    assert again == Published(rows=10, is_new=not was_published)
    assert counts(place) == [("late", 10, 10)]
    assert place.tables() == ["scores", LEDGER]
    assert place.sql(f"SELECT job, rows FROM {LEDGER} ORDER BY 1") == [("before", 3), ("job-1", 10)]


def cut(redshift: RedshiftPlace, point: str, *, after: bool, times: int = 1) -> None:
    """Cut the connection at a point of the next publication."""
    pattern, passing = POINTS[point]
    if passing:
        redshift.server.slow(pattern, 0.0, times=passing)
    redshift.server.kill(pattern, after=after, times=times)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "point",
    [pytest.param(point, marks=() if point in ALWAYS else pytest.mark.slow) for point in POINTS],
)
def test_a_publisher_that_loses_its_connection_has_published_all_or_nothing(
    redshift: RedshiftPlace, replaced: Place, point: str, *, after: bool
) -> None:
    cut(redshift, point, after=after)
    with pytest.raises(TryAgain):
        replaced.publisher.publish(asked_in(replaced), [part(0, 10)])
    # Connected anew, the publisher has removed its staging table, whatever had become of it.
    assert replaced.tables() == ["scores", LEDGER]
    assert_one_effect(replaced, was_published=point == "committing" and after)


@pytest.mark.parametrize("point", ["committing staging", "recording", "committing"])
def test_what_a_publisher_leaves_that_dies_the_next_one_removes(
    redshift: RedshiftPlace, replaced: Place, point: str
) -> None:
    """It cannot clean up after itself: no later connection comes about."""
    cut(redshift, point, after=True)
    with pytest.raises(TryAgain), dying(redshift):
        replaced.publisher.publish(asked_in(replaced), [part(0, 10)])
    staged = [name for name in replaced.tables() if name.startswith("skfleet_staging")]
    assert len(staged) == (point != "committing")
    found = replaced.warehouse.publisher.leftovers()
    assert [(left.table.name, left.job) for left in found] == [(name, "job-1") for name in staged]
    assert all(0 <= left.age_seconds < 600 for left in found)
    assert_one_effect(replaced, was_published=point == "committing")
    assert replaced.warehouse.publisher.leftovers() == []


class dying:  # noqa: N801  (read as a word)
    """Lets no session drop anything until the end of the block."""

    def __init__(self, redshift: RedshiftPlace) -> None:
        self._redshift = redshift

    def __enter__(self) -> None:
        self._redshift.server.kill("^DROP TABLE IF EXISTS", times=99)

    def __exit__(self, *_: object) -> None:
        self._redshift.server.heal()


def test_a_reply_to_commit_that_is_lost_in_appending_does_not_append_twice(
    redshift: RedshiftPlace, place: Place
) -> None:
    old_table(place)
    asked = asked_in(place, IfExists.APPEND)
    place.publisher.abandon(asked.table, job="another", run=1)  # the ledger is there
    cut(redshift, "committing", after=True)
    with pytest.raises(TryAgain):
        place.publisher.publish(asked, [part(0, 10)])
    assert place.publisher.publish(asked, [part(0, 10)]) == Published(rows=10, is_new=False)
    assert counts(place) == [("late", 10, 10), ("old", 1, 1)]
    assert place.tables() == ["scores", LEDGER]


SERIALIZABLE = Refusal(
    "1023", sqlstate="XX000", detail="Serializable isolation violation on table in Redshift"
)


@pytest.mark.parametrize("at", ["^LOCK TABLE .*scores", "^INSERT INTO .*skfleet_publications", "^COMMIT"])
def test_a_swap_that_others_forestall_is_tried_again_without_loading_again(
    redshift: RedshiftPlace, replaced: Place, at: str
) -> None:
    if at == "^COMMIT":
        redshift.server.slow(at, 0.0, times=4)
    redshift.server.fail(at, SERIALIZABLE)
    redshift.server.statements.clear()
    assert replaced.publisher.publish(asked_in(replaced), [part(0, 10)]).is_new
    sent = Counter(re.split(r"\W", said)[0] for said in redshift.server.statements)
    assert sent["COPY"] == 1
    assert_one_effect(replaced, was_published=True)


def test_a_swap_that_is_forestalled_for_ever_is_left_to_a_later_attempt(
    redshift: RedshiftPlace, replaced: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "SWAP_TRIES", 2)
    redshift.server.fail("^LOCK TABLE .*scores", SERIALIZABLE, times=2)
    with pytest.raises(TryAgain, match="could not be locked"):
        replaced.publisher.publish(asked_in(replaced), [part(0, 10)])
    assert_one_effect(replaced, was_published=False)
