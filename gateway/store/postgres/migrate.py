"""Bringing a PostgreSQL database up to date, by Alembic revisions (`migrations/versions/`).

Any number of processes may start at once: one migrates, under an advisory lock; the others wait for it and find nothing left to
do. All that is missing is one transaction: a migration that fails, or is killed, leaves the database as it was. Where nothing is
missing nothing is written, so that roles which may not change tables start as well.

The table of the revision (`VERSION_TABLE`) also marks a database as ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg

from gateway.store.store import StoreUnavailable, UnknownSchema

if TYPE_CHECKING:
    from alembic.config import Config

VERSION_TABLE: Final = "bankgate_schema"
SCRIPTS: Final = Path(__file__).parent / "migrations"
LOCK: Final = 0x424B4757_0000  # advisory, of this database; "BKGW"

# A migration rewrites what it must, however long that takes; it waits for the locks of others, and they for it, only so long.
_SESSION: Final = ("SET statement_timeout = 0", "SET lock_timeout = '60s'", "SET idle_in_transaction_session_timeout = 0")
# What extensions bring (views of statistics, say) is nobody's data.
_TABLES: Final = """
SELECT count(*) FROM pg_class AS c WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
    AND NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """`revision` None: the database is empty. `missing`: what `migrate` would apply, in order."""

    revision: str | None
    newest: str
    missing: tuple[str, ...]


def migrate(url: str, libpq: Mapping[str, Any] | None = None) -> SchemaState:
    """Brings the database up to date; what was missing before. `libpq`: keywords for `psycopg.connect` over what the URL says.

    Blocking. Raises `UnknownSchema`, and `StoreUnavailable` where the database cannot be reached or this role may not change it.
    """
    return _told(lambda: _migrate(url, libpq or {}))


def schema_state(url: str, libpq: Mapping[str, Any] | None = None) -> SchemaState:
    """How the database stands; nothing is changed. Raises as `migrate`."""

    def look() -> SchemaState:
        with psycopg.connect(url, **libpq or {}) as connection:
            return _state(connection)

    return _told(look)


def must_be_current(url: str, libpq: Mapping[str, Any] | None = None) -> None:
    """For those who read or write rows and change no tables. Raises `UnknownSchema`, and `StoreUnavailable` for an older one."""
    state = schema_state(url, libpq)
    if state.missing:
        raise StoreUnavailable(
            f"the database has schema revision {state.revision or 'none'}, this program works on {state.newest}:"
            " run `bankgate store migrate` first"
        )


def _migrate(url: str, libpq: Mapping[str, Any]) -> SchemaState:
    with psycopg.connect(url, **libpq, autocommit=True) as holder:
        state = _state(holder)
        if not state.missing:
            return state
        for setting in _SESSION:
            holder.execute(setting)
        holder.execute("SET lock_timeout = 0")  # whoever migrates is waited for
        holder.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        state = _state(holder)  # somebody else may have done it while we waited
        if state.missing:
            _upgrade(url, libpq)
        return state


def _upgrade(url: str, libpq: Mapping[str, Any], revision: str = "head") -> None:
    """On a connection of its own: the lock's must survive the transaction, and falls with its process."""
    from alembic import command
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    def connect() -> psycopg.Connection[Any]:
        connection = psycopg.connect(url, **libpq)
        for setting in _SESSION:
            connection.execute(setting)
        connection.commit()
        return connection

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except DBAPIError as error:  # the driver's own, which `_told` knows
        raise (error.orig or error) from error
    finally:
        engine.dispose()


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _state(connection: psycopg.Connection[Any]) -> SchemaState:
    known = _known()
    revision = _revision(connection)
    if revision is not None and revision not in known:
        raise UnknownSchema(
            f"the database has schema revision {revision}, this program knows up to {known[-1]}:"
            " run the newer program, or restore the backup made before the upgrade"
        )
    missing = known if revision is None else known[known.index(revision) + 1 :]
    return SchemaState(revision=revision, newest=known[-1], missing=tuple(missing))


@cache
def _known() -> list[str]:
    """The revisions of this program, the first one first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    return [script.revision for script in scripts.walk_revisions("base", "heads")][::-1]


def _revision(connection: psycopg.Connection[Any]) -> str | None:
    """None for an empty database. Raises `UnknownSchema` for one of another program."""
    ours = connection.execute("SELECT to_regclass(%s)", (VERSION_TABLE,)).fetchone()
    if ours == (None,):
        if connection.execute(_TABLES).fetchone() == (0,):
            return None
        # Between the two looks another process of ours may have made them.
        if connection.execute("SELECT to_regclass(%s)", (VERSION_TABLE,)).fetchone() == (None,):
            raise UnknownSchema(
                "the database holds tables of another program; make one with CREATE DATABASE and name it in the setting `store`"
            )
    rows = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()
    if len(rows) != 1:
        raise UnknownSchema(f"the table {VERSION_TABLE} has {len(rows)} rows in place of one: restore the last backup")
    return str(rows[0][0])


def _told(work: Any) -> SchemaState:
    try:
        found: SchemaState = work()
    except psycopg.errors.InsufficientPrivilege as error:
        raise StoreUnavailable(
            f"this role may not bring the database up to date ({error.diag.message_primary}): run"
            " `bankgate store migrate` with the role that owns it"
        ) from None
    except psycopg.Error as error:
        text = (str(error).strip().splitlines() or [repr(error)])[0]
        raise StoreUnavailable(f"the database cannot be reached or brought up to date: {text}") from error
    return found
