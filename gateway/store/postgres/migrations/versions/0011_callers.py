"""What callers took of their day (`gateway.store.quotas`), and ID tokens that were used (`gateway.store.people`)."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE caller_quotas (
        caller text NOT NULL,
        day text COLLATE "C" NOT NULL, -- in UTC, as 2026-11-25
        used bigint NOT NULL,
        PRIMARY KEY (caller, day)
    )
    """,
    """
    CREATE TABLE people_id_tokens (
        token_sha256 text PRIMARY KEY, -- of what makes it one of a kind; the token is not kept here
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX people_id_tokens_expired ON people_id_tokens (expires_at)",
)


def upgrade() -> None:
    """Adds tables."""
    for statement in STATEMENTS:
        op.execute(statement)
