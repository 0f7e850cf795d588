"""The numbers by which banks that answer at once know payments and messages (`gateway.store.serials`).

Like the keys of payments they stay when a month is archived: none is ever given twice, and what a bank says of one, however late,
finds its payment. A number lies with its block, which stays too, and so knows its message and its terms; there are no foreign
keys to payments, whose months are dropped.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE deliveries ADD COLUMN package text",
    "CREATE UNIQUE INDEX deliveries_package ON deliveries (connection_id, package) WHERE package IS NOT NULL",
    """
    CREATE TABLE serial_numbers (
        payment_key bigint NOT NULL,
        attempt integer NOT NULL,
        connection_id text NOT NULL,
        serial text NOT NULL,
        block_key bigint NOT NULL REFERENCES blocks,
        given_at timestamptz NOT NULL,
        first_sent_on text, -- a day of the bank's time zone, as 2026-11-25
        bank_reference text,
        returned_line text, -- of a statement, that told of its return
        next_ask_at timestamptz,
        asked_at timestamptz,
        asked integer NOT NULL DEFAULT 0,
        PRIMARY KEY (payment_key, attempt),
        UNIQUE (connection_id, serial)
    )
    """,
    "CREATE INDEX serial_numbers_block ON serial_numbers (block_key)",
    "CREATE INDEX serial_numbers_sent ON serial_numbers (connection_id, first_sent_on) WHERE first_sent_on IS NOT NULL",
    # What a lane's turn looks through: the payments that the bank is still asked about.
    "CREATE INDEX serial_numbers_due ON serial_numbers (connection_id, next_ask_at) WHERE next_ask_at IS NOT NULL",
)


def upgrade() -> None:
    """Adds a table, a column and an index."""
    for statement in STATEMENTS:
        op.execute(statement)
