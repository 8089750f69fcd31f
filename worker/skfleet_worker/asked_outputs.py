"""Asked outputs: what a job's spec wants of its models and of its source."""

from __future__ import annotations

from collections.abc import Sequence

from skfleet_common.contracts.errors import JobFailed
from skfleet_common.contracts.jobs import JobSpec
from skfleet_common.model.manifest import FeatureManifest


def check_outputs(spec: JobSpec, manifests: Sequence[FeatureManifest]) -> None:
    """Refuse a spec that asks for what its models do not give.

    Raises:
        JobFailed: it does.
    """
    given = [{column.name for column in manifest.all_outputs} for manifest in manifests]
    for output in spec.output_columns:
        if output.is_verbatim:
            continue
        if output.model >= len(given) or output.of_model not in given[output.model]:
            raise JobFailed(
                f"The job's stored spec asks for the output column {output.name}, which its model does "
                "not give; submit the job again."
            )


def verbatim_names(spec: JobSpec) -> tuple[str, ...]:
    """Give the columns that go into the output as they are read."""
    return tuple(column.name for column in spec.output_columns if column.is_verbatim)
