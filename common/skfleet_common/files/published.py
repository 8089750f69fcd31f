"""Published files: the manifest that names those which count, and what a prefix may hold before.

The manifest is the publication: it is written under a condition on the one that stood there when its files
were decided on, so that of two jobs that publish to one prefix one alone does, whichever fleets they are of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field, NonNegativeInt, PositiveInt

from skfleet_common.aws.user_files import ObjectUrl
from skfleet_common.aws.user_objects import UserObjects
from skfleet_common.contracts.errors import Refused
from skfleet_common.contracts.file_sources import FileFormat
from skfleet_common.contracts.jobs import IfExists, JobId
from skfleet_common.contracts.shapes import NewerShape, Shape, StoredShape, UnreadableShape

#: Below an output's prefix. What begins with an underscore is no data to those who list a folder.
MANIFEST, SUCCESS = "_manifest.json", "_SUCCESS"
#: Publications that a manifest remembers: whoever comes back to one of them finds that it was published.
REMEMBERED = 1_000
_PART = re.compile(r"part-(?P<job>[0-9a-z-]{1,64})-[0-9]+-[0-9a-f]{8}-[0-9]{5,}\.(?:parquet|csv)")


class FileMeta(Shape):
    """What is known of a file, as Redshift's manifests say it."""

    content_length: NonNegativeInt
    record_count: NonNegativeInt


class FileEntry(Shape):
    """One file, as COPY reads it from a manifest."""

    url: str
    mandatory: bool = True
    meta: FileMeta


class Earlier(Shape):
    """A publication that another one has replaced since."""

    job: JobId
    rows: NonNegativeInt


class OutputManifest(StoredShape):
    """The files of a publication; those beside them that it does not name are none of it."""

    job: JobId
    run: PositiveInt
    format: FileFormat
    rows: NonNegativeInt
    columns: tuple[str, ...]
    published_at: datetime
    entries: tuple[FileEntry, ...] = Field(default=())
    #: Names, below the prefix, of files of earlier publications: they go when this one stands.
    replaced: tuple[str, ...] = ()
    #: What was published below the prefix before, the last one last.
    earlier: tuple[Earlier, ...] = ()

    def rows_of(self, job: str) -> int | None:
        """How many rows a job has published below this prefix; None if it has not."""
        if job == self.job:
            return self.rows
        return next((it.rows for it in self.earlier if it.job == job), None)


@dataclass(frozen=True)
class Standing:
    """The manifest below a prefix, with the tag by which it is told from any other."""

    manifest: OutputManifest
    etag: str

    @property
    def earlier(self) -> tuple[Earlier, ...]:
        """What the manifest that follows remembers."""
        last = Earlier(job=self.manifest.job, rows=self.manifest.rows)
        return (*self.manifest.earlier, last)[-REMEMBERED:]


class Decision(StoredShape):
    """What became of a run that may publish files; whoever writes it first decides.

    Written into the fleet's own bucket before anything of a publication can be seen, so that whoever finds it
    carries it out; or as what rules out that the run ever publishes.
    """

    job: JobId
    run: PositiveInt
    #: None where the run was given up.
    manifest: OutputManifest | None = None
    #: The tag of the manifest that this one takes the place of; None where there is none.
    standing: str | None = None


def standing_manifest(objects: UserObjects, output: ObjectUrl) -> Standing | None:
    """Give the manifest below a prefix; None if there is none that this skfleet reads."""
    found = objects.whole(ObjectUrl(output.bucket, output.key + MANIFEST))
    if found is None:
        return None
    body, etag = found
    try:
        return Standing(OutputManifest.from_json(body), etag)
    except (NewerShape, UnreadableShape):
        return None


@dataclass(frozen=True)
class Vacancy:
    """A prefix that may be published to."""

    standing: Standing | None = None
    #: Names, below the prefix, of what goes then.
    replaced: tuple[str, ...] = ()


def check_vacant(objects: UserObjects, output: ObjectUrl, *, if_exists: IfExists, job: str = "") -> Vacancy:
    """Refuse a prefix that holds what is not to be replaced.

    What an earlier attempt of ``job`` left does not count.

    Raises:
        Refused: there are files already, or files of somebody else.
    """
    names = [it.url.key.removeprefix(output.key) for it in objects.everything(output)]
    others = [name for name in names if not (job and job_of_part(name) == job)]
    if not others:
        return Vacancy()
    if if_exists is IfExists.FAIL:
        raise Refused(
            f"There are files below {output} already; name another prefix, or replace them with "
            "--if-exists replace."
        )
    standing = standing_manifest(objects, output)
    strange = (name for name in others if name not in {MANIFEST, SUCCESS} and job_of_part(name) is None)
    stranger = next(strange, others[0] if standing is None else None)
    if standing is None or stranger is not None:
        raise Refused(
            f"There are files below {output} that no job of skfleet published, such as {output}{stranger}; "
            "move them away, or name another prefix."
        )
    counted = {entry.url.removeprefix(str(output)) for entry in standing.manifest.entries}
    foreign = next((name for name in sorted(counted) if job_of_part(name) is None), None)
    if foreign is not None:
        raise Refused(
            f"The manifest below {output} names files that skfleet did not publish there, such as {foreign}; "
            "move them away, or name another prefix."
        )
    going = counted | set(standing.manifest.replaced)
    return Vacancy(standing, tuple(name for name in others if name in going))


def part_prefix(output: ObjectUrl, job: str) -> str:
    """Give what the keys of a job's files begin with."""
    return f"{output.key}part-{job}-"


def job_of_part(name: str) -> str | None:
    """Give the job that a file directly below an output is of; None if no job names files so."""
    found = _PART.fullmatch(name)
    return None if found is None else found["job"]
