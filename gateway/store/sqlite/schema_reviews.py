"""The tables of reviews and decisions (`gateway.store.reviews`).

`amount` is written without an exponent: sums are made of its two halves as integers. `findings` is JSON, `steps` are in it. The
one row of `review_book` comes with the first judgement.
"""

from typing import Final

REVIEWS: Final = (
    """
    CREATE TABLE reviews (
        payment_key INTEGER PRIMARY KEY,
        number INTEGER NOT NULL UNIQUE, -- the place among all judged payments
        version INTEGER NOT NULL,
        connection_id TEXT NOT NULL,
        caller TEXT NOT NULL,
        debtor_account TEXT NOT NULL,
        creditor_account TEXT NOT NULL,
        creditor_name TEXT NOT NULL,
        creditor_key TEXT NOT NULL, -- the name as names are compared
        creditor_country TEXT NOT NULL,
        amount TEXT NOT NULL,
        currency TEXT NOT NULL,
        requested_execution_date TEXT NOT NULL,
        end_to_end_id TEXT NOT NULL,
        remittance TEXT NOT NULL,
        submitted_at INTEGER NOT NULL,
        digest BLOB NOT NULL,
        rules TEXT NOT NULL,
        outcome INTEGER NOT NULL,
        findings TEXT NOT NULL,
        judged_at INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX reviews_submitted ON reviews (submitted_at)",
    "CREATE INDEX reviews_caller ON reviews (caller, submitted_at)",
    "CREATE INDEX reviews_debtor ON reviews (debtor_account, submitted_at)",
    "CREATE INDEX reviews_creditor ON reviews (creditor_account, submitted_at)",
    "CREATE INDEX reviews_creditor_name ON reviews (creditor_key, submitted_at)",
    """
    CREATE TABLE approvals (
        approval_key INTEGER PRIMARY KEY,
        payment_key INTEGER NOT NULL,
        decision TEXT NOT NULL,
        person TEXT NOT NULL,
        person_then TEXT NOT NULL, -- JSON: roles, groups and connections as they were
        digest BLOB NOT NULL,
        holds TEXT NOT NULL, -- a JSON array of the holds that were looked at
        reason TEXT NOT NULL,
        factor_kind TEXT NOT NULL,
        factor_id TEXT NOT NULL,
        factor_at INTEGER NOT NULL,
        factor_bound_to TEXT NOT NULL,
        factor_evidence TEXT NOT NULL,
        caller TEXT NOT NULL,
        address TEXT NOT NULL,
        decided_at INTEGER NOT NULL
    ) STRICT
    """,
    "CREATE INDEX approvals_payment ON approvals (payment_key)",
    """
    CREATE TABLE review_book (
        book INTEGER PRIMARY KEY,
        fence INTEGER NOT NULL,
        last_number INTEGER NOT NULL,
        rules TEXT NOT NULL
    ) STRICT
    """,
    "ALTER TABLE payments ADD COLUMN submitted_by TEXT",  # the person who entered it, where one is known
    "CREATE INDEX payments_waiting ON payments (state, payment_key) WHERE state IN ('received', 'held', 'awaiting_approval')",
)
