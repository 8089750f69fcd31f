"""What an UNLOAD statement asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.redshift.lexicon import Token
from tests.redshift.refusal import Refusal, syntax_error
from tests.redshift.storage import Location
from tests.redshift.vocabulary import words

MEGABYTE = 1 << 20
#: MAXFILESIZE is between 5 MB and 6.2 GB, ROWGROUPSIZE between 32 and 128 MB (UNLOAD, parameters).
_FILE_MEGABYTES = (5.0, 6.2 * 1024)
_GROUP_MEGABYTES = (32.0, 128.0)

_NOT_WITH_PARQUET = words("options that UNLOAD")


@dataclass(frozen=True)
class UnloadStatement:
    """What an UNLOAD asks for; sizes are in bytes."""

    query: str
    prefix: Location
    manifest: bool
    verbose: bool
    file_bytes: int
    group_bytes: int
    parallel: bool
    allow_overwrite: bool
    clean_path: bool
    region: str | None


def read_unload(tokens: Sequence[Token]) -> UnloadStatement:
    """Read UNLOAD ('query') TO 's3://…' and its options.

    Raises:
        Refusal: it is not written as documented, or asks for what is not Parquet.
    """
    if len(tokens) < 6 or tokens[1].text != "(" or tokens[2].kind != "string" or tokens[3].text != ")":
        raise syntax_error(tokens[min(1, len(tokens) - 1)].text)
    if tokens[4].word != "to" or tokens[5].kind != "string":
        raise syntax_error(tokens[4].text)
    words = [token.word for token in tokens]
    if "parquet" not in words:
        raise Refusal("the test server unloads FORMAT PARQUET alone")
    clash = _NOT_WITH_PARQUET & set(words)
    if clash:
        raise Refusal(f"{min(clash).upper()} is not supported for UNLOAD to PARQUET")
    if {"allowoverwrite", "cleanpath"} <= set(words):
        raise Refusal("CLEANPATH and ALLOWOVERWRITE cannot be specified together", sqlstate="42601")
    if "verbose" in words and words[words.index("verbose") - 1] != "manifest":
        raise syntax_error("VERBOSE")
    group = _megabytes(tokens, "rowgroupsize", _GROUP_MEGABYTES, default=32.0)
    file = _megabytes(tokens, "maxfilesize", _FILE_MEGABYTES, default=_FILE_MEGABYTES[1])
    return UnloadStatement(
        query=tokens[2].value,
        prefix=Location.of(tokens[5].value),
        manifest="manifest" in words,
        verbose="verbose" in words,
        # "Automatically rounded down to the nearest multiple of 32 MB" (UNLOAD, FORMAT AS PARQUET).
        file_bytes=int(max(file // 32 * 32, min(file, 32.0)) * MEGABYTE),
        group_bytes=int(group * MEGABYTE),
        parallel="parallel" not in words or words[words.index("parallel") + 1] in {"on", "true"},
        allow_overwrite="allowoverwrite" in words,
        clean_path="cleanpath" in words,
        region=tokens[words.index("region") + 1 + (words[words.index("region") + 1] == "as")].value
        if "region" in words
        else None,
    )


def _megabytes(tokens: Sequence[Token], option: str, limits: tuple[float, float], *, default: float) -> float:
    words = [token.word for token in tokens]
    if option not in words:
        return default
    at = words.index(option) + 1
    at += words[at] == "as"
    if tokens[at].kind != "number":
        raise syntax_error(tokens[at].text)
    size = float(tokens[at].text) * (1024 if tokens[at + 1 : at + 2] and words[at + 1] == "gb" else 1)
    if not limits[0] <= size <= limits[1]:
        raise Refusal(
            f"{option.upper()} must be between {limits[0]:g} MB and {limits[1]:g} MB", sqlstate="22023"
        )
    return size
