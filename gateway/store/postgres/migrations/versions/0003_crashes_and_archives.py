"""Whether the server crashed since; what late news of archived payments is told by; and which message has had no word longest.

A table that is not logged is emptied by the server whenever it recovers from a crash, and on a standby that takes over
(PostgreSQL, "CREATE TABLE", UNLOGGED). So the one row of `server_life` says that nothing the server had in memory was lost since
it was written (`gateway.store.postgres.writer`).

A bank that returns a payment after a year often names its end-to-end id and nothing else: it stays beside the payment's key.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE UNLOGGED TABLE server_life (the_one boolean PRIMARY KEY DEFAULT true CHECK (the_one), token text NOT NULL)",
    "ALTER TABLE payment_keys ADD COLUMN archived_end_to_end_id text",
    """
    CREATE INDEX payment_keys_archived ON payment_keys (archived_end_to_end_id, connection_id)
    WHERE archived_end_to_end_id IS NOT NULL
    """,
    # The messages that the bank has, by when it got them: the alarm asks for the last days of one connection.
    "CREATE INDEX deliveries_sent ON deliveries (connection_id, updated_at) WHERE state = 'sent'",
)


def upgrade() -> None:
    """Adds a table, a column and two indexes."""
    for statement in STATEMENTS:
        op.execute(statement)
