"""The tables of screening (`gateway.store.screening`), and the sums of judged payments (`gateway.store.totals`).

Clearances and their revocations are added and never changed, which triggers hold. `reviews.counted` follows the payment's
state, by a trigger, in whatever way the state is written.
"""

from typing import Final

_SIGNED: Final = """
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    factor_kind TEXT NOT NULL,
    factor_id TEXT NOT NULL,
    factor_at INTEGER NOT NULL,
    factor_bound_to TEXT NOT NULL,
    factor_evidence TEXT NOT NULL,
    caller TEXT NOT NULL,
    address TEXT NOT NULL,
    decided_at INTEGER NOT NULL
"""
_POINT: Final = "instr(amount, '.')"
_PARTS: Final = f"CAST(substr(iif({_POINT}, substr(amount, {_POINT} + 1), '') || '00000', 1, 5) AS INTEGER)"

STEPS: Final = (
    f"""
    CREATE TABLE screening_clearances (
        clearance_key INTEGER PRIMARY KEY,
        clearance_id TEXT NOT NULL UNIQUE,
        payment_id TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        list_id TEXT NOT NULL,
        entry_id TEXT NOT NULL,
        entry_digest TEXT NOT NULL, -- SHA-256 of what the entry said, in hex
        value TEXT NOT NULL,
        creditor_name TEXT NOT NULL,
        creditor_key TEXT NOT NULL, -- the name as names are compared
        creditor_account TEXT NOT NULL,
        valid_until TEXT NOT NULL,
        {_SIGNED}
    ) STRICT
    """,
    f"CREATE TABLE screening_revocations (clearance_id TEXT PRIMARY KEY, {_SIGNED}) STRICT, WITHOUT ROWID",
    *(
        f"""
        CREATE TRIGGER {table}_{word} BEFORE {what} ON {table}
        BEGIN SELECT raise(ABORT, 'a decision about a hit is never changed'); END
        """
        for table in ("screening_clearances", "screening_revocations")
        for word, what in (("stay", "UPDATE"), ("remain", "DELETE"))
    ),
    """
    CREATE TABLE screening_lists (
        list_id TEXT PRIMARY KEY,
        list_date TEXT NOT NULL,
        entries INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        taken_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE TABLE screening_book (book INTEGER PRIMARY KEY, rescreened TEXT NOT NULL) STRICT",
    "CREATE INDEX payments_in_messages ON payments (payment_key) WHERE state IN ('batched', 'sent', 'accepted')",
    """
    CREATE TABLE review_totals (
        span INTEGER NOT NULL, -- seconds: 3600 or 86400
        begins_at INTEGER NOT NULL,
        connection_id TEXT NOT NULL,
        caller TEXT NOT NULL,
        debtor_account TEXT NOT NULL,
        currency TEXT NOT NULL,
        payments INTEGER NOT NULL,
        thousand_millions INTEGER NOT NULL,
        units INTEGER NOT NULL,
        hundred_thousandths INTEGER NOT NULL,
        PRIMARY KEY (span, begins_at, connection_id, caller, debtor_account, currency)
    ) STRICT, WITHOUT ROWID
    """,
    *(
        f"""
        INSERT INTO review_totals
        SELECT {span}, submitted_at - submitted_at % {span * 1_000_000}, connection_id, caller, debtor_account, currency,
            count(*), sum(CAST(amount AS INTEGER) / 1000000000), sum(CAST(amount AS INTEGER) % 1000000000), sum({_PARTS})
        FROM reviews GROUP BY 2, 3, 4, 5, 6
        """
        for span in (3600, 86_400)
    ),
    "ALTER TABLE reviews ADD COLUMN counted INTEGER NOT NULL DEFAULT 1",
    """
    UPDATE reviews SET counted = 0
    WHERE payment_key IN (SELECT payment_key FROM payments WHERE state IN ('rejected', 'cancelled'))
    """,
    "CREATE INDEX reviews_not_counted ON reviews (submitted_at) WHERE counted = 0",
    """
    CREATE TRIGGER payments_counted AFTER UPDATE OF state ON payments
    WHEN (new.state IN ('rejected', 'cancelled')) <> (old.state IN ('rejected', 'cancelled'))
    BEGIN
        UPDATE reviews SET counted = new.state NOT IN ('rejected', 'cancelled') WHERE payment_key = new.payment_key;
    END
    """,
)
