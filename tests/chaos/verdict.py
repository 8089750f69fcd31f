"""The verdict: what must be true at the end of every trial, whatever happened in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from tests.chaos.trial import BEFORE, Trial
from tests.chaos.workers import marked

from skfleet.local.processes import MARK
from skfleet_common.aws.store import NoSuchObject
from skfleet_common.contracts.certificates import Certificate
from skfleet_common.contracts.jobs import CommitOutcome, IfExists
from skfleet_common.contracts.shapes import UnreadableShape
from skfleet_common.model.checksum import Checksum

#: What a worker that was killed held comes back after its lease, and is then seen to be moot.
QUIET_SECONDS = 45.0
#: How long a process may take to end.
STRAY_SECONDS = 10.0


def problems(trial: Trial) -> list[str]:
    """Give everything that is not as it must be, one sentence each; nothing if the trial was survived."""
    checks = (_faults, _output, _commits, _ledger, _certificate, _queue, _processes)
    found: list[str] = []
    for check in checks:
        found += check(trial)
        trial.say(f"checked{check.__name__.replace('_', ' ')}")
    return found


def _faults(trial: Trial) -> Iterator[str]:
    """What must be true after these faults, and after no others."""
    for fault in trial.faults:
        yield from fault.problems(trial)


def _output(trial: Trial) -> Iterator[str]:
    """Compare the published table row for row with the same model here."""
    rows = trial.place.sql(f"SELECT * FROM {trial.output} ORDER BY id")
    if trial.request.if_exists is IfExists.APPEND:
        if not rows or rows[0] != BEFORE:
            yield "the row that was there before the append is gone"
            return
        rows = rows[1:]
    expected = trial.expected
    if [row[0] for row in rows] != list(expected["id"]):
        yield f"{len(rows)} rows are published, not exactly the {len(expected)} of the table"
        return
    predictions, probabilities = trial.place.predict(expected[["miles", "carrier"]])
    if not np.array_equal(np.array([row[2:] for row in rows]), probabilities):
        yield "the published probabilities are not those of the model"
    if [row[1] for row in rows] != list(predictions):
        yield "the published predictions are not those of the model"


def _commits(trial: Trial) -> Iterator[str]:
    """Every chunk is committed, once and for all, and its object is what the commit says."""
    before = dict(trial.seen)
    commits = {commit.chunk: commit for commit in trial.commits()}
    if sorted(commits) != list(range(trial.chunks)):
        yield f"only {len(commits)} of {trial.chunks} chunks are committed"
    for chunk, commit in commits.items():
        if commit.outcome is not CommitOutcome.DONE:
            yield f"chunk {chunk} of a job that succeeded is committed as {commit.outcome.value}"
            continue
        was = before.get(chunk, commit)
        if was != commit and was.outcome is CommitOutcome.DONE and chunk not in trial.spoilt:
            yield f"the commit of chunk {chunk} was changed"
        if commit.output_key is None:
            yield f"chunk {chunk} is committed without an output"
        elif _sha256(trial, commit.output_key) != commit.output_sha256:
            yield f"the object of chunk {chunk} is not what was committed"


def _sha256(trial: Trial, key: str) -> str:
    try:
        return hashlib.sha256(trial.place.cloud.store.get(key)).hexdigest()
    except NoSuchObject:
        return "nothing"


def _ledger(trial: Trial) -> Iterator[str]:
    """Exactly one publication, and nothing left of any other attempt at it."""
    ledger = trial.place.sql(
        'SELECT count(*) FILTER (WHERE NOT abandoned) FROM skfleet_publications WHERE "table" = %s',
        trial.output,
    )
    if ledger != [(trial.publications,)]:
        yield f"{ledger[0][0]} publications stand in the ledger for the output table"
    own = trial.place.sql(
        "SELECT count(*) FROM skfleet_publications WHERE job = %s AND NOT abandoned", trial.job
    )
    if own != [(1,)]:
        yield f"{own[0][0]} publications of the job stand in the ledger"
    staging = trial.place.sql(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'skfleet\\_staging\\_%'"
        " AND NOT relname = ''"
    )
    if staging:
        yield f"staging tables are left: {', '.join(name for (name,) in staging)}"


def _certificate(trial: Trial) -> Iterator[str]:
    """Recompute the certificate from commits, objects and table."""
    cloud = trial.place.cloud
    try:
        certificate = Certificate.from_json(cloud.store.get(cloud.names.certificate(trial.job)))
    except (NoSuchObject, UnreadableShape) as exc:
        yield f"there is no certificate: {exc}"
        return
    commits = trial.commits()
    assert trial.prepared is not None
    planned = {chunk.number: chunk.rows for chunk in trial.prepared.plan.chunks}
    published = len(trial.expected)
    facts = {
        "job": trial.job,
        "digest": trial.digest,
        "chunks": trial.chunks,
        "chunks_committed": len(commits),
        "rows_planned": sum(planned.values()),
        "rows_read": sum(commit.rows_read for commit in commits),
        "rows_scored": sum(commit.rows_scored for commit in commits),
        "rows_rejected": sum(commit.rows_rejected for commit in commits),
        "rows_quarantined": trial.quarantined,
        "rows_published": published,
        "ids_unique": True,
        "adds_up": True,
        "checksum": str(_checksum(trial)),
    }
    for name, fact in facts.items():
        if getattr(certificate, name) != fact:
            yield f"the certificate says {name} = {getattr(certificate, name)!r}, which is {fact!r}"
    drifted = {commit.chunk for commit in commits if commit.rows_read != planned[commit.chunk]}
    if {drift.chunk for drift in certificate.drift} != drifted:
        yield f"the certificate does not name exactly the chunks that drifted, {sorted(drifted)}"


def _checksum(trial: Trial) -> Checksum:
    """Add up the rows of the committed objects."""
    total = Checksum()
    for commit in trial.commits():
        if commit.output_key is not None:
            # One that is damaged or gone has been told of already.
            with suppress(NoSuchObject, pa.ArrowInvalid):
                raw = trial.place.cloud.store.get(commit.output_key)
                for batch in pq.ParquetFile(pa.BufferReader(raw)).iter_batches():
                    total += Checksum.of(batch)
    return total


def _queue(trial: Trial) -> Iterator[str]:
    """No message is left, visible or not, dead or not."""
    cloud = trial.place.cloud
    try:
        trial.wait_for(
            lambda: cloud.queue.approximate_depth().total == 0, "queue", within_seconds=QUIET_SECONDS
        )
    except AssertionError:
        yield f"the queue still holds {cloud.queue.approximate_depth()}"
    if total := cloud.dead_letters.approximate_depth().total:
        yield f"{total} dead letters are left"


def _processes(trial: Trial) -> Iterator[str]:
    """Everything that runs is the stack's or a living worker's, and each worker has its one scorer."""
    place = trial.place
    try:
        trial.wait_for(lambda: not _strays(trial), "no stray process", within_seconds=STRAY_SECONDS)
    except AssertionError:
        yield f"processes are left over: {', '.join(_strays(trial))}"
    for worker in place.workers:
        if worker.is_alive and len(worker.scorers()) > 1:
            yield f"{worker.name} has {len(worker.scorers())} scorers"


def _strays(trial: Trial) -> list[str]:
    place = trial.place
    known = {process.pid for worker in place.workers for process in worker.family()} | set(place.wire.pids)
    strays = []
    for process in marked(place.token):
        # One that ends meanwhile is none.
        with suppress(psutil.Error):
            if process.pid not in known and not _is_of_the_stack(process.environ().get(MARK, "")):
                strays.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
    return strays


def _is_of_the_stack(mark: str) -> bool:
    return mark.rpartition(":")[2] in {"emulator", "postgres"}
