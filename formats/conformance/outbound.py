"""What is judged of a bank's way out: samples, golden bytes, schema, totals, refusals."""

import io
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from lxml import etree

from formats.bank import Validity
from formats.conformance.card import Case, Found, many
from formats.conformance.folder import WARNING
from formats.conformance.requests import SamplePayment, initiation_of
from formats.conformance.samples import BadSample, Problem, RequestSample, bank_for, expected_file
from formats.conformance.values import value_faults
from formats.dialogue import DialogueBank
from formats.errors import Unrenderable, Violation, refusing
from formats.rules.together import EndToEndIds
from formats.schemas import MESSAGES, SchemaViolation, validate_outbound
from formats.schemas_pieces import hardened_parser

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_OWN_FORM = "the bank has a form of its own and no schema of it; golden-bytes holds its order, totals its values"
_SENDS_NOTHING = "the bank takes no messages (capabilities.sends is empty)"
UNKNOWN_MESSAGE = "pain.001.001.99"  # no version of ISO 20022, today or soon

_FIRST_REQUEST = (
    'Write requests/plain.json: {"payments": [ … ]} with an everyday payment of this bank, in the words of SubmitPaymentsRequest'
    " (docs/add-a-bank.md, step 3, has one)."
)


def rendered(case: Case, payments: Sequence[SamplePayment], message: str, sample: RequestSample) -> bytes:
    """What the plugin makes of a sample. Raises `Unrenderable`."""
    out = io.BytesIO()
    bank_for(case.bank, sample.settings).render(initiation_of(payments, message, sample.on), out)
    return out.getvalue()


def golden(case: Case) -> Iterator[tuple[RequestSample, str, bytes]]:
    """Every request with each of its expected messages."""
    for request in case.samples.requests:
        for message, expected in request.expected.items():
            yield request, message, expected


def _renderings(case: Case) -> Iterator[tuple[RequestSample, str, bytes]]:
    """Every golden sample as the plugin renders it today; what it refuses is the business of `judge_golden_bytes`."""
    for request, message, _ in golden(case):
        try:
            yield request, message, rendered(case, request.payments, message, request)
        except Unrenderable:
            continue


def violations_of(case: Case, sample: RequestSample | BadSample, message: str | None) -> list[tuple[int, Violation]]:
    """Every rule the payments of a sample break, alone and together, with the place of the payment."""
    bank = bank_for(case.bank, sample.settings)
    ids = EndToEndIds(bank.capabilities.repeated_end_to_end_ids)
    found = []
    for index, payment in enumerate(sample.payments):
        broken = bank.check(payment.terms, payment.transfer, sample.on, message)
        found += [(index, violation) for violation in broken]
        repeated = ids.add(payment.transfer.end_to_end_id, index)
        found += [(index, repeated)] if repeated is not None else []
    return found


def refused(case: Case, request: RequestSample, message: str) -> list[tuple[int, Violation]]:
    """The rules for which the payments of a request are not taken in a message."""
    return [(index, violation) for index, violation in violations_of(case, request, message) if refusing((violation,))]


def unsaid(case: Case) -> list[tuple[RequestSample | None, str]]:
    """What no golden sample shows yet: messages the bank takes, each with the request that could show it (None: there is none),
    then requests that show nothing, each in the default message of its day."""
    sends, requests = case.bank.capabilities.sends, case.samples.requests
    found: list[tuple[RequestSample | None, str]] = []
    for message, validity in sends.items():
        fitting = [request for request in requests if validity.covers(request.on)]
        if not any(message in request.expected for request in fitting):
            taken = [request for request in fitting if not refused(case, request, message)]
            found.append((max(taken or fitting, key=lambda request: request.on, default=None), message))
    planned = [request for request, _ in found]
    for request in requests:
        own = bank_for(case.bank, request.settings).capabilities.sends
        default = next((message for message, validity in own.items() if validity.covers(request.on)), None)
        if not request.expected and request not in planned and default is not None:
            found.append((request, default))
    return found


def judge_samples_sent(case: Case) -> Found:
    """A request with its expected bytes for each message the bank takes, and expected bytes for each request."""
    sends = case.bank.capabilities.sends
    problems = []
    for request, message in unsaid(case):
        validity = sends.get(message, Validity())
        if request is not None and (broken := refused(case, request, message)):
            problems.append(_refused(request, message, broken))
            continue
        if request is not None:
            place = expected_file(request, message)
            direction = (
                f"Run `bankgate banks propose {case.bank.name}`, read {place}.proposed against the bank's guide,"
                f" then rename it to {place}."
            )
        elif case.samples.requests:
            place = "requests/"
            days = f"from {validity.valid_from or 'ever'} until {validity.valid_until or 'ever'}"
            direction = f"Add a request with a requested_execution_date on which the bank takes it ({days})."
        else:
            place, direction = "requests/plain.json", _FIRST_REQUEST
        problem = f"no sample shows how this bank wants {message}."
        problems.append(Problem(place=place, problem=problem, direction=direction, subject=message))
    if not sends:
        return Found(looked_at="", not_applicable=_SENDS_NOTHING)
    return Found(
        looked_at=f"{many(len(sends), 'message')}, {many(len(case.samples.requests), 'request')}", problems=tuple(problems)
    )


def judge_golden_bytes(case: Case) -> Found:
    """Each request passes the bank's own check and becomes exactly the expected bytes."""
    problems = []
    count = 0
    for request, message, expected in golden(case):
        count += 1
        if broken := refused(case, request, message):
            problems.append(_refused(request, message, broken))
            continue
        try:
            found = rendered(case, request.payments, message, request)
        except Unrenderable as error:
            problems.append(_refused(request, message, [(0, violation) for violation in error.violations]))
            continue
        if found != expected:
            problems.append(
                Problem(
                    place=expected_file(request, message, expected),
                    problem=_difference(expected, found),
                    direction=(
                        f"If the bank's guide agrees with the new bytes, run `bankgate banks propose {case.bank.name}` and take"
                        f" them over; if not, repair {case.plugin}."
                    ),
                    subject=message,
                )
            )
    return _over_samples(case, f"{many(count, 'file')}, byte for byte", count, problems)


def _over_samples(case: Case, looked_at: str, count: int, problems: Sequence[Problem]) -> Found:
    """What was found over golden samples; without any, that is the problem."""
    if not case.bank.capabilities.sends:
        return Found(looked_at="", not_applicable=_SENDS_NOTHING)
    if not count and next(golden(case), None):
        direction = "Repair what golden-bytes tells first."
        nothing = Problem(place="expected/", problem="the plugin renders none of its samples.", direction=direction)
        return Found(looked_at="", problems=(nothing,))
    if not count:
        direction = f"Run `bankgate banks propose {case.bank.name}`, read, rename." if case.samples.requests else _FIRST_REQUEST
        nothing = Problem(place="expected/", problem="there is no expected message to judge by.", direction=direction)
        return Found(looked_at="", problems=(nothing,))
    return Found(looked_at=looked_at, problems=tuple(problems))


def _refused(request: RequestSample, message: str, broken: Sequence[tuple[int, Violation]]) -> Problem:
    told = "; ".join(
        f"payments[{index}].{violation.field}: {violation.message_en} [{violation.rule}]" for index, violation in broken[:5]
    )
    return Problem(
        place=request.file,
        problem=f"the plugin refuses it in {message} on {request.on}: {told}.",
        direction="Correct the sample, or the plugin's rules. A sample that is meant to be refused belongs into bad/.",
        subject=message,
        violations=tuple(broken),
    )


def _difference(expected: bytes, found: bytes) -> str:
    """The first place at which two files differ."""
    at = next((place for place, (one, other) in enumerate(zip(expected, found, strict=False)) if one != other), None)
    at = min(len(expected), len(found)) if at is None else at
    line = expected.count(b"\n", 0, at) + 1
    charset = "utf-8" if _is_utf8(expected) else "gb18030"

    def around(text: bytes) -> str:
        return text[max(at - 20, 0) : at + 40].decode(charset, "replace").replace("\n", "⏎") or "(end)"

    return f"line {line}, byte {at}: expected …{around(expected)}…, rendered …{around(found)}…."


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def judge_deterministic(case: Case) -> Found:
    """The same message gives the same bytes, however often; that another process gives them too, the golden files show."""
    problems = []
    count = 0
    for request, message, first in _renderings(case):
        count += 1
        if rendered(case, request.payments, message, request) != first:
            direction = f"Find what changes between two calls in {case.plugin}: a counter, a set's order, a clock."
            problems.append(
                Problem(place=request.file, problem=f"two renderings in {message} differ.", direction=direction, subject=message)
            )
    return _over_samples(case, f"{many(count, 'message')} rendered twice", count, problems)


def judge_schema(case: Case) -> Found:
    """What is rendered keeps to the official schema."""
    if isinstance(case.bank, DialogueBank):
        return Found(looked_at="", not_applicable=_OWN_FORM)
    problems = []
    count = 0
    for request, message, document in _renderings(case):
        count += 1
        fault = schema_fault(document, message)
        direction = f"Repair the rendering in {case.plugin}, or add the rule to it that refuses such a payment."
        if message not in MESSAGES:
            fault = f"there is no official schema of {message} at hand"
            direction = 'Say in exempt.toml how it is held to its form instead: [schema] MESSAGE = "…".'
        if fault:
            problems.append(
                Problem(place=expected_file(request, message), problem=f"{fault}.", direction=direction, subject=message)
            )
    return _over_samples(case, many(count, "message"), count, problems)


def schema_fault(document: bytes, message: str) -> str:
    """How a rendered message breaks its official schema; empty where it keeps to it, or has none."""
    if message not in MESSAGES:
        return ""
    try:
        validate_outbound(io.BytesIO(document), message)
    except SchemaViolation as error:
        return "; ".join(str(problem) for problem in error.problems[:3])
    return ""


def judge_totals(case: Case) -> Found:
    """Counts, sums, and of each payment id, amount, currency, day and both accounts, read back by XPath and not by our reader; of
    banks with a form of their own each payment's amount, accounts and name as whole values."""
    problems = []
    count = 0
    for request, message, document in _renderings(case):
        count += 1
        if isinstance(case.bank, DialogueBank):
            for fault in value_faults(document, request.payments):
                direction = f"Repair the rendering in {case.plugin}: the bank would pay what was not asked for."
                place = expected_file(request, message, document)
                problems.append(Problem(place=place, problem=fault, direction=direction, subject=message))
            continue
        if not message.startswith("pain.001."):
            problems.append(
                Problem(
                    place=expected_file(request, message),
                    problem=f"there is no independent reading of {message} here.",
                    direction='Compare counts and sums by hand, and say so in exempt.toml: [totals] MESSAGE = "…".',
                    subject=message,
                )
            )
            continue
        for fault in total_faults(document, request.payments, message, request):
            direction = f"Repair the rendering in {case.plugin}: a bank refuses the file, or pays what was not asked for."
            problems.append(Problem(place=expected_file(request, message), problem=fault, direction=direction, subject=message))
    how = "by their values" if isinstance(case.bank, DialogueBank) else "by XPath"
    return _over_samples(case, f"{many(count, 'message')}, {how}", count, problems)


def total_faults(document: bytes, payments: Sequence[SamplePayment], message: str, sample: RequestSample) -> Iterator[str]:
    """Where a rendered pain.001 says something else than the payments."""
    root = etree.fromstring(document, hardened_parser())
    blocks = initiation_of(payments, message, sample.on).blocks
    transactions = _nodes(root, "//PmtInf/CdtTrfTxInf")
    asked = [(block.terms, transfer) for block in blocks for transfer in block.transfers()]
    yield from _compared("GrpHdr/NbOfTxs", _text(root, "//GrpHdr/NbOfTxs"), str(len(asked)))
    yield from _sum("GrpHdr/CtrlSum", _text(root, "//GrpHdr/CtrlSum"), [transfer.amount for _, transfer in asked])
    for number, (block, element) in enumerate(zip(blocks, _nodes(root, "//PmtInf"), strict=False), start=1):
        amounts = [transfer.amount for transfer in block.transfers()]
        for tag, expected in (("NbOfTxs", str(len(amounts))), ("CtrlSum", None)):
            text = _text(element, f"./{tag}")
            if text is not None:  # both are optional in a block
                place = f"PmtInf[{number}]/{tag}"
                yield from _sum(place, text, amounts) if expected is None else _compared(place, text, expected)
    yield from _compared("number of PmtInf", str(len(_nodes(root, "//PmtInf"))), str(len(blocks)))
    yield from _compared("number of CdtTrfTxInf", str(len(transactions)), str(len(asked)))
    for number, ((terms, transfer), element) in enumerate(zip(asked, transactions, strict=False), start=1):
        account, debtor = transfer.creditor_account, terms.debtor_account
        expectations = {
            "./PmtId/EndToEndId": transfer.end_to_end_id,
            "./Amt/InstdAmt/@Ccy": transfer.currency,
            "./CdtrAcct/Id/IBAN": account.iban if account else None,
            "./CdtrAcct/Id/Othr/Id": account.other_id if account else None,
            "../DbtrAcct/Id/IBAN": debtor.iban,
            "../DbtrAcct/Id/Othr/Id": debtor.other_id,
            "../ReqdExctnDt": terms.requested_execution_date.isoformat(),
        }
        for path, value in expectations.items():
            yield from _compared(f"CdtTrfTxInf[{number}] {path.removeprefix('./')}", _text(element, path), value)
        yield from _sum(f"CdtTrfTxInf[{number}] Amt/InstdAmt", _text(element, "./Amt/InstdAmt"), [transfer.amount])


def _nodes(element: etree._Element, path: str) -> list[etree._Element]:
    """The elements at a path of bare names, whatever their namespace."""
    expression = _NAME.sub(lambda name: f"*[local-name()='{name[0]}']", path)
    found = element.xpath(expression)
    return [node for node in found if isinstance(node, etree._Element)] if isinstance(found, list) else []


def _text(element: etree._Element, path: str) -> str | None:
    """The text at a path, that of its children joined (a date stands in a child in newer versions); None if nothing is there."""
    path, _, attribute = path.partition("/@")
    found = _nodes(element, path)
    if not found:
        return None
    return str(found[0].get(attribute)) if attribute else "".join(map(str, found[0].itertext())).strip()


def _compared(place: str, found: str | None, expected: str | None) -> Iterator[str]:
    if found != expected:
        yield f"{place} says {found or 'nothing'}, and the payment {expected or 'nothing'}."


def _sum(place: str, found: str | None, amounts: Sequence[Decimal]) -> Iterator[str]:
    total = sum(amounts, Decimal(0))
    try:
        same = found is not None and Decimal(found) == total
    except InvalidOperation:
        same = False
    if not same:
        yield f"{place} says {found or 'nothing'}, and the amounts add up to {total:f}."


def findings(found: Sequence[tuple[int, Violation]]) -> list[tuple[str, ...]]:
    """Violations as the .rules file of a bad sample says them: field with its payment, rule, and "warning" where it is one."""
    return [
        (f"payments[{index}].{violation.field}".rstrip("."), violation.rule, *([WARNING] * (not refusing((violation,)))))
        for index, violation in found
    ]


def judge_bad_samples(case: Case) -> Found:
    """Payments the bank refuses are caught, by exactly the rules that are said."""
    if not case.bank.capabilities.sends:
        return Found(looked_at="", not_applicable=_SENDS_NOTHING)
    problems = []
    for sample in case.samples.bad:
        found = violations_of(case, sample, sample.message)
        names = sorted(findings(found))
        file = sample.file.removesuffix(".json") + ".rules"
        if not refusing(violation for _, violation in found):
            direction = f"Add the rule that refuses it to {case.plugin}, or move the sample to requests/."
            problems.append(Problem(place=sample.file, problem="the plugin takes it.", direction=direction))
        elif sample.expected is None:
            told = ", ".join(map(" ".join, names))
            direction = f"Write into {file}, a line each, what the bank says to it; the plugin finds: {told}."
            problems.append(Problem(place=file, problem="does not say which rules the sample breaks.", direction=direction))
        elif sorted(sample.expected) != names:
            problems.append(_other_rules(case, file, sorted(sample.expected), names, found))
    if not case.samples.bad:
        problems.append(
            Problem(
                place="bad/",
                problem="there is no payment that this bank refuses.",
                direction="Write bad/NAME.json, a payment that breaks a rule of the bank's guide.",
            )
        )
    return Found(looked_at=many(len(case.samples.bad), "sample"), problems=tuple(problems))


def _other_rules(
    case: Case,
    file: str,
    expected: Sequence[tuple[str, ...]],
    names: Sequence[tuple[str, ...]],
    found: Sequence[tuple[int, Violation]],
) -> Problem:
    missing = [" ".join(name) for name in expected if name not in names]
    more = [" ".join(name) for name in names if name not in expected]
    parts = [f"not found: {', '.join(missing)}"] * bool(missing) + [f"found and not expected: {', '.join(more)}"] * bool(more)
    return Problem(
        place=file,
        problem=f"{'; '.join(parts) or 'one is found more often than said'}.",
        direction=f"Correct the file, or the rules of {case.plugin}.",
        violations=tuple(found),
    )


def judge_unknown_message(case: Case) -> Found:
    """A message the bank does not take is refused by check and by render."""
    if not case.bank.capabilities.sends:
        return Found(looked_at="", not_applicable=_SENDS_NOTHING)
    problems = []
    for request in case.samples.requests[:1]:
        direction = f"Let {case.plugin} answer with the rule message.unsupported, as formats.iso20022.IsoBank does."
        if not refusing(violation for _, violation in violations_of(case, request, UNKNOWN_MESSAGE)):
            problems.append(Problem(place=case.plugin, problem=f"check takes {UNKNOWN_MESSAGE}.", direction=direction))
        try:
            rendered(case, request.payments, UNKNOWN_MESSAGE, request)
        except Unrenderable:
            continue
        problems.append(Problem(place=case.plugin, problem=f"render writes {UNKNOWN_MESSAGE}.", direction=direction))
    return _over_samples(case, UNKNOWN_MESSAGE, len(case.samples.requests), problems)
