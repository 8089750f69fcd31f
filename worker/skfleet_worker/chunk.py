"""Scoring a chunk: read → features → predict → write, in bounded batches; then store → commit → climb."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from skfleet_common.contracts.errors import UnreadableValue
from skfleet_common.contracts.jobs import Commit, CommitOutcome, JobSpec, OnDrift
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.model.checksum import Checksum
from skfleet_common.model.sketch import NO_SKETCHES, SKETCH_KEY, Sketches
from skfleet_common.tables.port import SourceBatch
from skfleet_worker.bench import Workbench
from skfleet_worker.completion import close_chunk
from skfleet_worker.job_models import JobModels
from skfleet_worker.outcomes import ChunkQuarantined, ChunkRefused
from skfleet_worker.output import PartFile, rejected_rows, scored_rows
from skfleet_worker.quarantine import Quarantine, too_many_in_chunk
from skfleet_worker.readahead import ReadAhead
from skfleet_worker.sources import Source

log = structlog.get_logger()


@dataclass
class Tally:
    """What an attempt has done so far; seconds by stage, of which reading overlaps the others."""

    output: PartFile
    rejects: PartFile
    quarantine: Quarantine
    rows_read: int = 0
    rows_scored: int = 0
    rows_rejected: int = 0
    checksum: Checksum = field(default_factory=Checksum)
    sketches: Sketches = NO_SKETCHES
    seconds_reading: float = 0.0
    seconds_scoring: float = 0.0
    seconds_writing: float = 0.0


def run_chunk(message: ChunkMessage, bench: Workbench) -> None:
    """Carry out one attempt at a chunk, up to and with its commit and climb.

    Raises:
        ChunkRefused: it has other rows than planned.
        ChunkQuarantined: more of its rows cannot be read or scored than the whole job may have.
    """
    attempt = uuid.uuid4().hex
    source = bench.sources.of(message.job)
    models = JobModels.of(source.spec, bench.models)
    source.check(models.manifests)
    bench.report(0)
    work = _ChunkWork(message, bench, source, models)
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        try:
            tally = work.score(Path(folder))
        except UnreadableValue as error:
            # What was scored before it is dropped: the warehouse may give the rows in another order now.
            log.warning("chunk.read_carefully", why=error.condition)
            tally = work.score(Path(folder), carefully=True)
        bench.check_lease()
        began = time.perf_counter()
        names, chunk = bench.cloud.names, message.chunk.number
        rejects_key, _ = _store(tally.rejects, names.rejects(message.job, chunk, attempt), bench)
        _check(message, source.spec, tally, rejects_key)
        output_key, output_sha256 = _store(tally.output, names.output(message.job, chunk, attempt), bench)
        tally.seconds_writing += time.perf_counter() - began
    bench.report(tally.rows_read)
    bench.check_lease()
    close_chunk(
        bench.cloud,
        message,
        Commit(
            job=message.job,
            run=message.run,
            chunk=message.chunk.number,
            outcome=CommitOutcome.DONE,
            attempt=attempt,
            worker=bench.worker,
            rows_read=tally.rows_read,
            rows_scored=tally.rows_scored,
            rows_rejected=tally.rows_rejected,
            rows_quarantined=tally.quarantine.rows,
            output_key=output_key,
            output_sha256=output_sha256,
            rejects_key=rejects_key,
            attempts=bench.attempts,
            trouble=bench.trouble,
            checksum=str(tally.checksum),
            seconds_reading=round(tally.seconds_reading, 3),
            seconds_scoring=round(tally.seconds_scoring, 3),
            seconds_writing=round(tally.seconds_writing, 3),
        ),
    )


@dataclass(frozen=True)
class _ChunkWork:
    message: ChunkMessage
    bench: Workbench
    source: Source
    models: JobModels

    def score(self, folder: Path, *, carefully: bool = False) -> Tally:
        """Score the chunk's batches into files below ``folder``, up to the first that shows it is in vain.

        Raises:
            UnreadableValue: the warehouse fails to give a value, and it was not read carefully.
        """
        prefix = "careful-" if carefully else ""
        tally = Tally(
            output=PartFile(folder / f"{prefix}output.parquet", codec=self.bench.warehouse.codec),
            rejects=PartFile(folder / f"{prefix}rejects.parquet"),
            quarantine=Quarantine(most=self.source.spec.max_rejects),
        )
        with tally.output, tally.rejects, ReadAhead(self._batches(carefully=carefully)) as reading:
            for batch in reading:
                if batch is not None:
                    self._take(batch, tally)
                self.bench.report(tally.rows_read)
                if self._is_in_vain(tally):
                    break
            if tally.sketches.models:
                # A chunk without scored rows has no other file.
                described = tally.output if tally.rows_scored else tally.rejects
                described.describe(SKETCH_KEY, tally.sketches.to_json())
        tally.seconds_reading = reading.seconds
        return tally

    def _batches(self, *, carefully: bool) -> Iterator[SourceBatch | None]:
        return self.source.read(
            self.message.chunk,
            features=self.models.feature_columns,
            batch_rows=self.bench.batch_rows,
            carefully=carefully,
        )

    def _is_in_vain(self, tally: Tally) -> bool:
        """Whether the chunk is refused whatever comes; and very much more may come."""
        chunk = self.message.chunk
        too_many_rows = tally.rows_read > chunk.rows and not chunk.is_as_planned(tally.rows_read)
        return tally.quarantine.is_named or (too_many_rows and self.source.spec.on_drift is OnDrift.FAIL)

    def _take(self, batch: SourceBatch, tally: Tally) -> None:
        spec = self.source.spec
        began = time.perf_counter()
        scored = self.models.score(
            batch,
            most=tally.quarantine.left,
            report=partial(self.bench.report, tally.rows_read),
        )
        done = time.perf_counter()
        tally.rows_read += batch.features.num_rows
        if scored.rejected:
            rejected = rejected_rows(spec.id_columns, batch, scored.rejected)
            tally.rejects.write(rejected)
            tally.quarantine.take(rejected)
        if scored.outputs.num_rows:
            rows = scored_rows(spec.output_columns, batch, scored)
            tally.checksum += Checksum.of(rows)
            tally.output.write(rows)
        tally.sketches += scored.sketches
        tally.rows_scored += scored.outputs.num_rows
        tally.rows_rejected += len(scored.rejected)
        tally.seconds_scoring += done - began
        tally.seconds_writing += time.perf_counter() - done


def _check(message: ChunkMessage, spec: JobSpec, tally: Tally, rejects_key: str | None) -> None:
    """Refuse an attempt that is in vain."""
    quarantine, planned = tally.quarantine, message.chunk.rows
    if quarantine.is_over:
        # Which rows they are, a person is told at the end of the run, when those of other chunks are known.
        sentence = too_many_in_chunk(quarantine.rows, most=quarantine.most)
        raise ChunkQuarantined(sentence, rows=quarantine.rows, rejects_key=rejects_key)
    if message.chunk.is_as_planned(tally.rows_read):
        return
    if spec.on_drift is OnDrift.WARN:
        log.warning("chunk.drifted", planned=planned, rows=tally.rows_read)
        return
    more = "or more " if tally.rows_read > planned else ""
    raise ChunkRefused(
        f"{planned:,} rows were planned, {tally.rows_read:,} {more}read: "
        "the table changed while the job ran; submit it again, with --on-drift warn if that may happen."
    )


def _store(part: PartFile, key: str, bench: Workbench) -> tuple[str | None, str | None]:
    """Put a file that has rows into the store; gives its key and digest."""
    if part.rows == 0:
        return None, None
    digest = part.sha256()
    if not bench.cloud.store.put_file_new(key, part.path, sha256=digest):
        raise RuntimeError(f"another object stands at {key}, which no other attempt can have")
    return key, digest
