"""Release groups, and what payments know of theirs (`gateway.store.groups`).

What is approved and waits for its group is in no index that forming messages goes by: `payments_approved` is made anew.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE release_groups (
        release_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        group_id text NOT NULL UNIQUE,
        caller text NOT NULL,
        connection_id text NOT NULL,
        name text NOT NULL,
        state text NOT NULL,
        version integer NOT NULL,
        number_of_transactions integer, -- what it was closed with, or what of it is to go
        control_sums text, -- likewise: JSON, by currency
        created_at timestamptz NOT NULL,
        closed_at timestamptz,
        closed_by text NOT NULL DEFAULT '',
        ended_at timestamptz,
        ended_by text NOT NULL DEFAULT '',
        reason text NOT NULL DEFAULT '',
        UNIQUE (caller, connection_id, name)
    )
    """,
    "CREATE INDEX release_groups_state ON release_groups (connection_id, state)",
    # No foreign key: months of payments are taken off and put back while groups stay.
    "ALTER TABLE payments ADD COLUMN release_key bigint, ADD COLUMN release_waits boolean NOT NULL DEFAULT false",
    "CREATE INDEX payments_of_group ON payments (release_key, state) WHERE release_key IS NOT NULL",
    "DROP INDEX payments_approved",
    """
    CREATE INDEX payments_approved ON payments (connection_id, terms_id, payment_key)
    WHERE state = 'approved' AND NOT release_waits
    """,
)


def upgrade() -> None:
    """Adds a table and two columns, and makes an index anew."""
    for statement in STATEMENTS:
        op.execute(statement)
