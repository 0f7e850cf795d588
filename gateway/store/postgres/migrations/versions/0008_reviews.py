"""What was judged of payments, and what people decided about them (`gateway.store.reviews`).

Both stay when a month is archived: rules look back at reviews, and a decision is evidence. So there are no foreign keys to
payments, whose months are dropped. The one row of `review_book` comes with the first judgement.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE reviews (
        payment_key bigint PRIMARY KEY,
        number bigint NOT NULL UNIQUE, -- the place among all judged payments
        version integer NOT NULL,
        connection_id text NOT NULL,
        caller text NOT NULL,
        debtor_account text NOT NULL,
        creditor_account text NOT NULL,
        creditor_name text NOT NULL,
        creditor_key text NOT NULL, -- the name as names are compared
        creditor_country text NOT NULL,
        amount text NOT NULL,
        currency text NOT NULL,
        requested_execution_date text NOT NULL, -- as 2026-11-25
        end_to_end_id text NOT NULL,
        remittance text NOT NULL,
        submitted_at timestamptz NOT NULL,
        digest bytea NOT NULL,
        rules text NOT NULL,
        outcome integer NOT NULL,
        findings text NOT NULL, -- JSON
        judged_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX reviews_submitted ON reviews (submitted_at)",
    "CREATE INDEX reviews_caller ON reviews (caller, submitted_at)",
    "CREATE INDEX reviews_debtor ON reviews (debtor_account, submitted_at)",
    "CREATE INDEX reviews_creditor ON reviews (creditor_account, submitted_at)",
    "CREATE INDEX reviews_creditor_name ON reviews (creditor_key, submitted_at)",
    """
    CREATE TABLE approvals (
        approval_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        payment_key bigint NOT NULL,
        decision text NOT NULL,
        person text NOT NULL,
        person_then text NOT NULL, -- JSON: roles, groups and connections as they were
        digest bytea NOT NULL,
        holds text NOT NULL, -- a JSON array of the holds that were looked at
        reason text NOT NULL,
        factor_kind text NOT NULL,
        factor_id text NOT NULL,
        factor_at timestamptz NOT NULL,
        factor_bound_to text NOT NULL,
        factor_evidence text NOT NULL,
        caller text NOT NULL,
        address text NOT NULL,
        decided_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX approvals_payment ON approvals (payment_key)",
    """
    CREATE TABLE review_book (
        book integer PRIMARY KEY,
        fence bigint NOT NULL,
        last_number bigint NOT NULL,
        rules text NOT NULL
    )
    """,
    "ALTER TABLE payments ADD COLUMN submitted_by text",  # the person who entered it, where one is known
    "CREATE INDEX payments_waiting ON payments (state, payment_key) WHERE state IN ('received', 'held', 'awaiting_approval')",
)


def upgrade() -> None:
    """Adds three tables, a column, and an index for what waits."""
    for statement in STATEMENTS:
        op.execute(statement)
