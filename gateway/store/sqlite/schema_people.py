"""The tables of people (`gateway.store.people`). Nothing in them signs anybody in: tokens and codes are digests, secrets
encrypted."""

from typing import Final

PEOPLE: Final = (
    """
    CREATE TABLE people (
        name TEXT PRIMARY KEY,
        roles TEXT NOT NULL, -- JSON lists
        groups TEXT NOT NULL,
        connections TEXT NOT NULL,
        password TEXT, -- argon2id, with its parameters
        subject TEXT UNIQUE,
        disabled INTEGER NOT NULL,
        sealed INTEGER NOT NULL,
        enrolment TEXT,
        enrolment_until INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        version INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE people_factors (
        factor_id TEXT PRIMARY KEY,
        name TEXT NOT NULL REFERENCES people,
        kind TEXT NOT NULL,
        label TEXT NOT NULL,
        content TEXT NOT NULL,
        credential_id TEXT UNIQUE,
        counter INTEGER NOT NULL,
        confirmed INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        used_at INTEGER
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX people_factors_name ON people_factors (name)",
    """
    CREATE TABLE people_sessions (
        session_id TEXT PRIMARY KEY,
        token_sha256 TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL REFERENCES people,
        caller TEXT NOT NULL,
        address TEXT NOT NULL,
        enrolling INTEGER NOT NULL,
        factor TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        fresh_at INTEGER,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX people_sessions_name ON people_sessions (name)",
    """
    CREATE TABLE people_challenges (
        challenge_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        content TEXT NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX people_challenges_expired ON people_challenges (expires_at)",
    """
    CREATE TABLE people_tries (
        key TEXT PRIMARY KEY, -- a digest: what strangers type is not kept
        tries INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        paused_until INTEGER
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX people_tries_old ON people_tries (last_at)",
    """
    CREATE TABLE people_openings (
        opening_id TEXT PRIMARY KEY,
        name TEXT NOT NULL REFERENCES people,
        opened_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        opened_at INTEGER NOT NULL,
        open_until INTEGER NOT NULL,
        reviewed_at INTEGER,
        reviewed_by TEXT,
        review TEXT
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE people_proposals (
        proposal_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        content TEXT NOT NULL,
        asked_by TEXT NOT NULL,
        asked_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
