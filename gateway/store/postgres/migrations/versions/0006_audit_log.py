"""The audit log, and the triggers that keep it from being changed (`gateway.audit.chain`).

A row's erasable texts and their salt may become NULL together, part by part, and that is all that may happen to it; the triggers
bind the owner of the tables too, who alone can drop them.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE audit_log (
        number bigint PRIMARY KEY,
        occurred_at timestamptz NOT NULL,
        action text NOT NULL,
        object_kind text NOT NULL,
        caller text NOT NULL,
        outcome text NOT NULL,
        actor text,
        address text,
        factor text,
        who_salt bytea,
        who_digest bytea NOT NULL,
        object_id text,
        object_salt bytea,
        object_digest bytea NOT NULL,
        detail text,
        detail_salt bytea,
        detail_digest bytea NOT NULL,
        previous_hash bytea NOT NULL,
        hash bytea NOT NULL
    )
    """,
    "CREATE INDEX audit_log_object ON audit_log (object_kind, object_id) WHERE object_id IS NOT NULL",
    """
    CREATE TABLE audit_checkpoints (
        size bigint PRIMARY KEY,
        made_at timestamptz NOT NULL,
        content text NOT NULL,
        frontier bytea NOT NULL,
        public_key text,
        signature bytea
    )
    """,
    """
    CREATE FUNCTION audit_never() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE FUNCTION audit_erase_only() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE expected audit_log := old;
    BEGIN
        IF new.who_salt IS NULL THEN
            expected.who_salt := NULL; expected.actor := NULL; expected.address := NULL; expected.factor := NULL;
        END IF;
        IF new.object_salt IS NULL THEN
            expected.object_salt := NULL; expected.object_id := NULL;
        END IF;
        IF new.detail_salt IS NULL THEN
            expected.detail_salt := NULL; expected.detail := NULL;
        END IF;
        IF new IS DISTINCT FROM expected THEN
            RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN new;
    END $$
    """,
    "CREATE TRIGGER audit_log_update BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_erase_only()",
    "CREATE TRIGGER audit_log_delete BEFORE DELETE OR TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_never()",
    """
    CREATE TRIGGER audit_checkpoints_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit_never()
    """,
)


def upgrade() -> None:
    """Adds two tables and their triggers."""
    for statement in STATEMENTS:
        op.execute(statement)
