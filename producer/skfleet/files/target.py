"""Files on S3 as a job's output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skfleet.inputs.files import is_pattern
from skfleet.request import PredictRequest
from skfleet_common.aws.user_files import SCHEME, ObjectUrl
from skfleet_common.aws.user_objects import UserObject, UserObjects
from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import UsageError
from skfleet_common.contracts.file_sources import FileFormat, FilesOutput
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.files.published import check_vacant


@dataclass(frozen=True)
class FilesTarget:
    """Files below a prefix."""

    objects: UserObjects
    output: FilesOutput
    if_exists: IfExists

    @classmethod
    def of(cls, request: PredictRequest, objects: UserObjects) -> FilesTarget:
        """Read the address.

        Raises:
            UsageError: it is no prefix on S3.
        """
        uri = request.output if request.output.endswith("/") else f"{request.output}/"
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        if not uri.startswith(SCHEME) or not bucket or not key.strip("/") or is_pattern(uri):
            raise UsageError(
                f"--output takes a prefix on S3, such as s3://BUCKET/scores/, not {request.output}."
            )
        output = FilesOutput(
            uri=uri, format=request.output_format or FileFormat.PARQUET, one_file=request.one_file
        )
        return cls(objects, output, request.if_exists)

    @property
    def files(self) -> FilesOutput | None:
        """Which files."""
        return self.output

    def refuse_sources(self, found: Iterable[UserObject]) -> None:
        """Refuse a prefix that files are read from: what is replaced there must not be what is scored.

        Raises:
            UsageError: an object that is read lies below it.
        """
        source = next((it for it in found if str(it).startswith(self.output.uri)), None)
        if source is not None:
            raise UsageError(
                f"{source}, which is to be scored, lies below the output {self.output.uri}; name another "
                "with --output."
            )

    def check(self, columns: Sequence[OutputColumn], *, source: TableName) -> TableName:
        """Refuse a prefix that holds what is not to be replaced."""
        del columns, source
        check_vacant(self.objects, ObjectUrl.parse(self.output.uri), if_exists=self.if_exists)
        return TableName(schema_name="", name=self.output.uri)
