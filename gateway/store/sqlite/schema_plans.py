"""The tables of beneficiaries, templates, standing orders and recalls (gateway.store.plans, gateway.store.recalls)."""

STEPS = (
    """
    CREATE TABLE plans (
        plan_key INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        caller TEXT NOT NULL,
        plan_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        content TEXT NOT NULL,
        used INTEGER NOT NULL DEFAULT 0,
        last_used_at INTEGER,
        handled_until TEXT, -- the last due date that was handled, as 2026-11-25
        look_at INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (kind, caller, plan_id)
    ) STRICT
    """,
    "CREATE INDEX plans_due ON plans (look_at) WHERE look_at IS NOT NULL",
    """
    CREATE TABLE plan_versions (
        plan_key INTEGER NOT NULL REFERENCES plans,
        version INTEGER NOT NULL,
        state TEXT NOT NULL,
        content TEXT NOT NULL,
        changed_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        changed_at INTEGER NOT NULL,
        PRIMARY KEY (plan_key, version)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE plan_words (
        caller TEXT NOT NULL,
        word TEXT NOT NULL,
        plan_key INTEGER NOT NULL REFERENCES plans,
        PRIMARY KEY (caller, word, plan_key)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX plan_words_plan ON plan_words (plan_key)",
    """
    CREATE TABLE plan_occurrences (
        plan_key INTEGER NOT NULL REFERENCES plans,
        due_date TEXT NOT NULL,
        state TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        payment_id TEXT,
        detail TEXT NOT NULL,
        occurred_at INTEGER NOT NULL,
        PRIMARY KEY (plan_key, due_date)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE recalls (
        recall_key INTEGER PRIMARY KEY,
        recall_id TEXT NOT NULL UNIQUE,
        payment_id TEXT NOT NULL,
        connection_id TEXT NOT NULL,
        reason TEXT NOT NULL,
        note TEXT NOT NULL,
        requested_by TEXT NOT NULL,
        requested_at INTEGER NOT NULL,
        told TEXT NOT NULL,
        delivery_id TEXT UNIQUE,
        answer TEXT,
        answer_status TEXT,
        answer_reason TEXT,
        answered_at INTEGER
    ) STRICT
    """,
    "CREATE INDEX recalls_payment ON recalls (payment_id)",
    "CREATE INDEX recalls_open ON recalls (connection_id) WHERE answer IS NULL",
)
