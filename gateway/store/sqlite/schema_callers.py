"""The tables of what callers took of their day (`gateway.store.quotas`), and of ID tokens that were used
(`gateway.store.people`)."""

from typing import Final

STEPS: Final = (
    """
    CREATE TABLE caller_quotas (
        caller TEXT NOT NULL,
        day TEXT NOT NULL, -- in UTC, as 2026-11-25
        used INTEGER NOT NULL,
        PRIMARY KEY (caller, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE people_id_tokens (
        token_sha256 TEXT PRIMARY KEY, -- of what makes it one of a kind; the token is not kept here
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX people_id_tokens_expired ON people_id_tokens (expires_at)",
)
