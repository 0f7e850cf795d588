"""What channels remember between two messages to a bank: by name, and written only over what the writer knows."""

from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.execute("CREATE TABLE channel_notes (name text PRIMARY KEY, content text NOT NULL, updated_at timestamptz NOT NULL)")
