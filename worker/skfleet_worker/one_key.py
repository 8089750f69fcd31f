"""Ranges of one key: rows that no key tells apart are cut by a hash, as the planner cuts heavy keys."""

from __future__ import annotations

from skfleet_common.contracts.chunks import IdRange

#: Hashes are below it (``IdRange.first_hash``).
_HASHES = 2**32


def keys_at(part: IdRange) -> tuple[IdRange | None, IdRange | None]:
    """Give the range's rows that have its first key, and those that have its last; None if it has no such."""
    first = stop = None
    if part.first is not None:
        first = part.model_copy(update={"stop": part.first, "stop_included": True, "stop_hash": 0})
    if part.stop is not None and (part.stop_included or part.stop_hash):
        stop = part.model_copy(update={"first": part.stop, "first_hash": 0})
    return first, stop


def one_key(part: IdRange, key: str, *, at_first: bool, at_stop: bool) -> IdRange:
    """Give the same rows of a range where all have ``key``, which may be its first or its last one."""
    return part.model_copy(
        update={
            "first": key,
            "first_hash": part.first_hash if at_first else 0,
            "stop": key,
            "stop_included": True,
            "stop_hash": part.stop_hash if at_stop else 0,
        }
    )


def cut_by_hash(part: IdRange, columns: tuple[str, ...]) -> tuple[IdRange, IdRange] | None:
    """Halve a range of one key, or of the rows without one, by the hash of ``columns``.

    None if all its rows have one hash.
    """
    first, stop = part.first_hash, part.stop_hash or _HASHES
    if stop - first < 2:  # noqa: PLR2004  (one hash cannot be halved)
        return None
    middle = (first + stop) // 2
    return (
        part.model_copy(update={"hash_columns": columns, "stop_hash": middle}),
        part.model_copy(update={"hash_columns": columns, "first_hash": middle}),
    )
