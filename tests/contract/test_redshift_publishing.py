"""Publishing to Redshift: what arrives, what each missing right is called, and what is sent."""

from __future__ import annotations

import re
import threading
from contextlib import closing

import psycopg2
import pyarrow as pa
import pytest
from tests.conftest import eventually
from tests.contract.publications import (
    COLUMNS,
    LEDGER,
    Publishing,
    counts,
    interfering,
    old_table,
    part,
    publication,
)
from tests.contract.warehouse_place import REDSHIFT, Place
from tests.redshift.place import RedshiftPlace
from tests.redshift.refusal import Refusal, internal, s3_failure

from skfleet_common.contracts.errors import EnvironmentFault, JobFailed, Refused, SkfleetError, TryAgain
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Published
from skfleet_common.tables.redshift import publisher

pytestmark = REDSHIFT

#: Values of each type as a worker reads them: their text. NULL goes with every type.
VALUES = {
    "smallint": ["-32768", "32767"],
    "integer": ["-2147483648", "0"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "numeric(18,4)": ["-99999999999999.9999", "0.0001"],
    "numeric(38,0)": ["99999999999999999999999999999999999999", "-1"],
    "real": ["3.4028234663852886e+38", "0.10000000149011612"],
    "double precision": ["1.7976931348623157e+308", "-4.9406564584124654e-324", "nan", "inf", "-inf"],
    "boolean": ["true", "false"],
    "character(5)": ["a", "", "a b"],
    "character varying(7)": ["", " a ", "é日", "'\\\"", "a\nb"],
    "character varying(65535)": ["x" * 65_535, "\\N", "NULL"],
    "date": ["0001-01-01", "9999-12-31"],
    "time without time zone": ["00:00:00", "23:59:59.999999"],
    "timestamp without time zone": ["2024-02-29 23:59:59.123456", "0044-03-15 00:00:00 BC"],
    "timestamp with time zone": ["2024-02-29 23:59:59.5+00", "1969-12-31 23:59:59.000001+00"],
    "super": ['{"a": [1, null, "é"]}', "[]"],
}


def test_a_value_of_each_type_arrives_exactly(place: Place) -> None:
    rows = max(len(values) for values in VALUES.values()) + 1
    columns = [OutputColumn(name="at", warehouse_type="bigint", source="id", nullable=False)]
    arrays = [pa.array([str(at) for at in range(rows)])]
    for number, (kind, values) in enumerate(VALUES.items()):
        columns.append(OutputColumn(name=f"c{number}", warehouse_type=kind, source="carried"))
        arrays.append(pa.array(values + [None] * (rows - len(values)), pa.string()))
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
    place.publisher.publish(publication(place, rows=rows, columns=tuple(columns)), [batch])
    for number, (kind, values) in enumerate(VALUES.items()):
        literal = ", ".join("('" + value.replace("'", "''") + "')" for value in values)
        wrong = place.sql(
            f"SET standard_conforming_strings = on; SELECT v FROM (VALUES {literal}) given (v) "
            f"WHERE NOT EXISTS (SELECT FROM scores WHERE c{number} = v::{kind})",
            as_superuser=True,
        )
        assert wrong == [], kind
        assert place.sql(f"SELECT count(c{number}) FROM scores") == [(len(values),)]
    texts = [f"c{number}" for number, kind in enumerate(VALUES) if kind.startswith("character varying")]
    for name, kind in zip(texts, ["character varying(7)", "character varying(65535)"], strict=True):
        assert {value for (value,) in place.sql(f"SELECT {name} FROM scores WHERE {name} IS NOT NULL")} == {
            *VALUES[kind]
        }


@pytest.mark.parametrize("kind", ["varchar(3)", "char(3)"])
def test_a_text_that_is_too_long_is_refused_and_not_cut(place: Place, kind: str) -> None:
    columns = (OutputColumn(name="a", warehouse_type=kind, source="carried"),)
    batch = pa.RecordBatch.from_pydict({"a": ["abcd"]})
    with pytest.raises(Refused, match="string data right truncation"):
        place.publisher.publish(publication(place, rows=1, columns=columns), [batch])
    assert place.tables() == [LEDGER]


def test_a_word_that_is_no_boolean_is_refused(place: Place) -> None:
    columns = (OutputColumn(name="a", warehouse_type="boolean", source="carried"),)
    with pytest.raises(Refused, match="invalid text representation"):
        place.publisher.publish(
            publication(place, rows=1, columns=columns), [pa.RecordBatch.from_pydict({"a": ["perhaps"]})]
        )


def test_what_s3_and_roles_say_is_told_by_what_is_missing(redshift: RedshiftPlace, place: Place) -> None:
    old_table(place)
    role = redshift.iam_role
    said: list[tuple[Refusal, type[SkfleetError], str]] = [
        (internal(f"User arn:x is not authorized to assume IAM Role {role}", code=8001, context=""),
         Refused, r"may not assume the IAM role arn:.*sts:AssumeRole"),
        (s3_failure("AccessDenied", 403, "Access Denied", context=""), Refused,
         r"s3:GetObject and s3:ListBucket"),
        (s3_failure("PermanentRedirect", 301, "The bucket must be addressed using the specified endpoint.",
                    context=""), Refused, r"another region than Redshift"),
        (s3_failure("NoSuchBucket", 404, "The specified bucket does not exist", context=""), EnvironmentFault,
         "correct SKFLEET_BUCKET"),
        (s3_failure("NoSuchKey", 404, "The specified key does not exist.", context=""), JobFailed,
         r"are not what was listed .* skfleet retry job-1"),
        (s3_failure("ExpiredToken", 400, "The provided token has expired.", context=""), TryAgain, "expired"),
        (s3_failure("SlowDown", 503, "Please reduce your request rate.", context=""), TryAgain,
         "did not answer"),
    ]  # fmt: skip
    for refusal, error, sentence in said:
        redshift.server.fail("^COPY", refusal)
        with pytest.raises(error, match=sentence):
            place.publisher.publish(publication(place, rows=5, if_exists=IfExists.REPLACE), [part(0, 5)])
    assert place.sql("SELECT prediction FROM scores") == [("old",)]
    assert place.tables() == ["scores", LEDGER]
    assert redshift.objects("load/") == []


def test_a_role_that_the_cluster_does_not_have_is_named(redshift: RedshiftPlace, place: Place) -> None:
    redshift.server.roles = frozenset()
    with pytest.raises(Refused, match=f"{redshift.iam_role}.*sts:AssumeRole"):
        place.publisher.publish(publication(place, rows=5), [part(0, 5)])


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:ListBucket"])
def test_a_role_that_may_not_read_the_bucket_is_told_the_action(
    redshift: RedshiftPlace, place: Place, action: str
) -> None:
    redshift.server.refused_actions.add(action)
    asked = publication(place, rows=5)
    try:
        place.publisher.publish(asked, [part(0, 5)])
    except Refused as refused:
        assert f"the bucket {redshift.bucket} with" in str(refused)  # noqa: PT017
        assert action in str(refused)  # noqa: PT017  (listing is not needed by every COPY)
    else:
        assert action == "s3:ListBucket"


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("REVOKE CREATE ON SCHEMA {schema} FROM fleet_owner", "grant it CREATE there"),
        ("REVOKE ALL ON SCHEMA {schema} FROM fleet_owner", "grant it (USAGE|CREATE) there"),
        ("REVOKE TEMP ON DATABASE warehouse FROM fleet_owner, PUBLIC", "grant it TEMP on database warehouse"),
        ("ALTER TABLE {schema}.scores OWNER TO postgres", "does not own .*scores"),
        (
            "CREATE TABLE {schema}.skfleet_publications (job text)",
            "grant it SELECT, INSERT, UPDATE and DELETE",
        ),
    ],
)
def test_a_right_that_is_missing_is_named_before_the_job_runs(place: Place, taken: str, said: str) -> None:
    old_table(place)
    # Its owner, who may do all, makes way.
    place.sql(f"ALTER SCHEMA {place.schema} OWNER TO postgres; GRANT ALL ON SCHEMA {place.schema} TO "
              f"fleet_owner; ALTER DATABASE warehouse OWNER TO postgres; {taken.format(schema=place.schema)}",
              as_superuser=True)  # fmt: skip
    asked = publication(place, rows=5, if_exists=IfExists.REPLACE)
    try:
        with pytest.raises(Refused, match=said):
            place.warehouse.catalogue.check_output(asked.table, COLUMNS, if_exists=IfExists.REPLACE)
    finally:
        place.sql(f"ALTER DATABASE warehouse OWNER TO fleet_owner; ALTER SCHEMA {place.schema} OWNER TO "
                  "fleet_owner; GRANT TEMP ON DATABASE warehouse TO PUBLIC", as_superuser=True)  # fmt: skip


def test_an_output_without_an_iam_role_is_refused_early_and_late(place: Place) -> None:
    asked = publication(place, rows=5)
    roleless = publisher.RedshiftPublisher(place.warehouse.publisher.server, None)
    with pytest.raises(Refused, match="set SKFLEET_REDSHIFT_IAM_ROLE"):
        roleless.publish(asked, place.publisher.parts([part(0, 5)]))


def test_credentials_are_in_no_statement(redshift: RedshiftPlace, place: Place) -> None:
    place.publisher.publish(publication(place, rows=5), [part(0, 5)])
    (copy,) = [said for said in redshift.server.statements if said.startswith("COPY")]
    assert f"IAM_ROLE '{redshift.iam_role}' FORMAT AS PARQUET MANIFEST" in copy
    assert not re.search(
        "credential|secret|access_key|password", "".join(redshift.server.statements), re.IGNORECASE
    )


def test_readers_see_the_old_table_or_the_new_one_and_nothing_between(place: Place) -> None:
    place.publisher.publish(publication(place, rows=100, job="v0"), [part(0, 100, "v0")])
    schema = place.schema
    place.sql(f"CREATE VIEW bound AS SELECT * FROM scores; CREATE VIEW late AS SELECT prediction, id FROM "
              f"{schema}.scores WITH NO SCHEMA BINDING")  # fmt: skip
    seen: set[tuple[object, ...]] = set()
    failures: list[Exception] = []
    is_done = threading.Event()

    def look(name: str) -> None:
        assert place.redshift is not None  # type: ignore[attr-defined]
        with closing(place.redshift.connect()) as connection, connection.cursor() as cursor:  # type: ignore[attr-defined]
            connection.autocommit = True
            while not is_done.is_set():
                try:
                    cursor.execute(
                        f"SELECT min(prediction), max(prediction), count(*), sum(id) FROM {schema}.{name}"
                    )
                except psycopg2.Error as exc:
                    failures.append(exc)
                    return
                seen.update(cursor.fetchall())

    lookers = [threading.Thread(target=look, args=(name,)) for name in ("scores", "bound", "late")]
    for looker in lookers:
        looker.start()
    try:
        for version in ("v1", "v2", "v3"):
            asked = publication(place, rows=100, if_exists=IfExists.REPLACE, job=version, cascade_views=True)
            assert place.publisher.publish(asked, [part(0, 100, version)]).is_new
    finally:
        is_done.set()
        for looker in lookers:
            looker.join()
    assert failures == []
    assert seen <= {(f"v{number}", f"v{number}", 100, 4950) for number in range(4)}


def test_a_publisher_that_comes_while_another_one_appends_waits_and_appends_nothing(
    redshift: RedshiftPlace, place: Place
) -> None:
    """Redshift lets two transactions insert into one table at once, at its default level of isolation."""
    old_table(place)
    asked = publication(place, rows=10, if_exists=IfExists.APPEND)
    redshift.server.slow('^INSERT INTO "[^"]+"."scores"', 3.0)
    with Publishing(place, asked) as first:
        eventually(lambda: any(re.match(r'INSERT INTO "[^"]+"."scores"', said)
                               for said in redshift.server.statements))  # fmt: skip
        assert place.publisher.publish(asked, [part(0, 10)]) == Published(rows=10, is_new=False)
    assert first.outcome == Published(rows=10, is_new=True)
    assert counts(place) == [("late", 10, 10), ("old", 1, 1)]


def test_a_reader_that_holds_the_old_table_cannot_hang_publishing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(publisher, "SWAP_TRIES", 2)
    old_table(place)
    asked = publication(place, rows=5, if_exists=IfExists.REPLACE)
    with closing(place.redshift.connect()) as holder, holder.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("SELECT * FROM scores")
        with pytest.raises(TryAgain, match=r"Others hold .*scores, so it could not be locked"):
            place.publisher.publish(asked, [part(0, 5)])
        cursor.execute("SELECT prediction FROM scores")
        assert cursor.fetchall() == [("old",)]
    assert place.publisher.publish(asked, [part(0, 5)]).is_new
    assert counts(place) == [("late", 5, 5)]


def test_a_reader_that_lets_go_in_time_costs_no_second_load(place: Place) -> None:
    old_table(place)
    asked = publication(place, rows=5, if_exists=IfExists.REPLACE)
    with closing(place.redshift.connect()) as holder, holder.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("SELECT * FROM scores")
        with Publishing(place, asked) as publishing:
            eventually(lambda: any(said.startswith("LOCK TABLE") and said.endswith('"scores"')
                                   for said in place.redshift.server.statements))  # type: ignore[attr-defined] # fmt: skip
            holder.rollback()
    assert publishing.outcome == Published(rows=5, is_new=True)
    assert sum(said.startswith("COPY") for said in place.redshift.server.statements) == 1  # type: ignore[attr-defined]


def test_a_table_that_is_built_anew_while_its_successor_loads_is_loaded_again(place: Place) -> None:
    old_table(place)
    asked = publication(place, rows=10, if_exists=IfExists.REPLACE)
    rebuilt = "DROP TABLE scores; CREATE TABLE scores (id bigint) DISTSTYLE ALL"
    with pytest.raises(TryAgain, match="was altered while its successor was made"):
        place.publisher.publish(asked, interfering(place, rebuilt))
    assert place.tables() == ["scores", LEDGER]
    assert place.publisher.publish(asked, [part(0, 10)]).is_new
    assert place.sql("SELECT diststyle FROM svv_table_info WHERE \"table\" = 'scores'") == [("ALL",)]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("id bigint, prediction varchar(9), proba real", "has proba as real, but the output has double"),
        ("id bigint, proba float8", "has no column prediction"),
        ("id bigint, prediction varchar(9), proba float8, must int NOT NULL", "requires a value in must"),
    ],
)
def test_a_table_that_does_not_take_the_rows_is_refused(place: Place, made: str, said: str) -> None:
    place.sql(f"CREATE TABLE scores ({made})")
    table = publication(place, rows=5).table
    with pytest.raises(Refused, match=said):
        place.warehouse.catalogue.check_output(table, COLUMNS, if_exists=IfExists.APPEND)
