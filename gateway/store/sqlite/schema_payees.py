"""The table of answers about payees (`gateway.store.payees`): rows are added and never changed, which a trigger holds."""

from typing import Final

STEPS: Final = (
    """
    CREATE TABLE payee_checks (
        payment_id TEXT NOT NULL,
        provider TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        answered_at INTEGER NOT NULL,
        digest TEXT NOT NULL, -- SHA-256 of the name and account asked about, in hex
        result TEXT NOT NULL CHECK (result IN ('match', 'close_match', 'no_match', 'not_available')),
        suggested_name TEXT NOT NULL,
        reason TEXT NOT NULL,
        provider_reference TEXT NOT NULL,
        PRIMARY KEY (payment_id, provider, asked_at)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER payee_checks_stay BEFORE UPDATE ON payee_checks
    BEGIN SELECT raise(ABORT, 'an answer about a payee is never changed'); END
    """,
)
