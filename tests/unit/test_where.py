"""--where: what is no single condition is refused before the database hears of it."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skfleet_common.contracts.errors import Refused
from skfleet_common.tables.where import MAX_CHARACTERS, check_condition

ACCEPTED = [
    "true",
    "arr_late",
    "month <= 9",
    "id % 2 = 0",
    "tailnum LIKE 'N1%'",
    "carrier NOT LIKE 'U!%' ESCAPE '!'",
    "carrier = '{}' OR carrier = '%s' OR carrier = '$1'",
    "carrier = 'a;b' AND dest <> '-- no comment' AND dest <> '/* nor this */'",
    "carrier = 'it''s' AND \"odd \"\"name\" = 1",
    "carrier IN ('UA', 'AA') AND (arr_delay IS NULL OR arr_delay > -1.5e3)",
    "time_hour >= '2013-10-01' AND time_hour::date < date '2013-11-01'",
    "id BETWEEN 5 AND 10",
    "id IN (SELECT id FROM public.flights WHERE month = 1)",
    "distance > (SELECT avg(distance) FROM flights)",
    "EXISTS (SELECT 1 FROM flights f WHERE f.id = flights.id)",
    "lower(carrier) ~* '^u' AND dest !~ 'x$'",
    "CASE WHEN month = 1 THEN day > 3 ELSE day < 3 END",
    "CAST(month AS text) = '1' AND extract(year FROM time_hour) = 2013",
    "(month, day) IN ((1, 2), (3, 4))",
    "notes ->> '$.a' = 'b' AND tags @> '{x}' AND tags && '{y}'",
    "arr_late IS NOT TRUE AND month IS DISTINCT FROM day",
    "-2 ^ 2 = 4",
    "coalesce(dep_delay, 0) + 1 > 3",
    "café = 'é日本'",
]

REFUSED = [
    ("", "empty"),
    ("  \n", "empty"),
    ("true); COMMIT; DROP TABLE x; SELECT (1", "did not open"),
    ("id = 1) OR (true", "did not open"),
    ("(id = 1", "open"),
    ("(id = 1]", "did not open"),
    ("id = 1; SELECT 1", "semicolon"),
    ("id = 1;", "semicolon"),
    ("id = 1 -- all", "comment"),
    ("id = 1 /* all */", "comment"),
    ("id = 1 +-- all\n1", "comment"),
    ("id = '1", "open"),
    ('"id = 1', "open"),
    ("{}", "placeholder"),
    ("id = {x}", "placeholder"),
    ("id = $1", "placeholder"),
    ("$$a$$ = 'a'", "placeholder"),
    ("id = ?", "placeholder"),
    ("id = %s", "more than compare"),
    ("id = %(x)s", "more than compare"),
    ("id = :x", "more than compare"),
    ("E'a\\' OR true OR b = '", "escape"),
    ("carrier = e'\\'", "escape"),
    ("carrier = U&'\\0041'", "escape"),
    ('U&"i\\0064" = 1', "escape"),
    ("x'1F' = b'1'", "escape"),
    ("'a' 'b' = carrier", "side by side"),
    ("'a'\n'b' = carrier", "side by side"),
    ("carrier = 'a\0b'", "no text"),
    ("carrier = '\ud800'", "no text"),
    ("id = 1 \\ 2", "outside quotes"),
    ("5", "value"),
    ("'true'", "value"),
    ("id + 1", "value"),
    ("id || 'a'", "value"),
    ("*", "value"),
    ("id as b", "not one boolean"),
    ("x from y", "not one boolean"),
    ("true limit 1", "not one boolean"),
    ("true union select 1", "not one boolean"),
    ("true order by 1", "not one boolean"),
    ("select true", "not one boolean"),
    ("drop table x", "not one boolean"),
    ("id = 1 id = 2", "not one boolean"),
    ("id =", "not one boolean"),
    ("id IN (DELETE FROM t RETURNING id)", "not one boolean"),
    ("EXISTS (WITH a AS (DELETE FROM t RETURNING 1) SELECT * FROM a)", "more than compare"),
    ("EXISTS (WITH a AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT * FROM a)", "more than compare"),
    ("EXISTS (WITH a AS (UPDATE t SET x = 1 RETURNING 1) SELECT * FROM a)", "more than compare"),
    ("EXISTS (SELECT 1 INTO x)", "more than compare"),
    ("EXISTS (SELECT 1 FROM t FOR UPDATE)", "more than compare"),
    ("count(*) > 1", "each row alone"),
    ("sum(id) OVER () > 1", "each row alone"),
    ("rank() OVER (ORDER BY id) = 1", "each row alone"),
    ("time_hour > now()", "now"),
    ('time_hour > "now"()', "now"),
    ("time_hour > CURRENT_DATE", "current_date"),
    ("(" * 101 + "true" + ")" * 101, "deeper"),
    ("true" + " OR true" * MAX_CHARACTERS, "longer"),
]


DIALECTS = pytest.mark.parametrize("dialect", ["postgres", "redshift"])


@DIALECTS
@pytest.mark.parametrize("text", ACCEPTED)
def test_a_condition_keeps_its_words(text: str, dialect: str) -> None:
    assert check_condition(text, dialect=dialect).text == text


@DIALECTS
@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_is_no_condition_is_refused_with_its_reason(text: str, reason: str, dialect: str) -> None:
    with pytest.raises(Refused, match=reason) as refusal:
        check_condition(text, dialect=dialect)
    assert str(refusal.value).startswith("--where ")
    assert "\n" not in str(refusal.value)


def test_line_breaks_become_spaces_but_not_inside_strings() -> None:
    text = "  id = 1\n\tAND carrier = 'a\nb' "
    assert check_condition(text, dialect="postgres").text == "id = 1 AND carrier = 'a\nb'"


def test_functions_and_operators_are_named_as_the_catalogue_spells_them() -> None:
    condition = check_condition('LOWER(a) = pg_catalog."Odd ""f" (b) AND c @> d', dialect="postgres")
    assert condition.functions == {"lower", 'Odd "f'}
    assert condition.operators == {"=", "@>"}


REDSHIFTS_OWN = [
    ("carrier = 'a\\'", "backslash before a quote"),
    ("carrier = 'a\\' OR true OR b = '", "backslash before a quote"),
    ("carrier = 'a\\\\\\' OR true --'", "backslash before a quote"),
    ("carrier = 'a''\\'' OR true", "backslash before a quote"),
    ("time_hour > SYSDATE", "sysdate"),
    ("time_hour > getdate()", "getdate"),
]


@pytest.mark.parametrize(("text", "reason"), REDSHIFTS_OWN)
def test_what_redshift_may_read_otherwise_than_postgresql_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        check_condition(text, dialect="redshift")


@pytest.mark.parametrize("text", ["carrier ~ '^\\\\d+$'", "carrier = 'C:\\\\' OR true", "carrier = '\\d'"])
def test_backslashes_that_end_no_string_are_left_to_redshift(text: str) -> None:
    assert check_condition(text, dialect="redshift").text == text


def ends_early(text: str, *, backslashes: bool = False) -> bool:
    """Whether a reader with PostgreSQL's lexical rules could leave the parenthesis around ``text``.

    With ``backslashes``, a backslash in a string escapes what follows, as it did before PostgreSQL 9.1.
    """
    depth, at = 0, 0
    while at < len(text):
        character = text[at]
        if character in "'\"":
            at += 1
            while text[at : at + 1] != character:
                if at >= len(text):
                    return True
                at += 2 if backslashes and character == "'" and text[at] == "\\" else 1
        elif text[at : at + 2] in {"--", "/*"} or character in ";$\\":
            return True
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            return True
        at += 1
    return depth != 0


FRAGMENTS = st.sampled_from(
    [
        *[
            "id",
            "carrier",
            "1",
            "2.5",
            "'a'",
            "'it''s'",
            '"q"',
            "(",
            ")",
            "[",
            "]",
            "=",
            "<",
            "-",
            "--",
            "/*",
            "*/",
        ],
        *[
            ";",
            "$$",
            "$1",
            "E'",
            "U&'",
            "'",
            '"',
            "\\",
            "AND",
            "OR",
            "NOT",
            "IN",
            "SELECT",
            "FROM",
            "DROP TABLE x",
        ],
        *[
            "UNION",
            "::text",
            "{}",
            "\\'",
            "'\\",
            "%s",
            "%",
            "?",
            ":a",
            ",",
            ".",
            "\n",
            "\t",
            "\0",
            "é",
            "true",
            "IS NULL",
            "COMMIT",
        ],
    ]
)


@given(
    st.lists(FRAGMENTS, max_size=14).map(" ".join) | st.lists(FRAGMENTS, max_size=14).map("".join) | st.text()
)
@example("1'--'")
@example("''''")
@example('"a"" = 1')
@example("a = '\\'")
@example("a = '\\\\' OR b")
def test_nothing_that_is_accepted_can_leave_its_parenthesis(text: str) -> None:
    for dialect in ("postgres", "redshift"):
        try:
            condition = check_condition(text, dialect=dialect)
        except Refused:
            continue
        assert not ends_early(condition.text)
        assert dialect == "postgres" or not ends_early(condition.text, backslashes=True)
        assert check_condition(condition.text, dialect=dialect) == condition


@pytest.mark.parametrize(
    "text",
    [
        "c in ('b','a')",
        "c between 'b' and 'z'",
        "c in ('N','Y')",
        "coalesce(c,'e') = 'b'",
        "'x' < c",
        "\"b\" = 'x'",
    ],
)
def test_letters_at_the_end_of_a_string_are_no_prefix_of_the_next(text: str) -> None:
    assert check_condition(text, dialect="postgres").text == text


@pytest.mark.parametrize("text", ["c = e'a'", "c = 'a' || b'1'", "c = N'x'", "c = U&'x'", "c in ('b',e'x')"])
def test_prefixed_strings_are_refused_wherever_they_stand(text: str) -> None:
    with pytest.raises(Refused, match="plain one"):
        check_condition(text, dialect="postgres")
