"""The indexes by which beneficiaries are found while somebody types (`gateway.store.sqlite.plan_search`)."""

from typing import Final

STEPS: Final = (
    "DROP INDEX plan_words_plan",
    "CREATE INDEX plan_words_plan ON plan_words (plan_key, word)",
    "CREATE INDEX plans_best ON plans (caller, kind, state, used DESC, last_used_at DESC, plan_key DESC)",
)
