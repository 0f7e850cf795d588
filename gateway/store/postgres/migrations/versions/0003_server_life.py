"""Whether the server crashed since; and what the bank has had longest without a word, without reading all that it ever got.

A table that is not logged is emptied by the server whenever it recovers from a crash, and on a standby that takes over
(PostgreSQL, "CREATE TABLE", UNLOGGED). So the one row of `server_life` says that nothing the server had in memory was lost since
it was written (`gateway.store.postgres.writer`).
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE UNLOGGED TABLE server_life (the_one boolean PRIMARY KEY DEFAULT true CHECK (the_one), token text NOT NULL)",
    # The messages that the bank has, by when it got them: the alarm asks for the last days of one connection.
    "CREATE INDEX deliveries_sent ON deliveries (connection_id, updated_at) WHERE state = 'sent'",
)


def upgrade() -> None:
    """Adds the table and the index."""
    for statement in STATEMENTS:
        op.execute(statement)
