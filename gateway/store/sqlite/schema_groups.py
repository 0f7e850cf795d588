"""The table of release groups, and what payments know of theirs (gateway.store.groups).

What is approved and waits for its group is in no index that forming messages goes by: `payments_approved` is made anew.
"""

STEPS = (
    """
    CREATE TABLE release_groups (
        release_key INTEGER PRIMARY KEY,
        group_id TEXT NOT NULL UNIQUE,
        caller TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        number_of_transactions INTEGER, -- what it was closed with, or what of it is to go
        control_sums TEXT, -- likewise: JSON, by currency
        created_at INTEGER NOT NULL,
        closed_at INTEGER,
        closed_by TEXT NOT NULL DEFAULT '',
        ended_at INTEGER,
        ended_by TEXT NOT NULL DEFAULT '',
        reason TEXT NOT NULL DEFAULT '',
        UNIQUE (caller, connection_id, name)
    ) STRICT
    """,
    "CREATE INDEX release_groups_state ON release_groups (connection_id, state)",
    "ALTER TABLE payments ADD COLUMN release_key INTEGER REFERENCES release_groups",
    "ALTER TABLE payments ADD COLUMN release_waits INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX payments_of_group ON payments (release_key, state) WHERE release_key IS NOT NULL",
    "DROP INDEX payments_approved",
    "CREATE INDEX payments_approved ON payments (connection_id, terms_id) WHERE state = 'approved' AND release_waits = 0",
)
