"""Answers about payees (`gateway.store.payees`): added, never changed, which a trigger holds for every role.

There are no foreign keys to payments, whose months are dropped: an answer stays evidence of what was known when money went.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE payee_checks (
        payment_id text NOT NULL,
        provider text NOT NULL,
        asked_at timestamptz NOT NULL,
        answered_at timestamptz NOT NULL,
        digest text NOT NULL, -- SHA-256 of the name and account asked about, in hex
        result text NOT NULL CHECK (result IN ('match', 'close_match', 'no_match', 'not_available')),
        suggested_name text NOT NULL,
        reason text NOT NULL,
        provider_reference text NOT NULL,
        PRIMARY KEY (payment_id, provider, asked_at)
    )
    """,
    """
    CREATE FUNCTION payee_checks_stay() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'an answer about a payee is never changed'; END $$
    """,
    "CREATE TRIGGER payee_checks_stay BEFORE UPDATE ON payee_checks FOR EACH ROW EXECUTE FUNCTION payee_checks_stay()",
)


def upgrade() -> None:
    """Adds a table and its trigger."""
    for statement in STATEMENTS:
        op.execute(statement)
