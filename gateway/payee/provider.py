"""What is asked about a payee, and what is answered. An answer that does not come is an answer: not available, and why.

Names: the four results of the EPC's Verification Of Payee scheme (EPC218-23): match, close match, no match, not possible.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import structlog

from formats.code_tables_payees import VERIFICATION_REASONS

log = structlog.get_logger("payee")


class PayeeResult(StrEnum):
    """What the payee's bank says of name and account."""

    MATCH = "match"
    CLOSE_MATCH = "close_match"  # nearly: it says under which name the account is held
    NO_MATCH = "no_match"
    NOT_AVAILABLE = "not_available"  # nobody could say: the reason tells why


TIMEOUT: Final = "payee.timeout"
UNREACHABLE: Final = "payee.unreachable"
REFUSED: Final = "payee.refused"
NONSENSE: Final = "payee.nonsense"
NOT_APPLICABLE: Final = "payee.not_applicable"
FAILED: Final = "payee.failed"
NOT_ASKED: Final = "payee.not_asked"

REASONS: Final = {
    TIMEOUT: ("No answer came in time.", "未在规定时间内收到答复。"),
    UNREACHABLE: ("The verification service could not be reached.", "无法连接核验服务。"),
    REFUSED: ("The verification service refused the question.", "核验服务拒绝了查询。"),
    NONSENSE: ("The answer made no sense and counts as none.", "答复无法识别，视为未答复。"),
    NOT_APPLICABLE: ("This kind of payment is not verified.", "此类付款不适用核验。"),
    NOT_ASKED: ("The service was too slow to be asked about every payment.", "核验服务过慢，未能逐笔查询。"),
    FAILED: ("The verification failed here; the log says why.", "本系统核验失败，原因见日志。"),
}
"""Why no answer is available, in English and Chinese: words of ours. Those that services give: `formats.code_tables_payees`."""


def explain_reason(code: str) -> tuple[str, str]:
    """A reason in plain words, English and Chinese."""
    known = REASONS.get(code) or VERIFICATION_REASONS.get(code)
    return known or (f"The verification service gave the code {code[:35]}.", f"核验服务返回代码 {code[:35]}。")


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeQuestion:
    """Who is to be paid, as the payment says it. `account`: an IBAN without blanks."""

    name: str
    account: str
    bic: str | None = None
    reference: str  # of ours, unique: the service's log and ours meet by it. No part of the payment


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeeAnswer:
    """What came back. `suggested_name`: of a close match only, the name under which the account is held."""

    result: PayeeResult
    suggested_name: str = ""
    reason: str = ""  # of NOT_AVAILABLE only: a code of `REASONS`, or one that the service gave
    reference: str = ""  # of the service, as evidence


def not_available(reason: str) -> PayeeAnswer:
    """No answer, and why."""
    return PayeeAnswer(result=PayeeResult.NOT_AVAILABLE, reason=reason)


class PayeeProvider(Protocol):
    """A service that is asked. Any failure may be raised: `ask` makes an answer of it."""

    @property
    def name(self) -> str:
        """As it is kept beside its answers."""
        ...

    async def verify(self, question: PayeeQuestion) -> PayeeAnswer:
        """Asks once."""
        ...

    async def close(self) -> None:
        """Ends kept connections."""
        ...


async def ask(provider: PayeeProvider, question: PayeeQuestion, seconds: float) -> PayeeAnswer:
    """The answer within so many seconds, whatever happens. Silence and failures are NOT_AVAILABLE; nothing is guessed."""
    try:
        async with asyncio.timeout(seconds):
            return await provider.verify(question)
    except TimeoutError:
        return not_available(TIMEOUT)
    except Exception as error:  # a provider is others' code: no failure of it may hold a payment up
        log.warning("payee_check_failed", provider=provider.name, error=type(error).__name__)  # its text may quote names
        return not_available(FAILED)
