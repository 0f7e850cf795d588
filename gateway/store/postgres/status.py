"""How a PostgreSQL database of ours stands, for a person: sizes, months, what holds the feed back, what waits longest."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.store.archive_files import AT_AN_END
from gateway.store.postgres.archive import connected, months
from gateway.store.postgres.migrate import schema_state
from gateway.store.postgres.partitions import SEQUENCES, first_key, month_text, partition_name

# Transactions that have written hold the event feed back for everybody (`gateway.store.postgres.events`), also those of other
# databases of the same server.
_HORIZON: Final = """
SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::float8 FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""
_SESSIONS: Final = """
SELECT application_name, usename, count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
GROUP BY 1, 2 ORDER BY 1, 2
"""
_IN_MONTH: Final = "SELECT count(*) FROM {0} WHERE {1} >= %s AND {1} < %s"


def status(url: str, libpq: Mapping[str, Any]) -> dict[str, Any]:
    """The answers of one moment, as JSON values. Blocking. Raises `StoreUnavailable`."""
    state = schema_state(url, libpq)
    found: dict[str, Any] = {"kind": "postgresql", "schema": state.revision, "missing_migrations": list(state.missing)}
    if state.missing:
        return found
    with connected(url, libpq) as db:

        def one(query: str, *given: Any) -> Any:
            row = db.execute(query, given or None).fetchone()
            return row[0] if row else None

        oldest = one("SELECT min(created_at) FROM payments WHERE state <> ALL(%s)", AT_AN_END)
        found |= {
            "server": one("SHOW server_version"),
            "bytes": one("SELECT pg_database_size(current_database())"),
            "horizon_seconds": one(_HORIZON),
            "oldest_open_payment": oldest.isoformat() if oldest else None,
            "messages_under_way": one("SELECT count(*) FROM deliveries WHERE state IN ('ready', 'sending', 'in_doubt')"),
            "open_discrepancies": one("SELECT count(*) FROM discrepancies WHERE resolved_at IS NULL"),
            "sessions": [
                {"application": application, "role": role, "count": count} for application, role, count in db.execute(_SESSIONS)
            ],
            "months": [
                {
                    "month": month_text(month),
                    "bytes": sum(
                        one("SELECT pg_total_relation_size(%s::regclass)", partition_name(table, month)) for table in SEQUENCES
                    ),
                    # Through the tables, to which the roles of `serve` and `worker` have rights, and not those of each month.
                    "payments": one(_IN_MONTH.format("payments", "payment_key"), first_key(month), first_key(month + 1)),
                    "events": one(_IN_MONTH.format("events", "seq"), first_key(month), first_key(month + 1)),
                }
                for month in months(db)
            ],
            "archived": [
                {"month": month_text(month), "payments": payments, "events": events, "manifest_sha256": digest}
                for month, payments, events, digest in db.execute(
                    "SELECT month, payment_count, event_count, manifest_sha256 FROM archives ORDER BY month"
                )
            ],
        }
    return found


def archived_digests(url: str, libpq: Mapping[str, Any]) -> dict[str, str]:
    """The SHA-256 of the manifest of every month that was archived, by month."""
    with connected(url, libpq) as db:
        return {month_text(month): digest for month, digest in db.execute("SELECT month, manifest_sha256 FROM archives")}
