"""What is kept about screening (`gateway.store.screening`), and sums of judged payments (`gateway.store.totals`).

Clearances and their revocations are added and never changed, which triggers hold for every role. `reviews.counted` follows the
payment's state by a trigger, in whatever way the state is written; a payment's row is locked before its review's, as everywhere.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_SIGNED = """
    person text NOT NULL,
    reason text NOT NULL,
    factor_kind text NOT NULL,
    factor_id text NOT NULL,
    factor_at timestamptz NOT NULL,
    factor_bound_to text NOT NULL,
    factor_evidence text NOT NULL,
    caller text NOT NULL,
    address text NOT NULL,
    decided_at timestamptz NOT NULL
"""
_UNITS = "trunc(amount::numeric)"

STATEMENTS = (
    f"""
    CREATE TABLE screening_clearances (
        clearance_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        clearance_id text NOT NULL UNIQUE,
        payment_id text NOT NULL,
        connection_id text NOT NULL,
        list_id text NOT NULL,
        entry_id text NOT NULL,
        entry_digest text NOT NULL, -- SHA-256 of what the entry said, in hex
        value text NOT NULL,
        creditor_name text NOT NULL,
        creditor_key text NOT NULL, -- the name as names are compared
        creditor_account text NOT NULL,
        valid_until text NOT NULL, -- as 2026-11-25
        {_SIGNED}
    )
    """,
    f"CREATE TABLE screening_revocations (clearance_id text PRIMARY KEY, {_SIGNED})",
    """
    CREATE FUNCTION screening_decisions_stay() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'a decision about a hit is never changed'; END $$
    """,
    *(
        f"CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION screening_decisions_stay()"
        for table in ("screening_clearances", "screening_revocations")
    ),
    """
    CREATE TABLE screening_lists (
        list_id text PRIMARY KEY,
        list_date text NOT NULL,
        entries bigint NOT NULL,
        sha256 text NOT NULL,
        taken_at timestamptz NOT NULL
    )
    """,
    "CREATE TABLE screening_book (book integer PRIMARY KEY, rescreened text NOT NULL)",
    """
    CREATE TABLE review_totals (
        span integer NOT NULL, -- seconds: 3600 or 86400
        begins_at timestamptz NOT NULL,
        connection_id text NOT NULL,
        caller text NOT NULL,
        debtor_account text NOT NULL,
        currency text NOT NULL,
        payments bigint NOT NULL,
        thousand_millions bigint NOT NULL,
        units bigint NOT NULL,
        hundred_thousandths bigint NOT NULL,
        PRIMARY KEY (span, begins_at, connection_id, caller, debtor_account, currency)
    )
    """,
    *(
        f"""
        INSERT INTO review_totals
        SELECT {span}, date_bin('{span} seconds', submitted_at, timestamptz '1970-01-01 00:00+00'), connection_id, caller,
            debtor_account, currency, count(*), sum(div({_UNITS}, 1000000000)), sum(mod({_UNITS}, 1000000000)),
            sum(trunc((amount::numeric - {_UNITS}) * 100000))
        FROM reviews GROUP BY 2, 3, 4, 5, 6
        """
        for span in (3600, 86_400)
    ),
    "ALTER TABLE reviews ADD COLUMN counted boolean NOT NULL DEFAULT true",
    """
    UPDATE reviews AS r SET counted = false
    FROM payment_keys AS k LEFT JOIN payments AS p USING (payment_key)
    WHERE k.payment_key = r.payment_key AND coalesce(p.state, k.archived_state) IN ('rejected', 'cancelled')
    """,
    "CREATE INDEX reviews_not_counted ON reviews (submitted_at) WHERE NOT counted",
    """
    CREATE FUNCTION payments_counted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE reviews SET counted = new.state NOT IN ('rejected', 'cancelled') WHERE payment_key = new.payment_key;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER payments_counted AFTER UPDATE OF state ON payments FOR EACH ROW
    WHEN ((new.state IN ('rejected', 'cancelled')) IS DISTINCT FROM (old.state IN ('rejected', 'cancelled')))
    EXECUTE FUNCTION payments_counted()
    """,
)


def upgrade() -> None:
    """Adds five tables, and to reviews whether they count."""
    for statement in STATEMENTS:
        op.execute(statement)
