"""What is judged of the plugin itself: its shape, its routes, its purity, its exemptions; and the rules of the card."""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from formats.bank import BankFormat
from formats.checks import is_currency
from formats.conformance.card import EXEMPT_FILE, CardRule, Case, Found, many
from formats.conformance.generated import judge_check_then_render
from formats.conformance.guards import watched
from formats.conformance.hearing import judge_hears
from formats.conformance.inbound import judge_golden_values, judge_mutants, judge_samples_read, judge_unknown_status
from formats.conformance.outbound import (
    golden,
    judge_bad_samples,
    judge_deterministic,
    judge_golden_bytes,
    judge_samples_sent,
    judge_schema,
    judge_totals,
    judge_unknown_message,
    rendered,
    violations_of,
)
from formats.conformance.samples import Problem
from formats.dialogue import DialogueBank
from formats.errors import Unparsable, Unrenderable
from formats.exchange import read_exchange

_NAME = re.compile(r"[a-z][a-z0-9_]{1,40}")


def judge_shape(case: Case) -> Found:
    """The plugin has the shape of a bank, and what it says of itself is possible."""
    bank: object = case.bank  # whatever the plugin calls BANK
    if not isinstance(bank, BankFormat):
        direction = "Give BANK name, capabilities, check, render and parse (formats.bank.BankFormat)."
        return Found(looked_at="", problems=(Problem(place=case.plugin, problem="BANK is no bank.", direction=direction),))
    faults = tuple(Problem(place=case.plugin, problem=problem, direction=way) for problem, way in _faults(bank))
    return Found(looked_at="name, versions and their days, currencies, time zone", problems=faults)


def _faults(bank: BankFormat) -> Iterator[tuple[str, str]]:
    can = bank.capabilities
    if not _NAME.fullmatch(bank.name):
        yield f"the name {bank.name!r} does not fit.", "Begin with a small letter; go on with small letters, digits and _."
    if not can.sends and not can.reads:
        yield (
            "the bank neither takes nor sends anything.",
            "Say in capabilities.sends which messages and versions it takes, and in capabilities.reads which it sends back.",
        )
    for message, validity in can.sends.items():
        if validity.valid_from and validity.valid_until and validity.valid_from > validity.valid_until:
            yield f"{message} ends before it begins.", "Correct its Validity in capabilities.sends."
    for currency in sorted(can.currencies or ()):
        if not is_currency(currency):
            yield f"{currency!r} is no currency.", "Correct capabilities.currencies (ISO 4217), or None for any."
    if can.currencies is not None and not can.currencies:
        yield "no currency is taken.", "Name the currencies in capabilities.currencies, or None for any."
    if can.transfers_max < 1 or can.horizon_days < 0:
        yield "transfers_max and horizon_days are numbers of payments and of days.", "Correct them in capabilities."
    try:
        ZoneInfo(can.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        yield f"{can.time_zone!r} is no time zone.", 'Write capabilities.time_zone as in "Europe/Berlin".'


def judge_samples(case: Case) -> Found:
    """Every file in the samples' folder can be used, and none waits to be read."""
    samples = case.samples
    files = len(samples.requests) + len(samples.inbound) + len(samples.bad)
    return Found(looked_at=many(files, "sample"), problems=samples.problems)


def judge_routes(case: Case) -> Found:
    """Each kind of message has a route: all the channel's default one, or every one its own."""
    can = case.bank.capabilities
    kinds = (*can.sends, *can.reads)
    if not can.routes:
        return Found(looked_at=f"{many(len(kinds), 'kind')} over the channel's default route")
    problems = [
        Problem(
            place=case.plugin,
            problem=f"{kind} has no route.",
            direction="Add it to capabilities.routes; where routes are named, each kind has one.",
            subject=kind,
        )
        for kind in kinds
        if not any(kind == route or kind.startswith(f"{route}.") for route in can.routes)
    ]
    problems += [
        Problem(
            place=case.plugin,
            problem=f"a route is said for {route}, which the bank neither takes nor sends.",
            direction="Delete it from capabilities.routes, or add the kind to sends or reads.",
            subject=route,
        )
        for route in can.routes
        if not any(kind == route or kind.startswith(f"{route}.") for kind in kinds)
    ]
    return Found(
        looked_at=f"{many(len(kinds), 'kind')} over {many(len(set(can.routes.values())), 'route')}", problems=tuple(problems)
    )


def judge_pure(case: Case) -> Found:
    """check, render and parse touch no clock, chance, file, network or environment (formats.conformance.guards says how sound
    that is)."""
    _everything(case)  # what is loaded once at first use is loaded now
    with watched() as seen:
        count = _everything(case)
    direction = (
        f"Take it out of {case.plugin}: what it needs comes in with the payment or the file. The same input, the same output."
    )
    problems = tuple(
        Problem(place=case.plugin, problem=f"the outside world is touched: {what}.", direction=direction) for what in seen
    )
    if not count:
        nothing = "there is no sample to run under watch."
        problems = (Problem(place="requests/", problem=nothing, direction="Write samples first (samples-sent, samples-read)."),)
    return Found(looked_at=f"{many(count, 'call')} under watch", problems=problems)


def _everything(case: Case) -> int:
    """Calls the plugin with every sample, and says how often."""
    count = 0
    for request, message, _ in golden(case):
        count += 2
        violations_of(case, request, message)
        with suppress(Unrenderable):
            rendered(case, request.payments, message, request)
    for bad in case.samples.bad:
        count += 1
        violations_of(case, bad, bad.message)
    for sample in case.samples.inbound:
        count += 1
        with suppress(Unparsable):
            list(case.bank.parse(io.BytesIO(sample.content)))
            if isinstance(case.bank, DialogueBank):
                case.bank.hear(read_exchange(io.BytesIO(sample.content)))
    return count


def judge_exemptions(case: Case) -> Found:
    """Every exemption names a rule of the card and gives its reason; that it is needed is looked at by the rule itself."""
    known = {rule.id for rule in RULES}
    problems = tuple(
        Problem(
            place=EXEMPT_FILE,
            problem=f"{rule} is no rule one can be exempt from.",
            direction=f"The rules are: {', '.join(sorted(known - ALWAYS))}.",
        )
        for rule in case.samples.exempt
        if rule not in known - ALWAYS
    )
    return Found(looked_at=f"{len(case.samples.exempt)} declared", problems=problems)


ALWAYS: Final = frozenset({"shape", "samples", "exemptions"})
"""Rules nobody is exempt from."""

RULES: Final = (
    CardRule(id="shape", title_en="It is a bank", title_zh="插件结构正确", judge=judge_shape),
    CardRule(id="samples", title_en="Samples are in order", title_zh="样例文件齐整", judge=judge_samples),
    CardRule(
        id="samples-sent", title_en="A sample for each message sent", title_zh="每种发送报文都有样例", judge=judge_samples_sent
    ),
    CardRule(
        id="samples-read", title_en="A sample for each kind read", title_zh="每种接收报文都有样例", judge=judge_samples_read
    ),
    CardRule(id="routes", title_en="A route for each kind", title_zh="每种报文都有传输路由", judge=judge_routes),
    CardRule(
        id="golden-bytes",
        title_en="Requests become the expected bytes",
        title_zh="生成的报文与预期逐字节一致",
        judge=judge_golden_bytes,
    ),
    CardRule(
        id="golden-values", title_en="Files give the expected records", title_zh="读出的记录与预期一致", judge=judge_golden_values
    ),
    CardRule(id="deterministic", title_en="Same message, same bytes", title_zh="相同输入得到相同字节", judge=judge_deterministic),
    CardRule(id="schema", title_en="Messages keep to their schema", title_zh="报文符合官方 XSD", judge=judge_schema),
    CardRule(id="totals", title_en="Counts, sums and accounts re-read", title_zh="独立复核笔数、金额和账号", judge=judge_totals),
    CardRule(
        id="bad-samples", title_en="What the bank refuses is caught", title_zh="银行会拒绝的付款被拦下", judge=judge_bad_samples
    ),
    CardRule(
        id="unknown-message",
        title_en="Other messages are refused",
        title_zh="拒绝银行不接受的报文版本",
        judge=judge_unknown_message,
    ),
    CardRule(
        id="check-then-render",
        title_en="What check takes, render writes",
        title_zh="通过检查的付款都能生成合规报文",
        judge=judge_check_then_render,
    ),
    CardRule(
        id="unknown-status", title_en="Unknown status stays pending", title_zh="未知状态码保持待定", judge=judge_unknown_status
    ),
    CardRule(
        id="mutants", title_en="Broken files raise only Unparsable", title_zh="损坏的文件只引发 Unparsable", judge=judge_mutants
    ),
    CardRule(id="hears", title_en="What proves nothing is unknown", title_zh="不能证明结果的回复一律视为未知", judge=judge_hears),
    CardRule(id="pure", title_en="No clock, chance, file or network", title_zh="不读时钟、随机数、文件和网络", judge=judge_pure),
    CardRule(id="exemptions", title_en="Exemptions are known rules", title_zh="豁免项均为已知规则", judge=judge_exemptions),
)
"""The card, in the order in which a bank is added."""
