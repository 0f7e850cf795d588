"""The tables that both stores have, as far as rows pass from one to the other: into a copy for a replay, or for good.

Columns are named alike. SQLite has moments as integer microseconds and flags as 0 and 1, where PostgreSQL has timestamptz and
boolean (`gateway.store.codec`). What only one of them has in another shape (chunks and entries by a packed key; the unique keys
of payments apart) says so in `postgres`.
"""

from dataclasses import dataclass, field
from typing import Final

from gateway.store import people_rows
from gateway.store.audit import CHECKPOINT_COLUMNS, ROW_COLUMNS
from gateway.store.screening import CLEARANCE_COLUMNS, LIST_COLUMNS, SIGNATURE_COLUMNS
from gateway.store.seals import ANCHOR_COLUMNS, SEAL_COLUMNS

_MOMENTS: Final = frozenset(
    {
        "creation_date_time",
        "lease_until",
        "due_at",
        "created_at",
        "updated_at",
        "doubt_since",
        "finished_at",
        "started_at",
        "ended_at",
        "found_at",
        "received_at",
        "refused_at",
        "resolved_at",
        "occurred_at",
        "last_sent_at",
        "last_fetch_at",
        "given_at",
        "next_ask_at",
        "asked_at",
        "submitted_at",
        "judged_at",
        "factor_at",
        "decided_at",
        "enrolment_until",
        "used_at",
        "seen_at",
        "fresh_at",
        "expires_at",
        "last_at",
        "paused_until",
        "opened_at",
        "open_until",
        "reviewed_at",
        "made_at",
        "last_used_at",
        "look_at",
        "changed_at",
        "requested_at",
        "answered_at",
        "sealed_at",
        "pruned_at",
        "taken_at",
        "begins_at",
        "closed_at",
    }
)
_FLAGS: Final = frozenset(
    {"stopped", "may_fall_back", "opened", "disabled", "sealed", "confirmed", "enrolling", "counted", "release_waits"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of SQLite, and where PostgreSQL has its rows: `source` (FROM, the main table called t) and what stands for a column
    in it where that is not t's of the same name. `of_connection`: the condition for the rows of connection %s."""

    name: str
    columns: tuple[str, ...]
    source: str = ""
    postgres: dict[str, str] = field(default_factory=dict)
    of_connection: str | None = None

    @property
    def from_postgres(self) -> str:
        """The query that gives the rows as SQLite takes them."""
        return f"SELECT {', '.join(self._read(column) for column in self.columns)} FROM {self.source or f'{self.name} AS t'}"

    def _read(self, column: str) -> str:
        expression = self.postgres.get(column, f"t.{column}")
        if column in _MOMENTS:
            return f"(extract(epoch FROM {expression}) * 1000000)::bigint"
        return f"{expression}::integer" if column in _FLAGS else expression


def is_moment(column: str) -> bool:
    """Whether a column is a moment."""
    return column in _MOMENTS


def is_flag(column: str) -> bool:
    """Whether a column is true or false."""
    return column in _FLAGS


_OF_DELIVERY: Final = "EXISTS (SELECT 1 FROM deliveries AS d WHERE d.delivery_key = t.delivery_key AND d.connection_id = %s)"
_KEYS: Final = "JOIN payment_keys AS k ON k.payment_key = t.payment_key"
_OF_PAYMENT: Final = "k.connection_id = %s"

TABLES: Final = (
    Table(name="terms", columns=("terms_id", "digest", "content"), of_connection="%s::text IS NOT NULL"),
    Table(
        name="documents",
        columns=("document_id", "kind", "owner", "size", "sha256", "created_at", "finished_at"),
        of_connection="""
        t.document_id IN (SELECT document_id FROM deliveries WHERE connection_id = %s
            UNION SELECT document_id FROM inbound_files WHERE connection_id = %s)
        """,
    ),
    Table(
        name="chunks",
        columns=("chunk_key", "content"),
        postgres={"chunk_key": "t.document_id * 1048576 + t.number"},
    ),
    Table(
        name="deliveries",
        columns=(
            *("delivery_key", "delivery_id", "connection_id", "message_id", "message_name", "file_name", "creation_date_time"),
            *("state", "reason", "payment_count", "control_sum", "attempt", "fence", "lease_until", "due_at", "document_id"),
            *("created_at", "updated_at", "doubt_since", "stopped", "package"),
        ),
        of_connection="t.connection_id = %s",
    ),
    Table(
        name="delivery_events",
        columns=(
            *("delivery_key", "number", "event", "previous_state", "state", "attempt", "reason", "source", "occurred_at"),
            "sequence",
        ),
        of_connection=_OF_DELIVERY,
    ),
    Table(
        name="blocks",
        columns=("block_key", "delivery_key", "payment_information_id", "terms_id", "payment_count", "control_sum"),
        of_connection=_OF_DELIVERY,
    ),
    Table(name="attempts", columns=("delivery_key", "number", "started_at", "ended_at", "outcome", "detail")),
    Table(name="evidence", columns=("evidence_key", "delivery_key", "found_at", "source", "verdict", "detail")),
    Table(
        name="release_groups",
        columns=(
            *("release_key", "group_id", "caller", "connection_id", "name", "state", "version", "number_of_transactions"),
            *("control_sums", "created_at", "closed_at", "closed_by", "ended_at", "ended_by", "reason"),
        ),
        of_connection="t.connection_id = %s",
    ),
    Table(
        name="payments",
        columns=(
            *("payment_key", "payment_id", "caller", "payment_reference", "connection_id", "terms_id", "end_to_end_id", "uetr"),
            *("amount", "currency", "state", "version", "reason", "block_key", "bank_status", "account_servicer_reference"),
            *("created_at", "updated_at", "instant", "may_fall_back", "submitted_by", "release_key", "release_waits"),
        ),
        source=f"payments AS t {_KEYS}",
        postgres={name: f"k.{name}" for name in ("payment_id", "caller", "payment_reference")},
        of_connection=_OF_PAYMENT,
    ),
    Table(
        name="transfers",
        columns=("payment_key", "content_sha256", "content"),
        source=f"transfers AS t {_KEYS}",
        postgres={"content_sha256": "k.content_sha256"},
        of_connection=_OF_PAYMENT,
    ),
    Table(
        name="refused_attempts",
        columns=("payment_key", "block_key", "uetr", "reason", "report_created", "refused_at"),
        source=f"refused_attempts AS t {_KEYS}",
        of_connection=_OF_PAYMENT,
    ),
    Table(
        name="serial_numbers",
        columns=(
            *("payment_key", "attempt", "connection_id", "serial", "block_key", "given_at", "first_sent_on", "bank_reference"),
            *("returned_line", "next_ask_at", "asked_at", "asked"),
        ),
        of_connection="t.connection_id = %s",
    ),
    Table(
        name="events",
        columns=("seq", "payment_key", "state", "previous_state", "reason", "source", "delivery_key", "occurred_at"),
    ),
    Table(
        name="inbound_files",
        columns=(
            *("inbound_file_id", "connection_id", "name", "sha256", "size", "document_id", "state", "message", "problem"),
            *("received_at", "records_applied", "opened"),
        ),
        of_connection="t.connection_id = %s",
    ),
    Table(
        name="statements",
        columns=(
            *("statement_row_id", "connection_id", "inbound_file_id", "position", "message", "iban", "received_at", "content"),
            *("chain", "facts"),
        ),
        of_connection="t.connection_id = %s",
    ),
    Table(
        name="entries",
        columns=("entry_key", "content", "payment_ids"),
        postgres={"entry_key": "t.statement_row_id * 4294967296 + t.position"},
    ),
    Table(
        name="discrepancies",
        columns=(
            *("discrepancy_id", "key", "connection_id", "kind", "summary_en", "summary_zh", "evidence", "inbound_file_id"),
            *("payment_id", "delivery_id", "created_at", "resolved_at", "resolved_by", "resolution"),
        ),
        of_connection="t.connection_id = %s",
    ),
    Table(
        name="connections",
        columns=("connection_id", "last_sent_at", "last_fetch_at", "last_problem"),
        of_connection="t.connection_id = %s",
    ),
    Table(
        name="reviews",
        columns=(
            *("payment_key", "number", "version", "connection_id", "caller", "debtor_account", "creditor_account"),
            *(
                "creditor_name",
                "creditor_key",
                "creditor_country",
                "amount",
                "currency",
                "requested_execution_date",
                "end_to_end_id",
            ),
            *("remittance", "submitted_at", "digest", "rules", "outcome", "findings", "judged_at", "counted"),
        ),
    ),
    Table(
        name="approvals",
        columns=(
            *("approval_key", "payment_key", "decision", "person", "person_then", "digest", "holds", "reason", "factor_kind"),
            *("factor_id", "factor_at", "factor_bound_to", "factor_evidence", "caller", "address", "decided_at"),
        ),
    ),
    Table(name="review_book", columns=("book", "fence", "last_number", "rules")),
    Table(
        name="review_totals",
        columns=(
            *("span", "begins_at", "connection_id", "caller", "debtor_account", "currency", "payments", "thousand_millions"),
            *("units", "hundred_thousandths"),
        ),
    ),
    Table(name="screening_clearances", columns=("clearance_key", *CLEARANCE_COLUMNS)),
    Table(name="screening_revocations", columns=("clearance_id", *SIGNATURE_COLUMNS)),
    Table(name="screening_lists", columns=LIST_COLUMNS),
    Table(name="screening_book", columns=("book", "rescreened")),
    Table(
        name="payee_checks",
        columns=(
            *("payment_id", "provider", "asked_at", "answered_at", "digest", "result"),
            *("suggested_name", "reason", "provider_reference"),
        ),
        of_connection="EXISTS (SELECT 1 FROM payment_keys AS k WHERE k.payment_id = t.payment_id AND k.connection_id = %s)",
    ),
    Table(name="channel_notes", columns=("name", "content", "updated_at")),
    Table(name="people", columns=people_rows.ACCOUNT),
    Table(name="people_factors", columns=people_rows.FACTOR),
    Table(name="people_sessions", columns=people_rows.SESSION),
    Table(name="people_challenges", columns=people_rows.CHALLENGE),
    Table(name="people_tries", columns=("key", "tries", "last_at", "paused_until")),
    Table(name="people_id_tokens", columns=("token_sha256", "expires_at")),
    Table(name="people_openings", columns=people_rows.OPENING),
    Table(name="people_proposals", columns=people_rows.PROPOSAL),
    Table(name="caller_quotas", columns=("caller", "day", "used")),
    Table(name="audit_log", columns=ROW_COLUMNS),
    Table(name="audit_checkpoints", columns=CHECKPOINT_COLUMNS),
    Table(name="audit_anchors", columns=ANCHOR_COLUMNS),
    Table(name="event_seals", columns=SEAL_COLUMNS),
    Table(
        name="plans",
        columns=(
            *("plan_key", "kind", "caller", "plan_id", "version", "state", "content", "used", "last_used_at", "handled_until"),
            *("look_at", "created_at", "updated_at"),
        ),
    ),
    Table(name="plan_versions", columns=("plan_key", "version", "state", "content", "changed_by", "reason", "changed_at")),
    Table(name="plan_words", columns=("caller", "word", "plan_key")),
    Table(
        name="plan_occurrences",
        columns=("plan_key", "due_date", "state", "payment_reference", "payment_id", "detail", "occurred_at"),
    ),
    Table(
        name="recalls",
        columns=(
            *("recall_key", "recall_id", "payment_id", "connection_id", "reason", "note", "requested_by", "requested_at", "told"),
            *("delivery_id", "answer", "answer_status", "answer_reason", "answered_at"),
        ),
        of_connection="t.connection_id = %s",
    ),
)
"""In an order in which every row follows those that it refers to."""

NOT_MOVED: Final = frozenset({"lanes", "wakes"})
"""Tables of SQLite's own engine: a worker wakes every lane when it starts."""
