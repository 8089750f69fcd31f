"""Functions that Redshift has (SQL reference), as far as the backend or the catalogue here has them too."""

from __future__ import annotations

#: Known to the leader node alone: refused as soon as a statement reads or writes a table.
LEADER_ONLY = frozenset(
    [
        "generate_series",
        "array_agg",
        "array_to_string",
        "string_to_array",
        "array_length",
        "array_upper",
        "array_lower",
        "unnest",
        "array_append",
        "array_cat",
        "array_prepend",
        "array_position",
        "array_dims",
        "array_ndims",
    ]
)

KNOWN = LEADER_ONLY | frozenset(
    # aggregates and windows
    "count sum avg min max stddev stddev_samp stddev_pop variance var_samp var_pop median listagg bool_and bool_or "
    "bit_and bit_or any_value percentile_cont percentile_disc row_number rank dense_rank ntile lag lead first_value "
    "last_value nth_value cume_dist percent_rank ratio_to_report "
    # conditions
    "coalesce nvl nvl2 nullif greatest least decode isnull exists "
    # numbers
    "abs acos asin atan atan2 cbrt ceil ceiling checksum cos cot degrees exp floor ln log mod pi power radians random "
    "round sign sin sqrt tan trunc dexp dlog1 dlog10 "
    # text
    "ascii bpcharcmp btrim char_length character_length charindex chr concat crc32 func_sha1 initcap left len length "
    "lower lpad ltrim md5 octet_length position quote_ident quote_literal regexp_count regexp_instr regexp_replace "
    "regexp_substr repeat replace replicate reverse right rpad rtrim sha sha1 sha2 soundex split_part strpos strtol "
    "substring substr textlen translate trim upper fnv_hash farmfingerprint64 murmur3_32_hash to_hex from_hex "
    # dates
    "add_months convert_timezone date_cmp date_part date_part_year date_trunc dateadd datediff extract getdate "
    "interval_cmp last_day months_between next_day now sysdate timeofday timezone to_timestamp trunc age "
    "current_date current_timestamp localtimestamp "
    # formats and JSON
    "cast convert to_char to_date to_number text_to_int_alt json_parse json_serialize can_json_parse is_valid_json "
    "json_extract_path_text json_array_length json_extract_array_element_text json_typeof is_array is_object "
    # the session, the catalogue
    "version current_user session_user current_database current_schema current_schemas current_setting set_config "
    "has_database_privilege has_schema_privilege has_table_privilege has_assumerole_privilege user_is_member_of "
    "role_is_member_of pg_backend_pid pg_cancel_backend pg_terminate_backend pg_get_cols pg_last_copy_count "
    "pg_last_copy_id pg_last_query_id pg_last_unload_count pg_last_unload_id pg_get_late_binding_view_cols "
    "pg_get_viewdef pg_get_userbyid pg_get_constraintdef pg_get_expr pg_table_is_visible format_type obj_description "
    "col_description txid_current pg_last_query_id".split()
)
