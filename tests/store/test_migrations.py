"""A PostgreSQL database comes up to date once, whoever starts first, whole or not at all; and only if it is ours."""

import asyncio
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from gateway.store.postgres import migrate as migrations
from gateway.store.postgres.connection import Database
from gateway.store.postgres.migrate import LOCK, VERSION_TABLE, migrate, must_be_current, schema_state
from gateway.store.postgres.store import PostgresStore
from gateway.store.store import StoreUnavailable, UnknownSchema
from tests.store.support.make import HandClock
from tests.store.support.released import check, fill
from tests.support.postgres import Cluster

ROOT = Path(__file__).resolve().parents[2]

# Everything that makes up a schema, as PostgreSQL itself describes it, but for the order in which columns were added.
CATALOG = (
    """
    SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attstorage,
        pg_get_expr(d.adbin, d.adrelid), k.collname
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum LEFT JOIN pg_collation AS k ON k.oid = a.attcollation
    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
    """,
    "SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
    """,
    "SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT 'sequence', sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'public'",
    "SELECT 'type', typname, typtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'",
)


def catalog(url: str) -> set[tuple[object, ...]]:
    with psycopg.connect(url) as db:
        return {row for query in CATALOG for row in db.execute(query)}


def revisions() -> list[str]:
    return list(migrations._known())


def test_one_step_at_a_time_leads_to_the_same_tables_as_all_at_once(postgres: Cluster, postgres_url: str) -> None:
    at_once = postgres.create_database()
    assert migrate(postgres.url(at_once)).missing == tuple(revisions())
    for revision in revisions():
        migrations._upgrade(postgres_url, {}, revision)
        assert schema_state(postgres_url).revision == revision
    assert catalog(postgres_url) == catalog(postgres.url(at_once))
    assert migrate(postgres_url).missing == ()
    postgres.drop_database(at_once)


async def test_a_database_of_the_first_tables_is_upgraded_with_all_it_holds(
    postgres: Cluster, database: Database, postgres_url: str, clock: HandClock
) -> None:
    """Filled by today's code, which writes to the first tables what that of the first revision did; the wakes, which came with a
    later one, are not among it."""
    store = PostgresStore(database, clock=clock)
    await store.open()
    await fill(store, clock)
    await store.close()
    migrations._upgrade(postgres_url, {}, "0001")
    await asyncio.to_thread(_take_over, database.url, postgres_url)
    assert (await asyncio.to_thread(migrate, postgres_url)).missing == tuple(revisions()[1:])
    upgraded = PostgresStore(Database(url=postgres_url), clock=clock)
    await upgraded.open()
    try:
        await check(upgraded)
    finally:
        await upgraded.close()


def _take_over(source: str, target: str) -> None:
    """All rows of the tables of the first revision; the partitions are made as they are in the source."""
    with psycopg.connect(source) as old, psycopg.connect(target) as new:
        new.execute("SET session_replication_role = replica")  # rows in any order: foreign keys are not asked
        partitions = old.execute(
            """
            SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_class AS c
            JOIN pg_inherits AS i ON i.inhrelid = c.oid JOIN pg_class AS p ON p.oid = i.inhparent WHERE p.relkind = 'p'
            """
        ).fetchall()
        for name, parent, bound in partitions:
            new.execute(f"CREATE TABLE {name} PARTITION OF {parent} {bound}")
        tables = [
            name
            for (name,) in new.execute(
                f"""
                SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                AND NOT relispartition AND relname <> '{VERSION_TABLE}'
                """
            )
        ]
        for name in tables:
            columns = ", ".join(
                column
                for (column,) in new.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", (name,)
                )
            )
            reading, writing = f"COPY (SELECT {columns} FROM {name}) TO STDOUT", f"COPY {name} ({columns}) FROM STDIN"
            with old.cursor().copy(reading) as out, new.cursor().copy(writing) as into:
                for data in out:
                    into.write(data)
        numbered = old.execute("SELECT sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL").fetchall()
        for name, value in numbered:
            if new.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,):
                new.execute("SELECT setval(%s, %s)", (name, value))


def test_processes_that_start_at_once_migrate_once(postgres_url: str) -> None:
    script = f"from gateway.store.postgres.migrate import migrate\nprint(len(migrate({postgres_url!r}).missing))"
    command = [sys.executable, "-c", script]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = sorted(int(process.communicate()[0]) for process in started)
    # A process may look before the first has begun, and then waits and finds nothing left to do: what it tells was missing is 0.
    assert answers == [0, 0, len(revisions())]


def test_a_migration_that_fails_leaves_the_database_as_it_was(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(postgres_url) as db:
        db.execute("CREATE FUNCTION wake_lanes(lanes text[], delays double precision[]) RETURNS void LANGUAGE sql AS ''")
    before = catalog(postgres_url)
    with pytest.raises(StoreUnavailable, match="wake_lanes"):
        migrate(postgres_url)
    assert catalog(postgres_url) == before


def test_one_who_migrates_is_waited_for(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        script = f"from gateway.store.postgres.migrate import migrate\nprint(migrate({postgres_url!r}).missing)"
        waiting = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while holder.execute(asked).fetchone() == (0,):
            assert waiting.poll() is None
        migrations._upgrade(postgres_url, {}, "head")
        holder.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
        assert waiting.communicate()[0] == "()\n"


def test_a_database_of_another_program_is_refused(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as db:
        db.execute("CREATE TABLE invoices (number integer)")
    with pytest.raises(UnknownSchema, match="another program"):
        migrate(postgres_url)
    with psycopg.connect(postgres_url) as db:
        assert db.execute("SELECT count(*) FROM pg_class WHERE relname IN ('payments', %s)", (VERSION_TABLE,)).fetchone() == (0,)


def test_what_an_extension_brought_is_nobodys(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as db:
        if not db.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_buffercache'").fetchone():
            pytest.skip("this PostgreSQL has no pg_buffercache (Debian: postgresql-contrib)")
        db.execute("CREATE EXTENSION pg_buffercache")
    assert migrate(postgres_url).revision is None


def test_a_database_of_a_newer_program_is_refused_and_untouched(database: Database) -> None:
    with psycopg.connect(database.url) as db:
        db.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    before = catalog(database.url)
    for look in (migrate, schema_state, must_be_current):
        with pytest.raises(UnknownSchema, match="9999"):
            look(database.url)
    assert catalog(database.url) == before


def test_an_older_database_is_not_worked_on_by_those_who_do_not_migrate(postgres_url: str) -> None:
    migrations._upgrade(postgres_url, {}, "0001")
    with pytest.raises(StoreUnavailable, match="bankgate store migrate"):
        must_be_current(postgres_url)


def test_a_role_that_may_not_change_tables_starts_on_a_current_database_and_is_told_on_another(
    postgres: Cluster, database: Database, postgres_url: str
) -> None:
    name = database.url.rpartition("/")[2]
    postgres.execute("CREATE ROLE only_reads LOGIN")
    try:
        postgres.execute("GRANT SELECT ON bankgate_schema TO only_reads", database=name)
        assert migrate(postgres.url(name, user="only_reads")).missing == ()
        with pytest.raises(StoreUnavailable, match="the role that owns it"):
            migrate(postgres.url(postgres_url.rpartition("/")[2], user="only_reads"))
    finally:
        postgres.execute("DROP OWNED BY only_reads", database=name)
        postgres.execute("DROP ROLE only_reads")


def test_tables_that_another_process_of_ours_makes_between_two_looks_are_not_another_programs() -> None:
    from gateway.store.postgres import migrate as looked_at

    answers = {"regclass": iter([(None,), ("alembic_version",)]), "other": iter([(5,)])}

    class Looking:
        def execute(self, sql: str, *_: object) -> "Looking":
            self.sql = sql
            return self

        def fetchone(self) -> object:
            return next(answers["regclass" if "to_regclass" in self.sql else "other"])

        def fetchall(self) -> list[tuple[str]]:
            return [("0015",)]

    assert looked_at._revision(Looking()) == "0015"  # type: ignore[arg-type]
