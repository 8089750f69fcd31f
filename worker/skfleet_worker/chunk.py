"""Scoring a chunk: read → features → predict → write, in bounded batches; then store → commit → climb."""

from __future__ import annotations

import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import structlog

from skfleet_common.contracts.jobs import Commit, CommitOutcome
from skfleet_common.contracts.messages import ChunkMessage
from skfleet_common.model.bundle import Bundle
from skfleet_common.tables.port import Selection
from skfleet_worker.bench import Workbench
from skfleet_worker.completion import close_chunk
from skfleet_worker.outcomes import ChunkRefused
from skfleet_worker.output import PartFile, rejected_rows, scored_rows
from skfleet_worker.readahead import ReadAhead
from skfleet_worker.sources import Source

log = structlog.get_logger()


@dataclass
class Tally:
    """What an attempt has done so far; seconds by stage, of which reading overlaps the others."""

    rows_read: int = 0
    rows_scored: int = 0
    rows_rejected: int = 0
    seconds_reading: float = 0.0
    seconds_scoring: float = 0.0
    seconds_writing: float = 0.0


def run_chunk(message: ChunkMessage, bench: Workbench) -> None:
    """Carry out one attempt at a chunk, up to and with its commit and climb."""
    attempt = uuid.uuid4().hex
    source = bench.sources.of(message.job)
    bundle = bench.models.open(source.spec.model, source.spec.digest)
    source.check(bundle.manifest)
    bench.report(0)
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        output, rejects = (
            PartFile(Path(folder) / "output.parquet"),
            PartFile(Path(folder) / "rejects.parquet"),
        )
        with output, rejects:
            tally = _score(message, bench, source=source, bundle=bundle, output=output, rejects=rejects)
        bench.check_lease()
        began = time.perf_counter()
        names, chunk = bench.cloud.names, message.chunk.number
        output_key, output_sha256 = _store(output, names.output(message.job, chunk, attempt), bench)
        rejects_key, _ = _store(rejects, names.rejects(message.job, chunk, attempt), bench)
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
            output_key=output_key,
            output_sha256=output_sha256,
            rejects_key=rejects_key,
            attempts=bench.attempts,
            trouble=bench.trouble,
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
) -> Tally:
    tally = Tally()
    spec, planned = source.spec, message.chunk.rows
    batches = bench.warehouse.reader.read(
        Selection(table=source.table, where=spec.where),
        features=bundle.manifest.feature_columns,
        verbatim=source.verbatim,
        split_column=spec.split_column,
        split_type=spec.split_type,
        within=message.chunk.range,
        batch_rows=bench.batch_rows,
    )
    with ReadAhead(batches) as reading:
        for batch in reading:
            tally.rows_read += batch.features.num_rows
            if tally.rows_read > planned:
                break  # The count below says so; there may be very many more.
            began = time.perf_counter()
            scored = bundle.score(batch.features)
            done = time.perf_counter()
            output.write(scored_rows(spec.output_columns, batch, scored))
            if scored.rejected:
                rejects.write(rejected_rows(spec.id_columns, batch, scored.rejected))
            tally.rows_scored += scored.outputs.num_rows
            tally.rows_rejected += len(scored.rejected)
            tally.seconds_scoring += done - began
            tally.seconds_writing += time.perf_counter() - done
            bench.report(tally.rows_read)
    tally.seconds_reading = reading.seconds
    if tally.rows_read != planned:
        more = "or more " if tally.rows_read > planned else ""
        raise ChunkRefused(
            f"{planned:,} rows were planned, {tally.rows_read:,} {more}read: "
            "the table changed while the job ran; submit it again."
        )
    return tally


def _store(part: PartFile, key: str, bench: Workbench) -> tuple[str | None, str | None]:
    """Put a file that has rows into the store; gives its key and digest."""
    if part.rows == 0:
        return None, None
    digest = part.sha256()
    if not bench.cloud.store.put_file_new(key, part.path, sha256=digest):
        raise RuntimeError(f"another object stands at {key}, which no other attempt can have")
    return key, digest
