"""An attempt of the product's own worker that stands still before every request, and may die there.

The attempt runs in a thread of its own, but only while it has the turn: from one request to the next. A
request is a call of a boto3 client, of the scripted queue, or of the warehouse's publisher, so whatever the
worker does between two of them happens in one go. Dying after a request is dying before the next one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from skfleet_common.contracts.chunks import IdRange, TableName
from skfleet_common.contracts.columns import Column, LogicalDtype, SourceTable
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.model.scoring import Scored
from skfleet_common.tables.port import Parts, Publication, Published, Selection, SourceBatch

CHUNK_ROWS = 2
TURN_SECONDS = 60


class Crash(BaseException):
    """The process is gone; the worker catches no such thing."""


class Attempt:
    """Work that goes from request to request as it is told; it starts at once, up to its first."""

    def __init__(self, work: Callable[[Callable[..., None]], None]) -> None:
        self.ended = False
        #: The request that it stands before.
        self.before = ""
        self._turn = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._dying = False
        self._broken: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._wait()

    def step(self) -> None:
        """Do the request that it stands before, and go on to the next one or to the end."""
        if not self.ended:
            self._turn.release()
            self._wait()

    def crash(self) -> None:
        """End it before the request that it stands at, and make no other."""
        self._dying = True
        self.step()
        assert self.ended

    def run_out(self) -> None:
        """Go on to the end."""
        while not self.ended:
            self.step()

    def _wait(self) -> None:
        assert self._back.acquire(timeout=TURN_SECONDS), "an attempt did not come to its next request"
        if self.ended:
            self._thread.join()
        if self._broken is not None:
            raise self._broken

    def _run(self, work: Callable[[Callable[..., None]], None]) -> None:
        try:
            work(self._stand)
        except Crash:
            pass
        except BaseException as exc:  # noqa: BLE001  (it is raised again where the schedule is played)
            self._broken = exc
        finally:
            self.ended = True
            self._back.release()

    def _stand(self, before: str = "") -> None:
        """Stand before a request until there is a turn."""
        self.before = before
        if not self._dying:
            self._back.release()
            self._turn.acquire()
        if self._dying:
            raise Crash


@dataclass(frozen=True)
class Gated:
    """A client, before each of whose calls the attempt stands still."""

    client: Any
    stand: Callable[..., None]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give the client's method, after a turn."""
        method = getattr(self.client, name)

        def call(*args: Any, **given: Any) -> Any:
            # A climb and a move of the job are the same call.
            is_move = name == "update_item" and given["Key"]["sk"]["S"] == "job"
            self.stand("move" if is_move else name)
            return method(*args, **given)

        return call


@dataclass
class Ledger:
    """The publisher's double: a publication and its ledger row are one request, as they are one transaction.

    As in the warehouse's own ledger a job publishes once, and a run that was abandoned never does.
    """

    published: list[int] = field(default_factory=list)
    abandoned: set[int] = field(default_factory=set)

    def publish(
        self, publication: Publication, parts: Iterable[pa.RecordBatch], *, check: Callable[[], None]
    ) -> Published:
        """Do what the port says; ``check`` looks at the world at the moment of the effect."""
        if self._is_settled(publication):
            return Published(publication.rows, is_new=False)
        assert sum(part.num_rows for part in parts) == publication.rows
        # Another worker may have published while this one loaded.
        if self._is_settled(publication):
            return Published(publication.rows, is_new=False)
        check()
        self.published.append(publication.run)
        return Published(publication.rows, is_new=True)

    def _is_settled(self, publication: Publication) -> bool:
        if not self.published and publication.run in self.abandoned:
            raise JobFailed("Publishing was given up before.")
        return bool(self.published)


@dataclass(frozen=True)
class LedgerPublisher:
    """One attempt's way to the ledger."""

    ledger: Ledger
    stand: Callable[..., None]
    check: Callable[[], None]

    def publish(self, publication: Publication, parts: Parts, **_: Any) -> Published:
        """Load at once, and stand still before the transaction that counts."""
        loaded = list(parts.batches())
        self.stand("publish")
        return self.ledger.publish(publication, loaded, check=self.check)

    def abandon(self, _table: TableName, *, run: int, **_: Any) -> bool:
        """Rule out that a run ever publishes."""
        self.stand("abandon")
        if self.ledger.published:
            return False
        self.ledger.abandoned.add(run)
        return True


class SmallCatalogue:
    """A warehouse's catalogue with one table of one column."""

    def find_table(self, _text: str) -> SourceTable:
        column = Column(name="id", warehouse_type="bigint", dtype=LogicalDtype.INTEGER, nullable=False)
        return SourceTable(name=TableName(schema_name="public", name="flights"), columns=(column,))


class SmallReader:
    """A warehouse's reader that finds the planned rows in every range."""

    def read(self, _source: Selection, *, within: IdRange | None, **_: Any) -> Iterator[SourceBatch]:
        assert within is not None
        first = int(within.first or 0)
        ids = [str(first + row) for row in range(CHUNK_ROWS)]
        yield SourceBatch(
            features=pa.RecordBatch.from_pydict({"x": pa.array(range(CHUNK_ROWS), pa.int64())}),
            verbatim=pa.RecordBatch.from_pydict({"id": pa.array(ids, pa.string())}),
        )


class TrivialBundle:
    """A model that needs no feature and refuses no row."""

    manifest = SimpleNamespace(
        features=(),
        feature_columns=(),
        output_columns=lambda: (
            OutputColumn(name="prediction", warehouse_type="boolean", source="prediction"),
        ),
    )
    sketcher = None

    def score(self, features: pa.RecordBatch, *_: object, **__: object) -> Scored:
        rows = features.num_rows
        outputs = pa.RecordBatch.from_pydict({"prediction": pa.array([True] * rows)})
        return Scored(rejected=[], kept=np.ones(rows, dtype=bool), outputs=outputs)


class TrivialModels:
    """The one model, whatever is asked for."""

    def keep(self, _count: int) -> None:
        """Nothing is opened."""

    def open(self, *_: Sequence[str]) -> TrivialBundle:
        return TrivialBundle()
