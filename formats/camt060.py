"""Writing camt.060 (AccountReportingRequest), versions .03 to .07: the request for statements and reports.

The same request gives the same bytes: UTF-8, one report a line, no attribute or namespace beyond the schema's.

Source: ISO 20022 message definition report "Bank-to-Customer Cash Management", AccountReportingRequest; and the schemas.
"""

from datetime import time
from typing import BinaryIO, Final

from formats.errors import Unrenderable, Violation
from formats.model_requests import AccountReportingRequest, ReportingRequest
from formats.pain001_parts import escape
from formats.request_parts import (
    RequestCheck,
    explained,
    head,
    moment,
    optional,
    optional_account,
    optional_agent,
    party_choice,
    version_of,
)
from formats.request_versions import CAMT060, RequestVersion

_SOURCE: Final = "ISO 20022 camt.060, message definition and XML schema"
_DAY_BEGINS: Final = time(0, 0, 0)
_DAY_ENDS: Final = time(23, 59, 59)


def write_camt060(request: AccountReportingRequest, out: BinaryIO) -> None:
    """Writes the request to `out`, streaming. Raises `Unrenderable` with everything that is wrong with it."""
    version = version_of(request.message_name, CAMT060)
    violations = check_camt060(request)
    if violations:
        raise Unrenderable(violations)
    with explained(version):
        out.write(_head(request, version).encode())
        for wanted in request.requests:
            out.write(_report(wanted, version).encode())
        out.write(b"</AcctRptgReq></Document>\n")


def _head(request: AccountReportingRequest, version: RequestVersion) -> str:
    sender = "" if request.sender is None else party_choice("MsgSndr", request.sender, version)
    return (
        f"{head(version, 'AcctRptgReq')}<GrpHdr><MsgId>{escape(request.message_id)}</MsgId>"
        f"<CreDtTm>{moment(request.creation_date_time)}</CreDtTm>{sender}</GrpHdr>\n"
    )


def check_camt060(request: AccountReportingRequest) -> tuple[Violation, ...]:
    """Everything that is wrong with a request; its version must be known."""
    version = CAMT060[request.message_name]
    check = RequestCheck(version, _SOURCE)
    check.text(request.message_id, "message_id")
    check.party(request.sender, "sender")
    if not request.requests:
        check.say("requests", "reporting.empty", "There is no report wanted in it.", "请求中没有要求任何报告。")
    for index, wanted in enumerate(request.requests):
        _check_report(wanted, f"requests[{index}]", version, check)
    return check.found


def _check_report(wanted: ReportingRequest, path: str, version: RequestVersion, check: RequestCheck) -> None:
    check.text(wanted.request_id, f"{path}.request_id")
    check.text(wanted.requested_message_name, f"{path}.requested_message_name")
    check.account(wanted.account, f"{path}.account")
    check.party(wanted.account_owner, f"{path}.account_owner")
    check.agent(wanted.account_servicer, f"{path}.account_servicer")
    check.text(wanted.sequence_from, f"{path}.sequence_from")
    check.text(wanted.sequence_until, f"{path}.sequence_until")
    times = (wanted.period_until, wanted.time_from, wanted.time_until)
    if wanted.period_from is None and any(one is not None for one in times):
        check.say(
            f"{path}.period_from",
            "reporting.period",
            "A period has a first day: give period_from.",
            "期间须有起始日，请填写 period_from。",
        )
    elif wanted.period_from is not None and wanted.period_until is not None and wanted.period_until < wanted.period_from:
        check.say(
            f"{path}.period_until",
            "reporting.period",
            "The period ends before it begins.",
            "期间的结束日早于起始日。",
        )
    if wanted.time_until is not None and wanted.time_from is None:
        check.say(
            f"{path}.time_from",
            "reporting.period",
            "A time of day until which needs one from which: give time_from.",
            "填写结束时刻时须同时填写起始时刻 time_from。",
        )
    if not version.sequences and (wanted.sequence_from, wanted.sequence_until) != (None, None):
        check.say(
            f"{path}.sequence_from",
            "reporting.sequence-version",
            f"{version.name} cannot ask for statement numbers; camt.060.001.04 and later can.",
            f"{version.name} 不能按对账单序号请求，请改用 camt.060.001.04 及以上版本。",
        )


def _report(wanted: ReportingRequest, version: RequestVersion) -> str:
    """[RptgReq]"""
    return (
        f"<RptgReq>{optional('Id', wanted.request_id)}<ReqdMsgNmId>{escape(wanted.requested_message_name)}</ReqdMsgNmId>"
        f"{optional_account('Acct', wanted.account)}{party_choice('AcctOwnr', wanted.account_owner, version)}"
        f"{optional_agent('AcctSvcr', wanted.account_servicer, version)}{_period(wanted, version)}{_sequence(wanted)}</RptgReq>\n"
    )


def _period(wanted: ReportingRequest, version: RequestVersion) -> str:
    """[RptgPrd]. Where the version must have times of day and none are given, whole days are written out."""
    if wanted.period_from is None:
        return ""
    first, last = wanted.time_from, wanted.time_until
    if first is None and version.needs_times:
        first, last = _DAY_BEGINS, _DAY_ENDS
    times = "" if first is None else f"<FrToTm><FrTm>{first.isoformat()}</FrTm>{optional('ToTm', _text(last))}</FrToTm>"
    until = None if wanted.period_until is None else wanted.period_until.isoformat()
    return (
        f"<RptgPrd><FrToDt><FrDt>{wanted.period_from.isoformat()}</FrDt>{optional('ToDt', until)}</FrToDt>{times}"
        f"<Tp>{wanted.scope}</Tp></RptgPrd>"
    )


def _sequence(wanted: ReportingRequest) -> str:
    """[RptgSeq] From a number on, up to a number, from one to another, or one alone."""
    first, last = wanted.sequence_from, wanted.sequence_until
    bounds = optional("FrSeq", first) + optional("ToSeq", last)
    if first is None or last is None:
        inner = bounds
    else:
        inner = optional("EQSeq", first) if first == last else f"<FrToSeq>{bounds}</FrToSeq>"
    return f"<RptgSeq>{inner}</RptgSeq>" if inner else ""


def _text(moment_of_day: time | None) -> str | None:
    return None if moment_of_day is None else moment_of_day.isoformat()
