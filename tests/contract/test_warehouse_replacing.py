"""Replacing: the new table has all that the old one had besides its rows, or is refused."""

from __future__ import annotations

from contextlib import closing

import psycopg2
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
    waiting,
)
from tests.contract.warehouse_place import Place

from skfleet_common.contracts.chunks import TableName
from skfleet_common.contracts.errors import Refused, TryAgain
from skfleet_common.contracts.jobs import IfExists, OutputColumn
from skfleet_common.tables.port import Published

#: Whatever PostgreSQL knows of a table besides rows and object numbers, one line a fact.
EVERYTHING = """
WITH one AS (SELECT * FROM pg_class WHERE oid = 'scores'::regclass)
SELECT 'table', row(pg_get_userbyid(relowner), relpersistence, relam, reltablespace, reloptions, relreplident,
    obj_description(oid, 'pg_class'), ARRAY(SELECT unnest(relacl)::text ORDER BY 1),
    (SELECT t.reloptions FROM pg_class t WHERE t.oid = one.reltoastrelid))::text FROM one
UNION ALL
SELECT 'column', row(attname, format_type(atttypid, atttypmod), attnotnull, attstorage, attcompression,
    attstattarget, attoptions, attcollation::regcollation, attacl, pg_get_expr(adbin, adrelid),
    col_description(attrelid, attnum))::text
FROM one JOIN pg_attribute ON attrelid = one.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0
UNION ALL
SELECT 'index', row(pg_get_indexdef(x.oid), i.indisclustered, i.indisreplident, i.indimmediate, x.reloptions,
    x.reltablespace, pg_get_userbyid(x.relowner), obj_description(x.oid, 'pg_class'),
    ARRAY(SELECT attstattarget FROM pg_attribute WHERE attrelid = x.oid ORDER BY attnum))::text
FROM one JOIN pg_index i ON i.indrelid = one.oid JOIN pg_class x ON x.oid = i.indexrelid
UNION ALL
SELECT 'constraint', row(conname, pg_get_constraintdef(k.oid), condeferrable, condeferred, convalidated,
    obj_description(k.oid, 'pg_constraint'))::text
FROM one JOIN pg_constraint k ON k.conrelid = one.oid WHERE contype <> 'n'
UNION ALL
SELECT 'statistics', row(pg_get_statisticsobjdef(s.oid), stxstattarget, pg_get_userbyid(stxowner),
    obj_description(s.oid, 'pg_statistic_ext'))::text FROM one JOIN pg_statistic_ext s ON s.stxrelid = one.oid
ORDER BY 1, 2
"""

RICH = """
CREATE TABLE outcomes (name text PRIMARY KEY);
INSERT INTO outcomes VALUES ('late'), ('old');
CREATE TABLE scores (
    id bigint NOT NULL CONSTRAINT "Scores, by id" PRIMARY KEY WITH (fillfactor = 60),
    prediction text COLLATE "C" DEFAULT 'late'
        CONSTRAINT "known outcome" REFERENCES outcomes ON DELETE CASCADE,
    proba double precision DEFAULT 0.5 + 0.25 CONSTRAINT "100% sure" CHECK (proba <= 1),
    CONSTRAINT twice UNIQUE (proba, id) INCLUDE (prediction) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT apart EXCLUDE USING btree (id WITH =)
) WITH (fillfactor = 70, autovacuum_enabled = false, toast.autovacuum_enabled = false);
INSERT INTO scores VALUES (-1, 'old', 0);
ALTER TABLE scores ADD CONSTRAINT doubtful CHECK (proba > 0) NOT VALID;
ALTER TABLE scores ALTER prediction SET STORAGE EXTERNAL, ALTER prediction SET STATISTICS 17,
    ALTER id SET (n_distinct = -1);
CREATE INDEX "odd, ""index"" x" ON scores USING btree (lower(prediction) DESC NULLS LAST, proba) WHERE id > 5;
ALTER INDEX "odd, ""index"" x" ALTER COLUMN 1 SET STATISTICS 300;
CREATE UNIQUE INDEX scores_u ON scores (id, prediction text_pattern_ops) INCLUDE (proba) NULLS NOT DISTINCT;
CREATE INDEX scores_hash ON scores USING hash (prediction) WITH (fillfactor = 50);
CREATE INDEX scores_brin ON scores USING brin (proba) WITH (pages_per_range = 4);
CREATE STATISTICS together (dependencies, mcv) ON prediction, proba FROM scores;
ALTER STATISTICS together SET STATISTICS 40;
ALTER TABLE scores CLUSTER ON scores_u, REPLICA IDENTITY USING INDEX "Scores, by id";
COMMENT ON TABLE scores IS 'It''s 100% ours';
COMMENT ON COLUMN scores.proba IS 'how sure';
COMMENT ON INDEX scores_u IS 'one';
COMMENT ON INDEX "Scores, by id" IS 'the key''s index';
COMMENT ON CONSTRAINT "Scores, by id" ON scores IS 'the key';
COMMENT ON CONSTRAINT "100% sure" ON scores IS 'a check';
COMMENT ON STATISTICS together IS 'they belong';
GRANT SELECT ON scores TO PUBLIC;
GRANT INSERT, UPDATE ON scores TO pg_monitor WITH GRANT OPTION;
GRANT UPDATE (proba), REFERENCES (id) ON scores TO pg_monitor;
GRANT SELECT (prediction) ON scores TO pg_read_all_stats WITH GRANT OPTION;
REVOKE TRUNCATE ON scores FROM CURRENT_USER;
"""


def replace(
    place: Place, *, cascade_views: bool = False, job: str = "job-1", rows: int = 5,
    columns: tuple[OutputColumn, ...] = COLUMNS,
) -> Published:  # fmt: skip
    asked = publication(
        place, rows=rows, if_exists=IfExists.REPLACE, job=job, columns=columns, cascade_views=cascade_views
    )
    return place.publisher.publish(asked, [part(0, rows)])


def check(place: Place, *, cascade_views: bool = False) -> None:
    """Ask what the preflight asks."""
    table = TableName(schema_name=place.schema, name="scores")
    place.warehouse.catalogue.check_output(
        table, COLUMNS, if_exists=IfExists.REPLACE, cascade_views=cascade_views
    )


def test_replace_puts_the_new_table_in_the_place_of_the_old(place: Place) -> None:
    place.sql("CREATE TABLE scores (something text); INSERT INTO scores VALUES ('else')")
    assert replace(place) == Published(rows=5, is_new=True)
    assert counts(place) == [("late", 5, 5)]
    assert place.tables() == ["scores", LEDGER]
    assert place.sql("SELECT relacl FROM pg_class WHERE oid = 'scores'::regclass") == [(None,)]


def test_replace_keeps_everything_but_the_rows(place: Place) -> None:
    place.sql(RICH)
    before = place.sql(EVERYTHING)
    assert [kind for kind, _ in before].count("index") == 7
    check(place)
    assert place.sql(EVERYTHING) == before
    for job in ("job-1", "job-2"):
        assert replace(place, job=job).is_new
        assert counts(place) == [("late", 5, 5)]
        assert place.sql(EVERYTHING) == before
    assert place.tables() == ["outcomes", "scores", LEDGER]
    place.sql("DELETE FROM outcomes")  # the foreign key is at work
    assert counts(place) == []


def test_replace_keeps_an_unlogged_table_with_another_replica_identity(place: Place) -> None:
    place.sql(
        "CREATE UNLOGGED TABLE scores (id bigint, prediction text, proba float8); "
        "ALTER TABLE scores REPLICA IDENTITY FULL"
    )
    query = "SELECT relpersistence, relreplident FROM pg_class WHERE oid = 'scores'::regclass"
    assert place.sql(query) == [("u", "f")]
    replace(place)
    assert place.sql(query) == [("u", "f")]


def test_grants_and_comments_of_columns_that_are_no_more_go_with_them(place: Place) -> None:
    place.sql(
        "CREATE TABLE scores (id int, gone int DEFAULT 7); COMMENT ON COLUMN scores.gone IS 'x'; "
        "COMMENT ON COLUMN scores.id IS 'kept'; GRANT SELECT (gone), SELECT (id) ON scores TO PUBLIC"
    )
    replace(place)
    assert place.sql("SELECT col_description('scores'::regclass, 1)") == [("kept",)]
    assert place.sql(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'scores'::regclass AND attacl IS NOT NULL"
    ) == [("id",)]


def test_replace_grants_no_more_than_the_old_table_did(place: Place) -> None:
    """Default privileges give every new table to somebody; the old one was taken away from them."""
    old_table(place)
    place.sql(
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {place.schema} GRANT SELECT ON TABLES TO PUBLIC; "
        "REVOKE ALL ON scores FROM PUBLIC"
    )
    replace(place)
    (rights,) = place.sql("SELECT has_table_privilege('pg_monitor', 'scores', 'SELECT')")
    assert rights == (False,)


def test_a_table_of_a_role_that_the_fleet_belongs_to_stays_that_role_s(place: Place) -> None:
    owner = f"{place.schema}_owner"
    old_table(place)
    place.sql("ALTER TABLE scores ALTER id SET NOT NULL; CREATE INDEX scores_id ON scores (id); "
              "GRANT SELECT ON scores TO PUBLIC")  # fmt: skip
    place.sql(
        f"CREATE ROLE {owner}; GRANT {owner} TO fleet_owner; "
        f"ALTER TABLE {place.schema}.scores OWNER TO {owner}",
        as_superuser=True,
    )
    with pytest.raises(Refused, match=f"grant {owner} CREATE on schema {place.schema}"):
        check(place)
    place.sql(f"GRANT CREATE ON SCHEMA {place.schema} TO {owner}")
    check(place)
    before = place.sql(EVERYTHING)
    replace(place)
    assert counts(place) == [("late", 5, 5)]
    assert place.sql(EVERYTHING) == before
    place.sql(
        f"REVOKE {owner} FROM fleet_owner; GRANT {owner} TO fleet_owner WITH SET FALSE", as_superuser=True
    )
    with pytest.raises(Refused, match=f"grant it {owner} WITH SET TRUE"):
        check(place)


LOST = [
    ("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
     "CREATE TRIGGER pulled AFTER INSERT ON scores EXECUTE FUNCTION f()", "trigger pulled on table scores"),
    ("CREATE POLICY own ON scores USING (true)", "policy own on table scores"),
    ("ALTER TABLE scores ENABLE ROW LEVEL SECURITY", "row-level security"),
    ("CREATE RULE told AS ON INSERT TO scores DO ALSO NOTHING", "rule told on table scores"),
    ("CREATE TABLE child () INHERITS (scores)", "table child"),
    ("CREATE TABLE parent (id bigint); ALTER TABLE scores INHERIT parent", "inheritance from table parent"),
    ("ALTER TABLE scores ADD UNIQUE (id); CREATE TABLE child (a bigint REFERENCES scores (id))",
     "constraint child_a_fkey on table child"),
    ("ALTER TABLE scores ADD UNIQUE (id), ADD COLUMN up bigint CONSTRAINT upwards REFERENCES scores (id)",
     "constraint upwards on table scores"),
    ("CREATE MATERIALIZED VIEW seen AS SELECT id FROM scores", "materialized view seen"),
    ("CREATE FUNCTION g(scores) RETURNS int LANGUAGE sql AS 'SELECT 1'", "function g(scores)"),
    ("CREATE FUNCTION g() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM scores; END", "function g()"),
    ("CREATE TABLE other (a scores[])", "column a of table other"),
    ("CREATE SEQUENCE counted OWNED BY scores.id", "sequence counted"),
    ("ALTER TABLE scores ALTER id SET NOT NULL, ALTER id ADD GENERATED ALWAYS AS IDENTITY",
     "sequence scores_id_seq"),
    ("ALTER TABLE scores ADD COLUMN double float8 GENERATED ALWAYS AS (proba * 2) STORED",
     "default value for column double of table scores"),
    ("CREATE VIEW inner_view AS SELECT 1 AS id; CREATE RULE r AS ON INSERT TO inner_view DO INSTEAD "
     "INSERT INTO scores VALUES (NEW.id)", "rule r on view inner_view"),
    ("CREATE VIEW whole AS SELECT s FROM scores s", "column s of view whole"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "named"), LOST, ids=[named for _, named in LOST])
def test_what_would_be_lost_is_named_and_refused(place: Place, made: str, named: str) -> None:
    old_table(place)
    place.sql(made)
    with pytest.raises(Refused) as failure:
        check(place, cascade_views=True)
    said = str(failure.value).replace(f"{place.schema}.", "")
    assert said.startswith(f"scores cannot be replaced without losing {named}; drop that first")
    with pytest.raises(Refused, match="without losing"):
        replace(place, cascade_views=True)
    assert place.sql("SELECT prediction FROM ONLY scores") == [("old",)]


def test_a_published_table_is_named_and_refused(place: Place) -> None:
    old_table(place)
    name = f"{place.schema}_pub"
    place.sql(f"CREATE PUBLICATION {name} FOR TABLE {place.schema}.scores", as_superuser=True)
    try:
        with pytest.raises(Refused, match=f"in publication {name}"):
            check(place)
    finally:
        place.sql(f"DROP PUBLICATION {name}", as_superuser=True)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE INDEX by_more ON scores (id) WHERE more > 5", r"index \S*by_more stands on its column more"),
        ("ALTER TABLE scores ADD CONSTRAINT more_or_less CHECK (more > 5)", "constraint more_or_less"),
        ("ALTER TABLE scores ADD CONSTRAINT more_key UNIQUE (id, more)", "constraint more_key"),
        ("CREATE STATISTICS st ON id, more FROM scores", r"statistics object \S*st "),
    ],
)
def test_what_stands_on_a_column_that_is_no_more_is_refused(place: Place, made: str, named: str) -> None:
    old_table(place)
    place.sql(f"ALTER TABLE scores ADD COLUMN more int; {made}")
    with pytest.raises(Refused, match=named):
        check(place)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE INDEX i ON scores (prediction text_pattern_ops)", "index i"),
        ("ALTER TABLE scores ADD CONSTRAINT c CHECK (prediction ~ 'o')", "constraint c"),
        ("ALTER TABLE scores ALTER prediction SET DEFAULT 'late'", "the default of column prediction"),
    ],
)
def test_what_does_not_go_with_a_column_s_new_type_is_refused_before_the_job(
    place: Place, made: str, named: str
) -> None:
    old_table(place)
    place.sql(made)
    columns = (COLUMNS[0], COLUMNS[1].model_copy(update={"warehouse_type": "integer"}), COLUMNS[2])
    with pytest.raises(Refused, match=f"does not go with {named}, which must be kept"):
        place.warehouse.catalogue.check_output(
            TableName(schema_name=place.schema, name="scores"), columns, if_exists=IfExists.REPLACE
        )
    assert place.tables() == ["scores"]


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE UNIQUE INDEX one_only ON scores (prediction)", "index one_only"),
        ("ALTER TABLE scores ADD CONSTRAINT k PRIMARY KEY (prediction)", "constraint k"),
        ("ALTER TABLE scores ADD CONSTRAINT c CHECK (prediction = 'old')", "constraint c"),
        ("CREATE TABLE o (p text PRIMARY KEY); INSERT INTO o VALUES ('old'); "
         "ALTER TABLE scores ADD CONSTRAINT f FOREIGN KEY (prediction) REFERENCES o", "constraint f"),
    ],
)  # fmt: skip
def test_rows_that_break_a_constraint_of_the_old_table_are_not_published(
    place: Place, made: str, named: str
) -> None:
    old_table(place)
    place.sql(made)
    check(place)
    before = place.sql(EVERYTHING)
    with pytest.raises(Refused, match=f"does not go with {named}, which must be kept") as failure:
        replace(place)
    assert "late" not in str(failure.value)
    assert place.sql(EVERYTHING) == before
    assert place.sql("SELECT prediction FROM scores") == [("old",)]


def test_a_foreign_key_to_a_table_that_the_fleet_may_not_refer_to_is_refused(place: Place) -> None:
    old_table(place)
    place.sql("CREATE TABLE o AS SELECT prediction AS p FROM scores; ALTER TABLE o ADD PRIMARY KEY (p); "
        "ALTER TABLE scores ADD CONSTRAINT f "
              "FOREIGN KEY (prediction) REFERENCES o")  # fmt: skip
    place.sql(f"ALTER TABLE {place.schema}.o OWNER TO postgres", as_superuser=True)
    with pytest.raises(Refused, match=r"foreign key f; grant it REFERENCES on \S*o\."):
        check(place)


def test_readers_do_not_wait_for_indexes_to_be_built(place: Place) -> None:
    old_table(place)
    place.sql(
        "CREATE FUNCTION slowly(a bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS "
        "'BEGIN IF a >= 0 THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF; RETURN a; END'; "
        "CREATE INDEX slow ON scores (slowly(id))"
    )
    with closing(psycopg2.connect(place.server.url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(4711)")
        with Publishing(place, publication(place, rows=5, if_exists=IfExists.REPLACE)) as publishing:
            eventually(lambda: waiting(place, "advisory"))
            reads = place.sql("SET statement_timeout = '5s'; SELECT prediction FROM scores")
            # Nor does its worker take the publisher for stuck.
            publishing.is_alive.clear()
            assert publishing.is_alive.wait(timeout=30)
            cursor.execute("SELECT pg_advisory_unlock(4711)")
        assert publishing.outcome == Published(rows=5, is_new=True)
    assert reads == [("old",)]
    assert counts(place) == [("late", 5, 5)]


@pytest.mark.parametrize("meanwhile", ["CREATE INDEX late ON scores (id)", "GRANT SELECT ON scores TO PUBLIC",
                                       "COMMENT ON TABLE scores IS 'ours'",
                                       "ALTER TABLE scores ADD CHECK (id < 10)"])  # fmt: skip
def test_what_the_old_table_gets_while_the_new_one_is_made_is_kept_too(place: Place, meanwhile: str) -> None:
    old_table(place)
    place.sql("ALTER TABLE scores ALTER id SET NOT NULL")
    asked = publication(place, rows=10, if_exists=IfExists.REPLACE)
    with closing(psycopg2.connect(place.server.url)) as holder, holder.cursor() as cursor:
        cursor.execute(f"SELECT FROM {place.schema}.scores")
        with Publishing(place, asked) as publishing:
            eventually(lambda: waiting(place, "relation"))  # it is dressed by now
            cursor.execute(f"SET search_path TO {place.schema}; {meanwhile}")
            holder.commit()
    assert publishing.outcome == Published(rows=10, is_new=True)
    assert counts(place) == [("late", 10, 10)]
    before = place.sql(EVERYTHING)
    place.sql(f"DROP TABLE scores, {LEDGER}")
    old_table(place)
    place.sql(f"ALTER TABLE scores ALTER id SET NOT NULL; {meanwhile}")
    assert place.sql(EVERYTHING) == before


@pytest.mark.parametrize(
    "meanwhile",
    ["ALTER TABLE scores SET (fillfactor = 50)", "DROP TABLE scores", "CREATE TABLE new (id int)"],
)
def test_a_table_that_is_rebuilt_while_its_successor_is_loaded_is_loaded_for_again(
    place: Place, meanwhile: str
) -> None:
    name = "new" if "new" in meanwhile else "scores"
    old_table(place)
    asked = publication(place, rows=10, if_exists=IfExists.REPLACE, name=name)
    with pytest.raises(TryAgain, match="was altered while its successor was"):
        place.publisher.publish(asked, interfering(place, meanwhile))
    assert place.publisher.publish(asked, [part(0, 10)]).is_new
    assert place.sql(f"SELECT count(*) FROM {name}") == [(10,)]
