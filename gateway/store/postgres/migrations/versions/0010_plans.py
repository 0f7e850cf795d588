"""Beneficiaries, templates and standing orders (`gateway.store.plans`), and recalls (`gateway.store.recalls`).

Words compare by their code points (collation "C"), so that those that begin alike lie together in the index.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE plans (
        plan_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        caller text NOT NULL,
        plan_id text NOT NULL,
        version integer NOT NULL,
        state text NOT NULL,
        content text NOT NULL,
        used integer NOT NULL DEFAULT 0,
        last_used_at timestamptz,
        handled_until text COLLATE "C", -- the last due date that was handled, as 2026-11-25
        look_at timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        UNIQUE (kind, caller, plan_id)
    )
    """,
    "CREATE INDEX plans_due ON plans (look_at) WHERE look_at IS NOT NULL",
    """
    CREATE TABLE plan_versions (
        plan_key bigint NOT NULL REFERENCES plans,
        version integer NOT NULL,
        state text NOT NULL,
        content text NOT NULL,
        changed_by text NOT NULL,
        reason text NOT NULL,
        changed_at timestamptz NOT NULL,
        PRIMARY KEY (plan_key, version)
    )
    """,
    """
    CREATE TABLE plan_words (
        caller text NOT NULL,
        word text COLLATE "C" NOT NULL,
        plan_key bigint NOT NULL REFERENCES plans,
        PRIMARY KEY (caller, word, plan_key)
    )
    """,
    "CREATE INDEX plan_words_plan ON plan_words (plan_key)",
    """
    CREATE TABLE plan_occurrences (
        plan_key bigint NOT NULL REFERENCES plans,
        due_date text COLLATE "C" NOT NULL,
        state text NOT NULL,
        payment_reference text NOT NULL,
        payment_id text,
        detail text NOT NULL,
        occurred_at timestamptz NOT NULL,
        PRIMARY KEY (plan_key, due_date)
    )
    """,
    """
    CREATE TABLE recalls (
        recall_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        recall_id text NOT NULL UNIQUE,
        payment_id text NOT NULL, -- no key: months of payments are archived, recalls stay
        connection_id text NOT NULL,
        reason text NOT NULL,
        note text NOT NULL,
        requested_by text NOT NULL,
        requested_at timestamptz NOT NULL,
        told text NOT NULL,
        delivery_id text UNIQUE,
        answer text,
        answer_status text,
        answer_reason text,
        answered_at timestamptz
    )
    """,
    "CREATE INDEX recalls_payment ON recalls (payment_id)",
    "CREATE INDEX recalls_open ON recalls (connection_id) WHERE answer IS NULL",
)


def upgrade() -> None:
    """Adds tables."""
    for statement in STATEMENTS:
        op.execute(statement)
