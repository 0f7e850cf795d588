"""The engine's queue: procrastinate's own schema, and the functions by which lanes are woken, taken up and given back.

procrastinate ships its schema whole (sql/schema.sql) and as migrations (sql/migrations/*.sql, all of them for ever). A new
database gets the whole schema of the version that is installed, and remembers in `engine_schema` the newest migration that it
contains. When a newer procrastinate brings migrations, a new revision of ours runs those after the remembered one and moves the
mark; `tests/engine/test_wakes.py` fails until there is that revision. So neither order of upgrading loses or repeats a step.
"""

from collections.abc import Sequence
from importlib import resources

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NEWEST = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
"""The newest migration of procrastinate 3.10.0, with which this revision was written."""

# By lane: procrastinate's own indexes find a lock only among running jobs, and the check "is an older job of this lane waiting"
# would read every waiting job for each of them.
_INDEX = """
CREATE INDEX jobs_by_lane ON procrastinate_jobs (lock)
    WHERE status = ANY (ARRAY['todo'::procrastinate_job_status, 'doing'::procrastinate_job_status])
"""

_REMEMBERED = "CREATE TABLE engine_schema (newest_migration text NOT NULL)"

_WAKE = """
CREATE FUNCTION wake_lanes(lanes text[], delays double precision[]) RETURNS void LANGUAGE plpgsql AS $$
-- Wakes each lane after its delay in seconds (0: now), in the caller's transaction, and waits for nobody.
--
-- At most one job waits for a moment of a lane: a wake relies on a waiting job that it sees. That job might be taken up, and its
-- pump might look, before our transaction is visible; so whoever relies holds a shared lock on the lane until the end of the
-- transaction, and a pump that begins meanwhile finds it (begin_lane) and comes again. The lock comes before the look, and each
-- statement must see what was committed before it, which READ COMMITTED gives; in any other isolation every wake is a job.
-- Nothing here can wait: the lock is tried, and jobs have no queueing_lock, which would wait for whoever inserted first.
--
-- procrastinate lets an older job of a lock, due or not, go before a younger one of the same priority. The priority is therefore
-- the moment (in quarters of a second before 2043, which is enough until 2060): what is due first is first, in and among lanes.
DECLARE
    relies boolean;
    quarter bigint;
    turn integer;
    due timestamptz;
BEGIN
    FOR i IN 1 .. cardinality(lanes) LOOP
        quarter := CASE WHEN delays[i] <= 0 THEN floor(extract(epoch FROM now()) * 4)
            ELSE ceil(extract(epoch FROM now() + make_interval(secs => delays[i])) * 4) END;
        turn := greatest(-2147483647, least(2147483647, 9214732800 - quarter));
        due := CASE WHEN delays[i] > 0 THEN to_timestamp(quarter / 4.0) END;
        relies := current_setting('transaction_isolation') = 'read committed'
            AND pg_try_advisory_xact_lock_shared(20117, hashtext(lanes[i]));
        IF relies THEN
            CONTINUE WHEN EXISTS (
                SELECT FROM procrastinate_jobs AS j WHERE j.lock = lanes[i] AND j.status = 'todo'
                AND CASE WHEN due IS NULL THEN j.scheduled_at IS NULL OR j.scheduled_at <= now() ELSE j.scheduled_at = due END
            );
        END IF;
        PERFORM procrastinate_defer_jobs_v1(ARRAY[
            ROW(lane_queue(lanes[i]), 'pump', turn, lanes[i], NULL, jsonb_build_object('lane', lanes[i]), due)
        ]::procrastinate_job_to_defer_v1[]);
    END LOOP;
END;
$$
"""

_BEGIN = """
CREATE FUNCTION begin_lane(lane text) RETURNS boolean LANGUAGE plpgsql AS $$
-- The first thing a turn of a lane does, in a transaction of its own: removes the waiting jobs that this turn serves, and says
-- whether it surely sees all that they stood for. False: a transaction that relied on one of them is not finished, so this turn
-- must be followed by another. Waits for nobody.
BEGIN
    DELETE FROM procrastinate_jobs WHERE id IN (
        SELECT j.id FROM procrastinate_jobs AS j
        WHERE j.lock = lane AND j.status = 'todo' AND (j.scheduled_at IS NULL OR j.scheduled_at <= now())
        FOR UPDATE SKIP LOCKED
    );
    RETURN pg_try_advisory_xact_lock(20117, hashtext(lane));
END;
$$
"""

_END = """
CREATE FUNCTION end_lane(lane text, job bigint, delay double precision) RETURNS void LANGUAGE plpgsql AS $$
-- The last thing a turn does: gives the lane back, and asks for another turn after `delay` seconds (NULL: for none). Of a job
-- that is gone (it was taken for a dead one's, and another stands in its place) only the wish is left.
BEGIN
    PERFORM FROM procrastinate_jobs AS j WHERE j.id = job AND j.status = 'doing' FOR UPDATE;
    IF FOUND THEN
        PERFORM procrastinate_finish_job_v1(job, 'succeeded', true);
    END IF;
    IF delay IS NOT NULL THEN
        PERFORM wake_lanes(ARRAY[lane], ARRAY[delay]);
    END IF;
END;
$$
"""

_QUEUE = """
CREATE FUNCTION lane_queue(lane text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
-- A queue for each lane, so that a worker takes only lanes of its own configuration. procrastinate announces jobs on a channel
-- named after the queue, and a channel's name has at most 63 bytes.
SELECT CASE WHEN octet_length(lane) <= 40 THEN lane ELSE md5(lane) END
$$
"""


def statements() -> Sequence[str]:
    """What the revision does, in order."""
    folder = resources.files("procrastinate.sql")
    shipped = max(path.name for path in (folder / "migrations").iterdir() if path.name.endswith(".sql"))
    whole = (folder / "schema.sql").read_text(encoding="utf-8")
    remember = f"INSERT INTO engine_schema VALUES ('{shipped}')"
    return [whole, _INDEX, _REMEMBERED, remember, _QUEUE, _WAKE, _BEGIN, _END]


def upgrade() -> None:
    connection = op.get_bind().execution_options(no_parameters=True)  # percent signs are meant as they stand
    for statement in statements():
        connection.exec_driver_sql(statement)
