"""What each kind of rule says of a payment that it is about."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from formats.model import Account
from formats.rules.places import creditor_country
from gateway.masking import masked_number
from gateway.policy.conditions import Case, added, converted
from gateway.policy.document import ApprovalChain, Asking, Automatic, Limit, Restriction, Rule, Step, Velocity
from gateway.policy.known import UsageKey, Used
from gateway.policy.subject import account_key
from gateway.policy.texts import Figures, Words, figures, joined, money, ordinal, per_words, period_words, steps_words
from gateway.policy.verdict import ApprovalStep, Finding, Outcome

RECHECK: Final = ("recheck", "yes")
"""The fact of a finding whose approvers must still be approvers when the chain completes."""

LIST_PREFIX: Final = "list:"

_OUTCOMES: Final = {"approval": Outcome.APPROVAL, "hold": Outcome.HOLD, "block": Outcome.BLOCK}
_MISSING: Final[dict[str, Words]] = {
    "creditor_account": ("the creditor's account", "收款账户"),
    "debtor_account": ("the debtor's account", "付款账户"),
    "caller": ("the caller", "调用方"),
    "connection": ("the connection", "连接"),
}

Facts = tuple[tuple[str, str], ...]


def limit_finding(case: Case, limit: Limit, used: Sequence[tuple[UsageKey, Used]], lacks: str | None) -> Iterator[Finding]:
    """`used`: the totals without this payment, each in its own currency."""
    rates = case.document.rates if limit.convert else None
    transfer = case.subject.transfer
    amount = converted(transfer.amount, transfer.currency, limit.currency, rates)
    if amount is None:
        if limit.convert:
            yield from no_rate_findings(case, limit, limit.steps)
        return
    if lacks is not None:
        yield from _lacking(case, limit, lacks)
        return
    before = [converted(one.amount, key.currency, limit.currency, rates) for key, one in used]
    total = added(amount, *(one for one in before if one is not None))
    if total <= limit.amount:
        return
    shown, most = money(total, limit.currency), money(limit.amount, limit.currency)
    facts: Facts = (("limit", most), ("total", shown), ("amount", money(transfer.amount, transfer.currency)))
    if rates is not None:
        facts += (("rates of", rates.date.isoformat()),)
    if limit.period == "payment":
        given = figures(amount=money(transfer.amount, transfer.currency), limit=most, total=shown)
        text = (f"{shown} is more than the {most} that a single payment may have", f"单笔 {shown}，超过单笔限额 {most}")
    else:
        when, of = period_words(limit.period, case.subject.submitted_at, case.now, case.zone), per_words(limit.per)
        facts += (("period", when[0]),)
        given = figures(amount=money(transfer.amount, transfer.currency), limit=most, total=shown, period=when, per=of)
        text = (
            f"{joined(shown, of[0], when[0], 'with this payment')}, the limit is {most}",
            f"含本笔，{of[1]}{when[1]}合计 {shown}，限额为 {most}",
        )
    yield _stopped(case, limit, given, text, facts)


def velocity_finding(case: Case, velocity: Velocity, count: int, lacks: str | None) -> Iterator[Finding]:
    """`count`: the payments before this one."""
    if lacks is not None:
        yield from _lacking(case, velocity, lacks)
        return
    number = count + 1
    if number < velocity.nth:
        return
    when = period_words(velocity.period, case.subject.submitted_at, case.now, case.zone)
    place = ordinal(number)
    new = velocity.when.beneficiary == ("new",)
    if new and velocity.per == ("creditor_account",):
        text = (f"{place[0]} payment to a new beneficiary {when[0]}", f"{when[1]}{place[1]}付给同一新收款人的付款")
    else:
        of = per_words(velocity.per)
        kind = ("to new beneficiaries", "付给新收款人的") if new else ("", "")
        text = (
            joined(f"{place[0]} payment", kind[0], of[0], when[0]),
            f"{of[1]}{'，' if of[1] else ''}{when[1]}{place[1]}{kind[1]}付款",
        )
    given = figures(count=str(number), ordinal=place, period=when, per=per_words(velocity.per), limit=str(velocity.nth))
    facts: Facts = (("count", str(number)), ("from", str(velocity.nth)), ("period", when[0]))
    yield _stopped(case, velocity, given, text, facts)


def restriction_finding(case: Case, restriction: Restriction) -> Iterator[Finding]:
    """Nothing if the payment has what is allowed, or has not what is forbidden. What is not known may be forbidden: held."""
    value, unknown = _looked_at(case, restriction.what)
    name = _WHAT[restriction.what]
    secret = restriction.what == "creditor_account"  # no number, not even its end, in what everybody may read
    shown: Words = ("", "") if secret else (" unknown", "不明") if unknown else (f" {value}", f" {value} ")
    facts: Facts = ((restriction.what, masked_number(value) if secret else value),)
    if unknown and restriction.forbidden is not None:
        yield from _undecided(
            case, restriction, (f"{name[0]} is not known, and some are forbidden", f"{name[1]}不明，而有的被禁止"), ()
        )
        return
    named = restriction.allowed if restriction.allowed is not None else restriction.forbidden or ()
    inside = any(_is(case, restriction.what, value, one) for one in named)
    if inside == (restriction.allowed is not None):
        return
    listed = (f": {', '.join(named)}", f"：{'、'.join(named)}") if restriction.what == "hours" else ("", "")
    if restriction.allowed is not None:
        text = (f"{name[0]}{shown[0]} is not among those allowed{listed[0]}", f"{name[1]}{shown[1]}不在允许范围内{listed[1]}")
    else:
        text = (f"{name[0]}{shown[0]} is forbidden{listed[0]}", f"{name[1]}{shown[1]}被禁止{listed[1]}")
    yield _stopped(case, restriction, figures(value=(shown[0].strip(), shown[1].strip()), amount=_amount(case)), text, facts)


def chain_finding(case: Case, chain: ApprovalChain) -> Finding:
    """The approvals that the chain asks for."""
    steps = _steps(chain.steps)
    words = steps_words(steps)
    text = _texts(chain, figures(steps=words, amount=_amount(case)), (f"needs approval: {words[0]}", f"需审批：{words[1]}"))
    facts: Facts = (RECHECK,) if chain.recheck else ()
    return _finding(case, chain, Outcome.APPROVAL, text, facts, steps)


def automatic_finding(case: Case, automatic: Automatic) -> Finding:
    """Says why nobody was asked."""
    text = _texts(automatic, figures(amount=_amount(case)), ("within the bounds of automatic approval", "在自动审批范围内"))
    return _finding(case, automatic, Outcome.PASS, text)


def default_finding(case: Case) -> Finding:
    """Of what no rule lets through."""
    document = case.document
    steps = _steps(document.default_steps)
    if document.default == "approval":
        words = steps_words(steps)
        text = (f"no rule lets it through by itself; needs approval: {words[0]}", f"无规则可自动放行；需审批：{words[1]}")
    else:
        text = ("no rule lets it through by itself", "无规则可自动放行")
    return Finding(
        rule=document.default_rule,
        version=document.version,
        outcome=_OUTCOMES[document.default],
        text_en=text[0],
        text_zh=text[1],
        steps=steps,
    )


def no_rate_findings(case: Case, rule: Rule, steps: Sequence[Step]) -> Iterator[Finding]:
    """An amount that cannot be compared holds the payment: taking it for small would be a guess. Who would have to approve it if
    it were large has to approve it all the same."""
    currency = case.subject.transfer.currency
    english = f"the policy has no rate for {currency}, so its amount cannot be judged"
    yield from _undecided(case, rule, (english, f"策略中没有 {currency} 的汇率，无法判断金额"), steps)


def _lacking(case: Case, rule: Asking, dimension: str) -> Iterator[Finding]:
    name = _MISSING[dimension]
    yield from _undecided(
        case, rule, (f"{name[0]} is not named, so its total cannot be kept", f"未写明{name[1]}，无法累计"), rule.steps
    )


def _undecided(case: Case, rule: Rule, text: Words, steps: Sequence[Step]) -> Iterator[Finding]:
    yield _finding(case, rule, Outcome.HOLD, text, (("amount", _amount(case)),))
    if steps:
        asked = _steps(steps)
        words = steps_words(asked)
        text = (f"{text[0]}; needs approval: {words[0]}", f"{text[1]}；需审批：{words[1]}")
        recheck: Facts = (RECHECK,) if getattr(rule, "recheck", False) else ()
        yield _finding(case, rule, Outcome.APPROVAL, text, recheck, steps=asked)


def _stopped(case: Case, rule: Asking, given: Figures, usual: Words, facts: Facts) -> Finding:
    """What the rule asks for, with its own words or the usual ones."""
    steps = _steps(rule.steps)
    words = steps_words(steps)
    if steps:
        usual = (f"{usual[0]}; needs approval: {words[0]}", f"{usual[1]}；需审批：{words[1]}")
    given = Figures(english={**given.english, "steps": words[0]}, chinese={**given.chinese, "steps": words[1]})
    return _finding(
        case,
        rule,
        _OUTCOMES[rule.outcome],
        _texts(rule, given, usual),
        facts + ((RECHECK,) if rule.recheck else ()),
        steps,
    )


def _finding(  # noqa: PLR0917 - the parts of a finding
    case: Case, rule: Rule, outcome: Outcome, text: Words, facts: Facts = (), steps: tuple[ApprovalStep, ...] = ()
) -> Finding:
    version = case.document.version
    return Finding(rule=rule.id, version=version, outcome=outcome, text_en=text[0], text_zh=text[1], facts=facts, steps=steps)


def _texts(rule: Rule, given: Figures, usual: Words) -> Words:
    """The rule's own texts, filled in; the usual one for a language in which it has none."""
    english, chinese = given.filled(rule.text_en or "", rule.text_zh or "")
    return english or usual[0], chinese or usual[1]


def _steps(steps: Sequence[Step]) -> tuple[ApprovalStep, ...]:
    return tuple(ApprovalStep(group=step.group, count=step.count) for step in steps)


def _amount(case: Case) -> str:
    return money(case.subject.transfer.amount, case.subject.transfer.currency)


_What = Literal["currency", "country", "creditor_account", "charge_bearer", "hours"]
_WHAT: Final[dict[str, Words]] = {
    "currency": ("currency", "币种"),
    "country": ("creditor's country", "收款国家"),
    "creditor_account": ("the creditor's account", "收款账户"),
    "charge_bearer": ("charge bearer", "费用承担方式"),
    "hours": ("time of submission", "提交时间"),
}


def _looked_at(case: Case, what: _What) -> tuple[str, bool]:
    """The value a restriction looks at, and whether it is not known."""
    subject = case.subject
    match what:
        case "currency":
            value = subject.transfer.currency
        case "country":
            value = creditor_country(subject.transfer) or ""
        case "creditor_account":
            value = subject.creditor_account
        case "charge_bearer":
            # Left out, the bank's own default applies (ISO 20022, ChargeBearer): it is not known which.
            value = subject.terms.charge_bearer or ""
        case "hours":
            value = f"{subject.submitted_at.astimezone(case.zone):%H:%M}"
    return value, not value


def _is(case: Case, what: _What, value: str, named: str) -> bool:
    """Whether a value is one that is named: itself, on a list, or within hours."""
    if what == "hours":
        begins, ends = named.split("-")
        return begins <= value < ends
    if what == "creditor_account":
        if named.startswith(LIST_PREFIX):
            return value in case.document.lists[named.removeprefix(LIST_PREFIX)].members
        return value == account_key(Account(other_id=named))
    return value == named
