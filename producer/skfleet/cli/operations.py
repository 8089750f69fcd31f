"""``skfleet cancel``, ``retry``, ``resume``, ``redrive`` and ``gc``: at any moment, and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from skfleet.cleanup import OLDER_THAN_DAYS, CleanUp, clean_up
from skfleet.cli.fleet import open_cloud, open_job, publisher_opener
from skfleet.cli.jobs import AsJson, JobArgument
from skfleet.cli.output import count, counted, emit_json, emit_table, size, stderr, stdout
from skfleet.leftovers import Why
from skfleet.progress import Terminal
from skfleet.redrive import Redriven
from skfleet.redrive import redrive as send_back

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skfleet.effect import Effect

_WORDS = {
    Why.LOST: "attempts that lost",
    Why.PUBLISHED: "published",
    Why.CANCELLED: "job cancelled",
    Why.FAILED: "job failed",
    Why.UNKNOWN: "no such job",
}


def cancel(job: JobArgument, as_json: AsJson = False) -> None:
    """End a job that has not published; its output table stays as it is."""
    _tell("skfleet.cancelled/1", open_job(job).cancel(), as_json=as_json)


def retry(job: JobArgument, as_json: AsJson = False) -> None:
    """Take the chunks of a FAILED job that are not done up again; what is done stays done."""
    _tell("skfleet.retried/1", open_job(job).retry(steps=Terminal(stderr)), as_json=as_json)


def resume(job: JobArgument, as_json: AsJson = False) -> None:
    """Send again what a job waits for, after its producer died or the queue was purged."""
    _tell("skfleet.resumed/1", open_job(job).resume(steps=Terminal(stderr)), as_json=as_json)


def redrive(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many dead letters to send back or drop at most.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to the queue; those whose job has ended are dropped."""
    done = send_back(open_cloud(), limit=limit, dry_run=dry_run, steps=Terminal(stderr))
    if as_json:
        emit_json("skfleet.redriven/1", done)
        return
    stdout.print(_of_redrive(done), markup=False)


def gc(
    older_than: Annotated[
        float,
        typer.Option(
            min=0, metavar="DAYS", help="Age of published outputs, and of FAILED jobs, from which they go."
        ),
    ] = OLDER_THAN_DAYS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what ended jobs left in bucket and warehouse; a FAILED job that it removes cannot be retried."""
    done = clean_up(
        open_cloud(),
        older_than_days=older_than,
        dry_run=dry_run,
        steps=Terminal(stderr),
        open_publisher=publisher_opener(),
    )
    if as_json:
        emit_json("skfleet.gc/1", done)
        return
    _show_clean_up(done)


def _tell(schema: str, effect: Effect, *, as_json: bool) -> None:
    if as_json:
        emit_json(schema, effect)
    else:
        stdout.print(effect.sentence, markup=False)


def _of_redrive(done: Redriven) -> str:
    would = "would be " if done.dry_run else ""
    sent = counted(sum(done.sent.values()) + done.newer, "dead letter")
    parts = [f"{sent} {would}sent back to the queue{_of_jobs(done.sent)}"]
    if done.dropped:
        parts.append(
            f"{counted(sum(done.dropped.values()), 'dead letter')} {would}dropped, because the job has ended "
            f"or is at another run{_of_jobs(done.dropped)}"
        )
    if done.unreadable:
        parts.append(f"{counted(done.unreadable, 'dead letter')} that nobody can read stayed")
    return "; ".join(parts) + "."


def _of_jobs(by_job: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{job}: {count(number)}' for job, number in by_job.items())})" if by_job else ""


def _show_clean_up(done: CleanUp) -> None:
    if done.removed:
        emit_table(
            ["job", "why", "objects", "size"],
            ((part.job, _WORDS[part.why], count(part.objects), size(part.bytes)) for part in done.removed),
        )
    verb = "would be removed" if done.dry_run else "removed"
    for table in done.tables:
        stdout.print(f"Table {table}, which a publisher left behind, {verb}.", markup=False)
    if done.warehouse is not None:
        stderr.print(f"The warehouse was not looked through: {done.warehouse}", markup=False)
    for job in done.unreadable:
        stderr.print(f"Job {job} was left alone: update skfleet here to read it.", markup=False)
    stdout.print(f"{counted(done.objects, 'object')} {verb}, {size(done.bytes)}.", markup=False)
