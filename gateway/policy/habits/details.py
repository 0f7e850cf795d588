"""Is the creditor's account the one it had? Pure."""

from collections.abc import Iterator

from gateway.masking import masked_number
from gateway.policy.habits.case import Case, found
from gateway.policy.habits.profile import Seen
from gateway.policy.habits.words import accounts_near, bank_of_account, names_differ
from gateway.policy.verdict import Finding

_FIRM = 2  # payments after which an account or a name counts as known; after fewer the rule weighs half
_NAMES_OF_A_COLLECTOR = 3  # an account known under so many names collects for others: another name says nothing
_OTHER_COUNTRY = 10  # added where the new account is in another country


def details(case: Case) -> Iterator[Finding]:
    """What stands against the creditor's account and name."""
    if not case.past.creditor_account:
        return
    yield from _account(case)
    yield from _name(case)


def _account(case: Case) -> Iterator[Finding]:
    account, weights = case.past.creditor_account, case.settings.weights
    known = case.own_or_all(one for rows in case.name.accounts().values() for one in rows)
    if not known or any(one.past.creditor_account == account for one in known):
        return
    by_account: dict[str, list[Seen]] = {}
    for one in sorted(known, key=lambda one: one.key):
        by_account.setdefault(one.past.creditor_account, []).append(one)
    near = [(other, rows) for other, rows in by_account.items() if accounts_near(account, other)]
    used, rows = max(near or by_account.items(), key=lambda item: item[1][-1].key)
    told_en, told_zh, facts = _told(case, used, rows)
    if near and weights.near_account:
        yield found(
            "near-account",
            weights.near_account,
            f"the account differs in a character or two from the one known of this creditor; {told_en}",
            f"收款账号与该收款人的已知账号仅差一两个字符；{told_zh}",
            **facts,
        )
    elif weights.changed_account:
        abroad = bool(rows[-1].past.creditor_country) and rows[-1].past.creditor_country != case.past.creditor_country
        other_bank = abroad or bank_of_account(account) != bank_of_account(used)
        where_en = ", in another country" if abroad else ", at another bank" if other_bank else ""
        where_zh = "，且位于其他国家" if abroad else "，且属于其他银行" if other_bank else ""
        score = weights.changed_account if len(known) >= _FIRM else weights.changed_account // 2
        yield found(
            "changed-account",
            min(100, score + (_OTHER_COUNTRY if abroad else 0)),
            f"a known creditor with a new account{where_en}; {told_en}",
            f"已知收款人使用了新账号{where_zh}；{told_zh}",
            **facts,
        )


def _told(case: Case, used: str, rows: list[Seen]) -> tuple[str, str, dict[str, str]]:
    """What may be told of the account known so far: of another caller's payments, that there are some."""
    facts = {"creditor_account": masked_number(case.past.creditor_account)}
    if rows[-1].past.caller != case.subject.caller:
        return "another caller paid it elsewhere", "其他调用方曾向该收款人的另一账号付款", facts
    since, last = rows[0].past.submitted_at.date(), rows[-1].past.submitted_at.date()
    facts |= {
        "known_account": masked_number(used),
        "payments": str(len(rows)),
        "first": since.isoformat(),
        "last": last.isoformat(),
    }
    return f"the old one was paid {_times_en(len(rows))} since {since}", f"原账号自 {since} 起已付款 {len(rows)} 次", facts


def _name(case: Case) -> Iterator[Finding]:
    weight, name = case.settings.weights.other_name, case.seen.name
    known = case.own_or_all(case.creditor.accounts().get(case.past.creditor_account, ()))
    names = {one.name for one in known}
    if not weight or len(known) < _FIRM or len(names) >= _NAMES_OF_A_COLLECTOR or not names:
        return
    if all(names_differ(name, other) for other in names):
        yield found(
            "other-name",
            weight,
            "the account is known under quite another name",
            "该账号此前付款使用的是完全不同的户名",
            creditor_account=masked_number(case.past.creditor_account),
        )


def _times_en(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
