"""``skfleet jobs``, ``status``, ``rejects`` and ``wait``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from skfleet.cli.fleet import open_cloud, open_job
from skfleet.cli.output import count, duration, emit_facts, emit_json, emit_table, stderr, when
from skfleet.job import Job, newest_jobs
from skfleet.progress import Terminal
from skfleet.stalls import words
from skfleet.status import JobStatus
from skfleet_common.contracts.certificates import Certificate
from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import JobRecord
from skfleet_common.contracts.shifts import Shift

JobArgument = Annotated[str, typer.Argument(help="The job's id, as predict printed it.")]
#: Columns that have drifted most, of which a status for people tells.
WORST_SHOWN = 3

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def jobs(
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs."""
    records = [job.record for job in newest_jobs(open_cloud(), limit)]
    if as_json:
        emit_json("skfleet.jobs/1", {"jobs": [_as_json(record) for record in records]})
        return
    emit_table(
        ["job", "state", "submitted", "model", "table", "output", "rows"],
        (
            (
                record.job,
                record.state,
                when(record.created_at),
                ", ".join(map(str, record.models)),
                record.table,
                record.output_table,
                count(record.rows) if record.rows_are_exact else f"about {count(record.rows)}",
            )
            for record in records
        ),
    )


def _as_json(record: JobRecord) -> dict[str, object]:
    tables = {"table": str(record.table), "output_table": str(record.output_table)}
    return record.model_dump(mode="json", exclude={"schema_version"}) | tables


def status(job: JobArgument, as_json: AsJson = False) -> None:
    """Show where a job stands."""
    describe(open_job(job).status(), as_json=as_json)


def rejects(
    job: JobArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the rows of a job that were rejected: their ids, why, and whether no policy asked for it."""
    table = open_job(job).rejects()
    listed = table.slice(0, limit).to_pylist()
    if as_json:
        emit_json("skfleet.rejects/1", {"job": job, "rows": table.num_rows, "rejects": listed})
        return
    if listed:
        emit_table(list(listed[0]), (row.values() for row in listed))
    if table.num_rows > limit:
        stderr.print(f"{count(table.num_rows - limit)} more; list them with --limit {table.num_rows}.")
    if not listed:
        stderr.print("No row is known to be rejected.")


def wait(
    job: JobArgument,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds to wait at most; exit code 124 then.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Wait until a job has ended; exits 0 only if it succeeded."""
    with detaching(job):
        wait_for(open_job(job), timeout, as_json=as_json)


def wait_for(job: Job, timeout_seconds: float | None, *, as_json: bool) -> None:
    """Wait with a bar, and print the last status."""
    try:
        describe(job.wait(timeout_seconds, steps=Terminal(stderr)), as_json=as_json)
    except JobFailed as failure:
        if not as_json:
            raise
        stderr.print(f"skfleet: {failure}", markup=False, soft_wrap=True)
        describe(job.status(), as_json=True)
        raise typer.Exit(JobFailed.exit_code) from failure


@contextmanager
def detaching(job: str) -> Iterator[None]:
    """On Ctrl-C, say that the job goes on and how to wait for it again."""
    try:
        yield
    except KeyboardInterrupt:
        stderr.print(f"Detached; the job goes on. Wait again with: skfleet wait {job}", markup=False)
        raise


def _read(status: JobStatus) -> str | None:
    return f"{status.read}: {status.read_why}" if status.read_why else None


def describe(status: JobStatus, *, as_json: bool) -> None:
    """Print a status."""
    if as_json:
        emit_json("skfleet.status/1", status)
        return
    facts: dict[str, object] = {
        "job": status.job,
        "state": status.state,
        "model" if len(status.models) == 1 else "models": ", ".join(map(str, status.models)),
        "table": status.table,
        "read": _read(status),
        "output": status.output_table,
        "rows": _done(status.rows_done, status.rows) + ("" if status.rows_are_exact else " (estimated)"),
        "scored": None if status.rows_scored is None else count(status.rows_scored),
        "rejected": None if status.rows_rejected is None else count(status.rows_rejected),
        "chunks": _done(status.chunks_done, status.chunks)
        + (f", {count(status.chunks_failed)} failed" if status.chunks_failed else ""),
        "submitted": when(status.created_at),
        "took" if status.finished_at else "running for": duration(status.seconds),
        "left": duration(status.eta_seconds),
        "reason": status.reason,
        "certificate": None if status.certificate is None else certified(status.certificate),
        "drift": None if status.shift is None else shifted(status.shift),
        "stalled": words(status),
    }
    emit_facts(facts)
    if status.failures:
        emit_table(
            ["chunk", "attempts", "worker", "reason"],
            ((at.chunk, at.attempts, at.worker, at.reason) for at in status.failures),
        )
    if status.troubles:
        emit_table(
            ["troubled chunk", "attempts", "worker", "when", "reason"],
            ((at.chunk, at.attempts, at.worker, when(at.at), at.reason) for at in status.troubles),
        )
    if status.stragglers:
        emit_table(
            ["straggler", "worker", "host", "attempts", "rows read", "held for"],
            (
                (
                    "publication" if at.chunk is None else at.chunk,
                    at.worker or "none",
                    at.host,
                    at.attempts,
                    None if at.rows_read is None else count(at.rows_read),
                    duration(at.seconds),
                )
                for at in status.stragglers
            ),
        )


def _done(done: int | None, of: int) -> str:
    return f"{count(of)}; the plan has expired" if done is None else f"{count(done)} of {count(of)} done"


def certified(certificate: Certificate) -> str:
    """Say in one line what a certificate says."""
    parts = [
        f"{count(certificate.rows_read)} read = {count(certificate.rows_scored)} scored "
        f"+ {count(certificate.rows_rejected)} rejected",
        f"{count(certificate.rows_published)} published",
        "ids unique" if certificate.ids_unique else "ids not unique",
        f"checksum {certificate.checksum}",
    ]
    if certificate.rows_quarantined:
        parts.insert(1, f"{count(certificate.rows_quarantined)} of them quarantined")
    if certificate.bytes_planned:
        parts.insert(0, f"{count(certificate.bytes_planned)} bytes of text in slices")
    if certificate.drift:
        parts.append(
            f"{count(certificate.rows_drifted)} rows drifted in {count(len(certificate.drift))} chunks"
        )
    verdict = "adds up" if certificate.adds_up else "does not add up"
    return f"{verdict}: {', '.join(parts)}"


def shifted(shift: Shift) -> str:
    """Say in one line how far the rows are from the training rows, by the worst columns."""
    if shift.why_not is not None:
        return f"not measured: {shift.why_not}"
    worst = (
        f"{column.named} {column.psi:.2f} ({column.most.label}: {column.most.scored:.1%} of the rows, "
        f"{column.most.trained:.1%} in training{'; may be chance' if column.may_be_chance else ''})"
        for column in shift.columns[:WORST_SHOWN]
    )
    unknown = f"; {count(shift.rows_unknown)} rows not compared" if shift.rows_unknown else ""
    bare = shift.columns_not_comparable
    more = f" and {len(bare) - WORST_SHOWN} more" if len(bare) > WORST_SHOWN else ""
    told = f"; not comparable: {', '.join(bare[:WORST_SHOWN])}{more}" if bare else ""
    return f"{'; '.join(worst)}; the farthest of {shift.columns_compared} compared{unknown}{told}"
