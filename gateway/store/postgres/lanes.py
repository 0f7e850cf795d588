"""The statements of the engine's queue (`gateway.engine.procrastinate`); the functions are made by migration 0002.

In psycopg's form, since procrastinate speaks through it.
"""

from typing import Final

WAKE: Final = "SELECT wake_lanes(ARRAY[%s::text], ARRAY[%s::float8])"
"""(lane, delay in seconds)"""

BEGIN: Final = "SELECT begin_lane(%s::text)"
"""(lane) → whether this turn sees all that it was woken for"""

END: Final = "SELECT end_lane(%s::text, %s::bigint, %s::float8)"
"""(lane, job, delay of the next turn or None)"""

QUEUES: Final = "SELECT array_agg(lane_queue(lane) ORDER BY i) FROM unnest(%s::text[]) WITH ORDINALITY AS _ (lane, i)"
"""(lanes) → their queues in the same order"""

MOMENT: Final = "SELECT now()"

NEXT_LOOK: Final = """
SELECT (extract(epoch FROM min(scheduled_at) FILTER (WHERE scheduled_at > now()) - now()))::float8,
    coalesce(bool_or(scheduled_at IS NULL OR scheduled_at <= now()), false)
FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = ANY (%s::text[])
"""
"""(queues) → in how many seconds a job of theirs is due (None: none will be), and whether one is due that cannot be taken up"""
