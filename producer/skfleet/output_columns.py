"""Output columns: what a job's output table holds, of what its models can give and its source has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from skfleet.naming import find_column
from skfleet.request import split_names
from skfleet_common.contracts.columns import Column, SourceTable
from skfleet_common.contracts.errors import Refused, UsageError
from skfleet_common.contracts.jobs import OutputColumn
from skfleet_common.contracts.kinds import Kind
from skfleet_common.model.manifest import FeatureManifest
from skfleet_common.model.offers import lacks
from skfleet_common.model.output_names import column_names

#: A model's part of a column's name, which must leave room for an output's.
_MAX_MODEL_CHARACTERS = 24


def choose_output_columns(
    manifests: Sequence[FeatureManifest],
    table: SourceTable,
    *,
    ids: Iterable[Column],
    asked: tuple[str, ...] = (),
    kinds: Sequence[Kind] = (),
) -> tuple[OutputColumn, ...]:
    """Give the output table's columns: the ids, columns carried along, then what the models give.

    ``asked`` may name outputs of the models (then only those are written) and columns of the source
    (which are carried along). ``kinds`` are those to choose from; without any, the models' usual outputs.

    Raises:
        Refused: a model gives nothing of a kind, or two columns would have the same name.
        UsageError: what is named leaves nothing of a model, or is not of the kinds.
    """
    offered = outputs_of_models(manifests)
    pool = _of_kinds(manifests, offered, kinds) if kinds else _usual(manifests, offered)
    named = [name for text in asked for name in ((text,) if table.column(text) else split_names(text))]
    names_offered, names_in_pool = ({column.name for column in columns} for columns in (offered, pool))
    wanted, others = set(), []
    for name in dict.fromkeys(named):
        if name in names_in_pool or (not kinds and name in names_offered and not table.column(name)):
            wanted.add(name)
        elif name in names_offered and not table.column(name):
            raise UsageError(f"--columns names {name}, which --outputs leaves out; change one of them.")
        else:
            others.append(name)
    id_columns = list(ids)
    carried = [
        find_column(table.columns, name, flag="--columns", source=table.name)
        for name in others
        if name not in {column.name for column in id_columns}
    ]
    columns = (
        *(_from_table(column, source="id") for column in id_columns),
        *(_from_table(column, source="carried") for column in carried),
        *(column for column in offered if column.name in (wanted or names_in_pool)),
    )
    _check(columns, manifests)
    return columns


def outputs_of_models(manifests: Sequence[FeatureManifest]) -> tuple[OutputColumn, ...]:
    """Give all that the models can give; of several models, each name begins with its model's.

    Names do not depend on what is chosen: ``late_prediction``, ``late_2_prediction`` of two bundles of the
    model late.
    """
    if len(manifests) == 1:
        return manifests[0].all_outputs
    words = column_names("", [manifest.name[:_MAX_MODEL_CHARACTERS] for manifest in manifests], kind="model")
    found: list[OutputColumn] = []
    for place, (word, manifest) in enumerate(zip(words, manifests, strict=True)):
        outputs = manifest.all_outputs
        taken = [column.name for column in found]
        names = column_names(f"{word}_", [column.name for column in outputs], taken=taken)
        found += [
            column.model_copy(update={"name": name, "model": place, "output": column.name})
            for name, column in zip(names, outputs, strict=True)
        ]
    return tuple(found)


def _usual(manifests: Sequence[FeatureManifest], offered: Sequence[OutputColumn]) -> tuple[OutputColumn, ...]:
    usual = [{column.name for column in manifest.outputs} for manifest in manifests]
    return tuple(column for column in offered if column.of_model in usual[column.model])


def _of_kinds(
    manifests: Sequence[FeatureManifest], offered: Sequence[OutputColumn], kinds: Sequence[Kind]
) -> tuple[OutputColumn, ...]:
    for manifest in manifests:
        given = {column.source for column in manifest.all_outputs}
        for kind in kinds:
            if kind not in given:
                raise Refused(lacks(manifest, kind))
    return tuple(column for column in offered if column.source in set(kinds))


def _check(columns: Sequence[OutputColumn], manifests: Sequence[FeatureManifest]) -> None:
    seen: set[str] = set()
    for column in columns:
        if column.name in seen:
            raise Refused(
                f"The output table would have two columns called {column.name}; "
                "leave one out of --columns, or rename the column in a view of the source."
            )
        seen.add(column.name)
    given = {column.model for column in columns if column.source not in {"id", "carried"}}
    for place, manifest in enumerate(manifests):
        if place not in given:
            raise UsageError(
                f"--columns names no output of {manifest.name}, so it would score for nothing; name one, or "
                "leave that model out."
            )


def _from_table(column: Column, *, source: str) -> OutputColumn:
    return OutputColumn(
        name=column.name,
        warehouse_type=column.warehouse_type,
        source=source,
        nullable=column.nullable if source == "carried" else False,
    )
