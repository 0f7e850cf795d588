"""The indexes by which beneficiaries are found while somebody types (`gateway.store.postgres.plan_search`)."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = (
    "DROP INDEX plan_words_plan",
    "CREATE INDEX plan_words_plan ON plan_words (plan_key, word)",
    "CREATE INDEX plans_best ON plans (caller, kind, state, used DESC, last_used_at DESC NULLS LAST, plan_key DESC)",
)


def upgrade() -> None:
    """Indexes."""
    for statement in STATEMENTS:
        op.execute(statement)
