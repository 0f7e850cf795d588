"""People (`gateway.store.people`): accounts, second factors, sessions, challenges, tries, emergencies, proposals."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE people (
        name text PRIMARY KEY,
        roles text NOT NULL, -- JSON lists
        groups text NOT NULL,
        connections text NOT NULL,
        password text, -- argon2id, with its parameters
        subject text UNIQUE,
        disabled boolean NOT NULL,
        sealed boolean NOT NULL,
        enrolment text,
        enrolment_until timestamptz,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        version bigint NOT NULL
    )
    """,
    """
    CREATE TABLE people_factors (
        factor_id text PRIMARY KEY,
        name text NOT NULL REFERENCES people,
        kind text NOT NULL,
        label text NOT NULL,
        content text NOT NULL,
        credential_id text UNIQUE,
        counter bigint NOT NULL,
        confirmed boolean NOT NULL,
        created_at timestamptz NOT NULL,
        used_at timestamptz
    )
    """,
    "CREATE INDEX people_factors_name ON people_factors (name)",
    """
    CREATE TABLE people_sessions (
        session_id text PRIMARY KEY,
        token_sha256 text NOT NULL UNIQUE,
        name text NOT NULL REFERENCES people,
        caller text NOT NULL,
        address text NOT NULL,
        enrolling boolean NOT NULL,
        factor text NOT NULL,
        created_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL,
        fresh_at timestamptz,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX people_sessions_name ON people_sessions (name)",
    """
    CREATE TABLE people_challenges (
        challenge_id text PRIMARY KEY,
        name text NOT NULL,
        kind text NOT NULL,
        content text NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX people_challenges_expired ON people_challenges (expires_at)",
    """
    CREATE TABLE people_tries (
        key text PRIMARY KEY, -- a digest: what strangers type is not kept
        tries bigint NOT NULL,
        last_at timestamptz NOT NULL,
        paused_until timestamptz
    )
    """,
    "CREATE INDEX people_tries_old ON people_tries (last_at)",
    """
    CREATE TABLE people_openings (
        opening_id text PRIMARY KEY,
        name text NOT NULL REFERENCES people,
        opened_by text NOT NULL,
        reason text NOT NULL,
        opened_at timestamptz NOT NULL,
        open_until timestamptz NOT NULL,
        reviewed_at timestamptz,
        reviewed_by text,
        review text
    )
    """,
    """
    CREATE TABLE people_proposals (
        proposal_id text PRIMARY KEY,
        kind text NOT NULL,
        name text NOT NULL,
        content text NOT NULL,
        asked_by text NOT NULL,
        asked_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Adds the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
