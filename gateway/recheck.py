"""People as they are now, for rules that look at their approvers again (`recheck = true`).

Such a rule counts an approval only while its giver still has the role, the group and the connection. It is asked wherever an
approval counts: when somebody decides, when a payment is judged again, and in the last look before a message is made.
"""

from collections.abc import Iterable, Mapping

from gateway.people.person import Person
from gateway.policy.rules import RECHECK
from gateway.policy.verdict import Verdict
from gateway.store.store import Store


async def people_now(store: Store, verdicts: Iterable[Verdict]) -> Mapping[str, Person] | None:
    """Everybody whose account can be used, by name; None where none of the verdicts asks, so that nobody has changed."""
    if not any(RECHECK in finding.facts for verdict in verdicts for finding in verdict.findings):
        return None
    return {one.name: one.person for one in await store.accounts() if not one.disabled}
