"""Published files: the manifest that names those which count, and what a prefix may hold before."""

from __future__ import annotations

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


class FileMeta(Shape):
    """What is known of a file, as Redshift's manifests say it."""

    content_length: NonNegativeInt
    record_count: NonNegativeInt


class FileEntry(Shape):
    """One file, as COPY reads it from a manifest."""

    url: str
    mandatory: bool = True
    meta: FileMeta


class OutputManifest(StoredShape):
    """The files of a publication; those beside them that it does not name are none of it."""

    job: JobId
    run: PositiveInt
    format: FileFormat
    rows: NonNegativeInt
    columns: tuple[str, ...]
    published_at: datetime
    entries: tuple[FileEntry, ...] = Field(default=())


class Decision(StoredShape):
    """What became of a run that may publish files; whoever writes it first decides.

    Written into the fleet's own bucket before anything of a publication can be seen, so that whoever finds it
    carries it out; or as what rules out that the run ever publishes.
    """

    job: JobId
    run: PositiveInt
    #: None where the run was given up.
    manifest: OutputManifest | None = None
    #: Files of an earlier publication that go when this one stands.
    replaced: tuple[str, ...] = ()


def standing_manifest(objects: UserObjects, output: ObjectUrl) -> OutputManifest | None:
    """Give the manifest below a prefix; None if there is none that skfleet wrote."""
    found = next((it for it in objects.everything(output) if it.url.key == output.key + MANIFEST), None)
    if found is None:
        return None
    try:
        return OutputManifest.from_json(objects.bytes_of(found, 0, found.size_bytes))
    except (NewerShape, UnreadableShape):
        return None


def check_vacant(
    objects: UserObjects, output: ObjectUrl, *, if_exists: IfExists, job: str = ""
) -> OutputManifest | None:
    """Refuse a prefix that holds what is not to be replaced; gives what stands there to be.

    What an earlier attempt of ``job`` left does not count.

    Raises:
        Refused: there are files already, or files of somebody else.
    """
    others = [it for it in objects.everything(output) if not is_of_job(it.url.key, output, job)]
    if not others:
        return None
    if if_exists is IfExists.FAIL:
        raise Refused(
            f"There are files below {output} already; name another prefix, or replace them with "
            "--if-exists replace."
        )
    standing = standing_manifest(objects, output)
    known = {output.key + MANIFEST, output.key + SUCCESS}
    if standing is not None:
        known |= {ObjectUrl.parse(entry.url).key for entry in standing.entries}
    strangers = (it for it in others if it.url.key not in known and not _is_part(it.url.key, output))
    strange = next(strangers, None)
    if standing is None or strange is not None:
        raise Refused(
            f"There are files below {output} that no job of skfleet published, such as "
            f"{strange or others[0]}; move them away, or name another prefix."
        )
    return standing


def part_prefix(output: ObjectUrl, job: str) -> str:
    """Give what the keys of a job's files begin with."""
    return f"{output.key}part-{job}-"


def is_of_job(key: str, output: ObjectUrl, job: str) -> bool:
    """Whether a file below an output is of a job."""
    return bool(job) and key.startswith(part_prefix(output, job))


def _is_part(key: str, output: ObjectUrl) -> bool:
    """Whether a file is what an attempt left that ended before it published."""
    return key.startswith(f"{output.key}part-2")
