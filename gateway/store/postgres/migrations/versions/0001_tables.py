"""The first tables.

Never edited once released: what comes later is a revision of its own.

Keys named `..._key` never leave the store. `payment_key` and an event's `seq` come from one sequence each, and carry the month
in their upper bits (`gateway.store.postgres.partitions`): payments, transfers and events are partitioned by them, so that every
search by key goes to one partition, primary keys stay local to it, and an archived month is dropped as a whole.

What must be unique for ever is apart, in `payment_keys`: a repeat of a payment whose month was archived long ago is still
answered as known. Everything else about a payment lies in the partitions.

Moments are timestamptz: eight bytes, whole microseconds, legible to whoever looks with psql. Amounts are text, as written: every
digit counts, also the trailing ones, and sums are made with `amount::numeric`. Content (JSON) is bytea: it is read whole, by us.
Rows of partitioned tables have no foreign keys: each would cost a look-up per row of every COPY, and would hold back the archive;
the references are made by the same transaction that makes what they refer to.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SEQUENCE payment_key_seq AS bigint",
    "CREATE SEQUENCE event_seq AS bigint",
    """
    CREATE TABLE terms (
        terms_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        digest bytea NOT NULL UNIQUE, -- SHA-256 of content
        content bytea NOT NULL
    )
    """,
    # -- documents -----------------------------------------------------------------------------------------------------
    """
    CREATE TABLE documents (
        document_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind text NOT NULL,
        owner text NOT NULL, -- who is writing it, while finished_at is NULL
        size bigint,
        sha256 text,
        created_at timestamptz NOT NULL,
        finished_at timestamptz
    )
    """,
    # The few that are being written: what the start-up looks through.
    "CREATE INDEX documents_unfinished ON documents (document_id) WHERE finished_at IS NULL",
    """
    CREATE TABLE chunks (
        document_id bigint NOT NULL, -- no foreign key: a chunk is a megabyte, and is removed with its document
        number integer NOT NULL,
        content bytea NOT NULL,
        PRIMARY KEY (document_id, number)
    )
    """,
    # Encrypted or compressed already: compressing again costs time and saves nothing.
    "ALTER TABLE chunks ALTER COLUMN content SET STORAGE EXTERNAL",
    # -- messages ------------------------------------------------------------------------------------------------------
    """
    CREATE TABLE deliveries (
        delivery_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        delivery_id text NOT NULL UNIQUE,
        connection_id text NOT NULL,
        message_id text NOT NULL,
        message_name text NOT NULL,
        file_name text NOT NULL,
        creation_date_time timestamptz NOT NULL,
        state text NOT NULL,
        reason text,
        payment_count integer NOT NULL,
        control_sum text NOT NULL,
        attempt integer NOT NULL DEFAULT 0,
        fence bigint NOT NULL DEFAULT 1,
        lease_until timestamptz,
        due_at timestamptz,
        document_id bigint REFERENCES documents,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        doubt_since timestamptz,
        stopped boolean NOT NULL DEFAULT false,
        UNIQUE (connection_id, message_id) -- a bank's answer names the message; and never two of one name to a bank
    )
    """,
    # Removing a document asks whether a message holds it.
    "CREATE INDEX deliveries_document ON deliveries (document_id) WHERE document_id IS NOT NULL",
    # What a lane's turn looks through: the messages that are under way, however many lie behind.
    """
    CREATE INDEX deliveries_open ON deliveries (connection_id, delivery_key)
    WHERE state IN ('ready', 'sending', 'in_doubt')
    """,
    """
    CREATE TABLE delivery_events (
        delivery_key bigint NOT NULL REFERENCES deliveries,
        number integer NOT NULL,
        event text NOT NULL,
        previous_state text,
        state text NOT NULL,
        attempt integer NOT NULL,
        reason text,
        source text NOT NULL,
        occurred_at timestamptz NOT NULL,
        PRIMARY KEY (delivery_key, number)
    )
    """,
    """
    CREATE TABLE blocks (
        block_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        delivery_key bigint NOT NULL REFERENCES deliveries,
        payment_information_id text NOT NULL,
        terms_id bigint NOT NULL REFERENCES terms,
        payment_count integer NOT NULL,
        control_sum text NOT NULL,
        UNIQUE (delivery_key, payment_information_id)
    )
    """,
    """
    CREATE TABLE attempts (
        delivery_key bigint NOT NULL REFERENCES deliveries,
        number integer NOT NULL,
        started_at timestamptz NOT NULL,
        ended_at timestamptz,
        outcome text NOT NULL DEFAULT '',
        detail text NOT NULL DEFAULT '',
        PRIMARY KEY (delivery_key, number)
    )
    """,
    """
    CREATE TABLE evidence (
        evidence_key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        delivery_key bigint NOT NULL REFERENCES deliveries,
        found_at timestamptz NOT NULL,
        source text NOT NULL,
        verdict text NOT NULL,
        detail text NOT NULL
    )
    """,
    "CREATE INDEX evidence_delivery ON evidence (delivery_key)",
    # -- payments ------------------------------------------------------------------------------------------------------
    """
    CREATE TABLE payment_keys (
        payment_key bigint PRIMARY KEY,
        payment_id text NOT NULL UNIQUE, -- callers and banks name a payment by it
        caller text NOT NULL,
        payment_reference text NOT NULL,
        connection_id text NOT NULL, -- the feed shows it, also of payments that were archived
        content_sha256 bytea NOT NULL,
        archived_state text, -- the last state of a payment whose month was archived; NULL: it stands in payments
        UNIQUE (caller, payment_reference) -- idempotency, for ever
    )
    """,
    """
    CREATE TABLE payments (
        payment_key bigint NOT NULL,
        connection_id text NOT NULL,
        terms_id bigint NOT NULL,
        end_to_end_id text NOT NULL,
        uetr text,
        amount text NOT NULL,
        currency text NOT NULL,
        state text NOT NULL,
        version integer NOT NULL,
        reason text,
        block_key bigint,
        bank_status text,
        account_servicer_reference text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        instant text,
        may_fall_back boolean NOT NULL DEFAULT false,
        PRIMARY KEY (payment_key)
    ) PARTITION BY RANGE (payment_key)
    """,
    # What waits for a message, oldest first within its terms: small, however many payments there are.
    "CREATE INDEX payments_approved ON payments (connection_id, terms_id, payment_key) WHERE state = 'approved'",
    # The bank's answers name payments by these four.
    "CREATE INDEX payments_end_to_end ON payments (end_to_end_id, connection_id)",
    "CREATE INDEX payments_uetr ON payments (uetr) WHERE uetr IS NOT NULL",
    """
    CREATE INDEX payments_servicer_reference ON payments (account_servicer_reference)
    WHERE account_servicer_reference IS NOT NULL
    """,
    # The payments of a message, in the order in which it lists them.
    "CREATE INDEX payments_block ON payments (block_key, payment_key) WHERE block_key IS NOT NULL",
    """
    CREATE TABLE transfers (
        payment_key bigint NOT NULL,
        content bytea NOT NULL,
        PRIMARY KEY (payment_key)
    ) PARTITION BY RANGE (payment_key)
    """,
    """
    CREATE TABLE refused_attempts (
        payment_key bigint PRIMARY KEY,
        block_key bigint NOT NULL REFERENCES blocks,
        uetr text,
        reason text,
        report_created text,
        refused_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX refused_attempts_block ON refused_attempts (block_key)",
    "CREATE INDEX refused_attempts_uetr ON refused_attempts (uetr) WHERE uetr IS NOT NULL",
    # -- the feed ------------------------------------------------------------------------------------------------------
    """
    CREATE TABLE events (
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(), -- the transaction that wrote it: what the feed is ordered by
        seq bigint NOT NULL,
        payment_key bigint NOT NULL,
        state text NOT NULL,
        previous_state text,
        reason text,
        source text NOT NULL,
        delivery_key bigint,
        occurred_at timestamptz NOT NULL,
        PRIMARY KEY (xid, seq) -- the order of the feed
    ) PARTITION BY RANGE (seq)
    """,
    # The story of one payment.
    "CREATE INDEX events_payment ON events (payment_key)",
    # -- what banks send -----------------------------------------------------------------------------------------------
    """
    CREATE TABLE inbound_files (
        inbound_file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        connection_id text NOT NULL,
        name text NOT NULL,
        sha256 text NOT NULL,
        size bigint NOT NULL,
        document_id bigint NOT NULL REFERENCES documents,
        state text NOT NULL,
        message text,
        problem text,
        received_at timestamptz NOT NULL,
        records_applied integer NOT NULL DEFAULT 0,
        opened boolean NOT NULL DEFAULT false,
        UNIQUE (connection_id, sha256) -- the same bytes twice are one file
    )
    """,
    "CREATE INDEX inbound_files_document ON inbound_files (document_id)",
    "CREATE INDEX inbound_files_waiting ON inbound_files (connection_id, state) WHERE state IN ('stored', 'quarantined')",
    """
    CREATE TABLE statements (
        statement_row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        connection_id text NOT NULL,
        inbound_file_id bigint NOT NULL REFERENCES inbound_files,
        position integer NOT NULL,
        message text NOT NULL,
        iban text,
        received_at timestamptz NOT NULL,
        content bytea NOT NULL,
        chain text, -- what statements are compared by (gateway.continuity); NULL: those that belong to no chain
        facts bytea,
        UNIQUE (inbound_file_id, position)
    )
    """,
    "CREATE INDEX statements_chain ON statements (connection_id, chain, statement_row_id) WHERE chain IS NOT NULL",
    """
    CREATE TABLE entries (
        statement_row_id bigint NOT NULL REFERENCES statements,
        position integer NOT NULL, -- from 1
        content bytea NOT NULL,
        payment_ids text NOT NULL, -- a JSON array
        PRIMARY KEY (statement_row_id, position)
    )
    """,
    """
    CREATE TABLE discrepancies (
        discrepancy_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text COLLATE "C" NOT NULL UNIQUE, -- searched by how it begins
        connection_id text NOT NULL,
        kind text NOT NULL,
        summary_en text NOT NULL,
        summary_zh text NOT NULL,
        evidence text NOT NULL,
        inbound_file_id bigint,
        payment_id text,
        delivery_id text,
        created_at timestamptz NOT NULL,
        resolved_at timestamptz,
        resolved_by text,
        resolution text
    )
    """,
    "CREATE INDEX discrepancies_open ON discrepancies (connection_id) WHERE resolved_at IS NULL",
    """
    CREATE TABLE connections (
        connection_id text PRIMARY KEY,
        last_sent_at timestamptz,
        last_fetch_at timestamptz,
        last_problem text
    )
    """,
    # -- what was archived and dropped ---------------------------------------------------------------------------------
    """
    CREATE TABLE archives (
        month integer PRIMARY KEY, -- as in the partitions' keys: 12 * (year - 1970) + month - 1
        payment_count bigint NOT NULL,
        event_count bigint NOT NULL,
        last_xid xid8, -- the last event of the month in the order of the feed: a cursor before it has missed something
        last_seq bigint,
        manifest_sha256 text NOT NULL,
        archived_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Makes the tables in an empty database."""
    for statement in STATEMENTS:
        op.execute(statement)
