"""Parameters of a session: what SET, RESET and SHOW take, and what the server reports at the start."""

from __future__ import annotations

from tests.redshift.lexicon import Token
from tests.redshift.refusal import Refusal

#: Known to Redshift alone, with their defaults (configuration reference).
REDSHIFT_ONLY = {
    "query_group": "unset", "wlm_query_slot_count": "1", "enable_case_sensitive_identifier": "off",
    "enable_result_cache_for_session": "on", "describe_field_name_in_uppercase": "off", "autocommit": "on",
    "analyze_threshold_percent": "10", "error_on_nondeterministic_update": "off", "cursor": "", "autoanalyze": "on",
    "json_serialization_enable": "off", "json_serialization_parse_nested_strings": "off", "mv_enable_aqmv_for_session": "on",
    "navigate_super_null_on_error": "on", "cast_super_null_on_error": "on", "parse_super_null_on_error": "off",
    "spectrum_enable_pseudo_columns": "on", "spectrum_query_maxerror": "-1", "default_geometry_encoding": "1",
    "downcase_delimited_identifier": "on", "max_concurrency_scaling_clusters": "1", "max_cursor_result_set_size": "0",
    "stored_proc_log_min_messages": "log", "timezone_abbreviations": "default", "use_fips_ssl": "false",
    "require_ssl": "false", "enable_vacuum_boost": "off", "enable_numeric_rounding": "on", "session_timeout": "0",
}  # fmt: skip

#: Of those that PostgreSQL knows, the ones that 8.0 has and Redshift lets be set.
SHARED = frozenset(
    [
        "application_name",
        "datestyle",
        "timezone",
        "search_path",
        "client_encoding",
        "client_min_messages",
        "extra_float_digits",
        "statement_timeout",
        "seed",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "transaction_isolation",
        "transaction_read_only",
        "server_version",
        "server_encoding",
        "session_authorization",
        "is_superuser",
        "password_encryption",
        "lc_collate",
        "lc_ctype",
        "intervalstyle",
        "names",
        "role",
    ]
)

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


def setting_statement(tokens: list[Token], sql: str) -> str | None:
    """Give SET, RESET or SHOW of a parameter that only Redshift has as PostgreSQL would have it.

    None stands for a statement that PostgreSQL takes as it is.
    """
    verb = tokens[0].word
    if verb == "show" and len(tokens) == 2:
        name = tokens[1].word
        if name == "server_version":
            return "SELECT '8.0.2'::text AS server_version"
        if name in REDSHIFT_ONLY:
            default = REDSHIFT_ONLY[name]
            return f"SELECT coalesce(nullif(current_setting('redshift.{name}', true), ''), '{default}') AS {name}"
        if name not in {"all", "tables", "columns", "schemas", "databases"}:
            check_parameter(name)
        return None
    position = 2 if verb == "set" and tokens[1].word in {"session", "local"} else 1
    if verb not in {"set", "reset"} or len(tokens) <= position:
        return None
    name = tokens[position].word
    if name in {"transaction", "characteristics", "authorization", "time", "all", "session"}:
        return None
    if len(tokens) > position + 1 and tokens[position + 1].text == ".":
        return None
    check_parameter(name)
    if name not in REDSHIFT_ONLY:
        return None
    start = tokens[position].start
    return f"{sql[:start]}redshift.{sql[start:]}"
