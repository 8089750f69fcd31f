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

from skfleet_common.contracts.jobs import Commit, CommitOutcome, OnDrift
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.model.bundle import Bundle
from skfleet_common.model.checksum import Checksum
from skfleet_common.tables.port import Selection, SourceBatch
from skfleet_worker.bench import Workbench
from skfleet_worker.completion import close_chunk
from skfleet_worker.isolation import score_batch
from skfleet_worker.outcomes import ChunkRefused
from skfleet_worker.output import PartFile, rejected_rows, scored_rows
from skfleet_worker.quarantine import Quarantine, rejects_address, too_many
from skfleet_worker.readahead import ReadAhead
from skfleet_worker.sources import Source

log = structlog.get_logger()


@dataclass
class Tally:
    """What an attempt has done so far; seconds by stage, of which reading overlaps the others."""

    quarantine: Quarantine
    rows_read: int = 0
    rows_scored: int = 0
    rows_rejected: int = 0
    checksum: Checksum = field(default_factory=Checksum)
    seconds_reading: float = 0.0
    seconds_scoring: float = 0.0
    seconds_writing: float = 0.0


def run_chunk(message: ChunkMessage, bench: Workbench) -> None:
    """Carry out one attempt at a chunk, up to and with its commit and climb.

    Raises:
        ChunkRefused: it has other rows than planned.
        TooManyQuarantined: more of its rows cannot be read or scored than the whole job may have.
    """
    attempt = uuid.uuid4().hex
    source = bench.sources.of(message.job)
    bundle = bench.models.open(source.spec.model, source.spec.digest)
    source.check(bundle.manifest)
    bench.report(0)
    tally = Tally(Quarantine(most=source.spec.max_rejects))
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        output, rejects = (
            PartFile(Path(folder) / "output.parquet"),
            PartFile(Path(folder) / "rejects.parquet"),
        )
        with output, rejects:
            _score(message, bench, source=source, bundle=bundle, output=output, rejects=rejects, tally=tally)
        bench.check_lease()
        began = time.perf_counter()
        names, chunk = bench.cloud.names, message.chunk.number
        rejects_key, _ = _store(rejects, names.rejects(message.job, chunk, attempt), bench)
        _check(message, source, tally, bench)
        output_key, output_sha256 = _store(output, names.output(message.job, chunk, attempt), bench)
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


def _score(
    message: ChunkMessage,
    bench: Workbench,
    *,
    source: Source,
    bundle: Bundle,
    output: PartFile,
    rejects: PartFile,
    tally: Tally,
) -> None:
    """Score the chunk's batches, up to the first that shows that the attempt is in vain."""
    spec, quarantine = source.spec, tally.quarantine
    with ReadAhead(_batches(message, bench, source=source, bundle=bundle)) as reading:
        for batch in reading:
            done_before = tally.rows_read
            tally.rows_read += batch.features.num_rows
            if spec.on_drift is OnDrift.FAIL and tally.rows_read > message.chunk.rows:
                break  # There may be very many more.
            began = time.perf_counter()
            scored = score_batch(
                bundle.score,
                batch,
                most=quarantine.left,
                report=partial(bench.report, done_before),
            )
            done = time.perf_counter()
            if scored.rejected:
                rejected = rejected_rows(spec.id_columns, batch, scored.rejected)
                rejects.write(rejected)
                quarantine.take(rejected)
                if quarantine.is_over:
                    break
            if scored.outputs.num_rows:
                rows = scored_rows(spec.output_columns, batch, scored)
                tally.checksum += Checksum.of(rows)
                output.write(rows)
            tally.rows_scored += scored.outputs.num_rows
            tally.rows_rejected += len(scored.rejected)
            tally.seconds_scoring += done - began
            tally.seconds_writing += time.perf_counter() - done
            bench.report(tally.rows_read)
    tally.seconds_reading = reading.seconds


def _batches(
    message: ChunkMessage, bench: Workbench, *, source: Source, bundle: Bundle
) -> Iterator[SourceBatch]:
    spec = source.spec
    return bench.warehouse.reader.read(
        Selection(table=source.table, where=spec.where),
        features=bundle.manifest.feature_columns,
        verbatim=source.verbatim,
        split_column=spec.split_column,
        split_type=spec.split_type,
        within=message.chunk.range,
        batch_rows=bench.batch_rows,
    )


def _check(message: ChunkMessage, source: Source, tally: Tally, bench: Workbench) -> None:
    """Refuse an attempt that is in vain."""
    quarantine, planned = tally.quarantine, message.chunk.rows
    if quarantine.is_over:
        raise too_many(
            [(message.chunk.number, quarantine.rows)],
            most=quarantine.most,
            first=quarantine.first,
            where=rejects_address(bench.cloud, message.job),
            more=True,
        )
    if tally.rows_read == planned:
        return
    if source.spec.on_drift is OnDrift.WARN:
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
