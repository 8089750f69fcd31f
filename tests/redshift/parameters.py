"""Parameters of a session: what SET, RESET and SHOW take, and what the server reports at the start."""

from __future__ import annotations

from collections.abc import Sequence

from tests.redshift.lexicon import Token
from tests.redshift.refusal import Refusal
from tests.redshift.vocabulary import words

#: Known to Redshift alone, with their defaults (configuration reference).
REDSHIFT_ONLY = {
    "query_group": "unset", "wlm_query_slot_count": "1", "enable_case_sensitive_identifier": "off",
    "enable_result_cache_for_session": "on", "describe_field_name_in_uppercase": "off", "autocommit": "on",
    "analyze_threshold_percent": "10", "error_on_nondeterministic_update": "off", "session_timeout": "0",
    "json_serialization_enable": "off", "json_serialization_parse_nested_strings": "off",
    "navigate_super_null_on_error": "on", "parse_super_null_on_error": "off",
    "cast_super_null_on_error": "on",
    "spectrum_enable_pseudo_columns": "on", "spectrum_query_maxerror": "-1",
    "downcase_delimited_identifier": "on", "max_concurrency_scaling_clusters": "1", "require_ssl": "false",
    "max_cursor_result_set_size": "0", "enable_vacuum_boost": "off", "enable_numeric_rounding": "on",
}  # fmt: skip

#: Of those that PostgreSQL knows, the ones that 8.0 has and Redshift lets be set.
SHARED = words("parameters")
_NO_PARAMETERS = words("words after SET")

#: What the server reports at the start of a session; nothing else is ever reported.
REPORTED = {
    "client_encoding": "UTF8", "DateStyle": "ISO, MDY", "integer_datetimes": "on", "is_superuser": "off",
    "server_encoding": "UNICODE", "server_version": "8.0.2", "max_numeric_precision": "38",
    "max_varchar_size": "65535", "padb_version": "1.0.77467", "padb_revision": "4711",
}  # fmt: skip


def check_parameter(name: str) -> None:
    """Refuse a parameter of a later PostgreSQL."""
    if name not in SHARED and name not in REDSHIFT_ONLY and "." not in name:
        raise Refusal(f'unrecognized configuration parameter "{name}"', sqlstate="42704")


def setting_statement(tokens: Sequence[Token], sql: str) -> str | None:
    """Give SET, RESET or SHOW of a parameter that only Redshift has as PostgreSQL would have it.

    None stands for a statement that PostgreSQL takes as it is.

    Raises:
        Refusal: there is no such parameter.
    """
    verb = tokens[0].word
    if verb not in {"set", "reset", "show"} or len(tokens) < 2:
        return None
    position = 2 if verb == "set" and tokens[1].word in {"session", "local"} else 1
    name = tokens[position].word if position < len(tokens) else ""
    is_qualified = [token.text for token in tokens[position + 1 : position + 2]] == ["."]
    if not name or name in _NO_PARAMETERS or is_qualified:
        return None
    check_parameter(name)
    if verb == "show":
        return _shown(name)
    start = tokens[position].start
    return f"{sql[:start]}redshift.{sql[start:]}" if name in REDSHIFT_ONLY else None


def _shown(name: str) -> str | None:
    if name == "server_version":
        return "SELECT '8.0.2'::text AS server_version"
    if name not in REDSHIFT_ONLY:
        return None
    value = f"nullif(current_setting('redshift.{name}', true), '')"
    return f"SELECT coalesce({value}, '{REDSHIFT_ONLY[name]}') AS {name}"
