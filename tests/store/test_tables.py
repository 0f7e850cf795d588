"""The description of the tables that both stores have leaves out nothing, in either."""

import sqlite3
from contextlib import closing

import psycopg
import pytest

from gateway.store.postgres.connection import Database
from gateway.store.sqlite import schema
from gateway.store.tables import NOT_MOVED, TABLES, is_flag, is_moment

SHAPES = {
    "chunks",
    "entries",
    "payments",
    "transfers",
    "events",
    "delivery_events",
}  # of other columns in PostgreSQL, as the description says
ONLY_IN_POSTGRES = {
    "bankgate_schema",
    "payment_keys",
    "archives",
    "engine_schema",
    "server_life",
    "procrastinate_jobs",
    "procrastinate_events",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
}


def of_sqlite() -> dict[str, dict[str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        schema.migrate(db)
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            name: {row[1]: row[2] for row in db.execute(f"PRAGMA table_info('{name}')")}
            for name in names
            if not name.startswith("sqlite_")
        }


@pytest.fixture
def of_postgres(database: Database) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    with psycopg.connect(database.url) as connection:
        for table, column, kind in connection.execute(
            """
            SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
            FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
            AND a.attnum > 0 AND NOT a.attisdropped
            """
        ):
            found.setdefault(table, {})[column] = kind
    return found


def test_every_table_and_column_of_sqlite_is_described() -> None:
    assert {table.name: set(table.columns) for table in TABLES} == {
        name: set(columns) for name, columns in of_sqlite().items() if name not in NOT_MOVED
    }


def test_every_table_and_column_of_postgresql_is_described(of_postgres: dict[str, dict[str, str]]) -> None:
    assert set(of_postgres) == {table.name for table in TABLES} | ONLY_IN_POSTGRES
    for table in TABLES:
        if table.name not in SHAPES:
            assert set(table.columns) == set(of_postgres[table.name]), table.name


def test_moments_and_flags_are_known_by_their_names(of_postgres: dict[str, dict[str, str]]) -> None:
    for name, columns in of_postgres.items():
        if name in ONLY_IN_POSTGRES:
            continue
        for column, kind in columns.items():
            assert is_moment(column) == (kind == "timestamp with time zone"), (name, column)
            assert is_flag(column) == (kind == "boolean"), (name, column)


def test_what_is_a_number_in_one_store_is_none_of_text_in_the_other(of_postgres: dict[str, dict[str, str]]) -> None:
    words = {"text": "TEXT", "bytea": "BLOB"}
    for name, columns in of_sqlite().items():
        for column, kind in columns.items():
            other = of_postgres.get(name, {}).get(column)
            if other is not None:
                assert words.get(other, "INTEGER") == kind, (name, column)
