"""Banks that answer at once: one request, one reply (银企直联: front machines, and banks' own JSON interfaces).

Such a bank takes no files. Every request is answered in the same breath, the answer to a payment often says nothing final, and
what became of the payment is asked for, by a serial number that we gave it. Four things follow, and this file is their words:

* **The serial number is the identity.** It has the bank's own shape (12 to 35 characters), is given and stored uniquely before
  the first send, and stays with the payment for ever. What is unknown never gets another one.
* **What says what to pay is fixed; the envelope is not.** A plugin's `render` gives the content of a payment: stored once, and
  the same bytes at each send. Around it come what is only good now (the hour, a sign-in token, a password, a seal): `wrap`, at
  each exchange, from the stored content alone.
* **Three answers.** A reply proves that the bank has the request, proves that nothing of it will be executed, or proves nothing.
  "Everything else" is always the third.
* **Replies are files.** Each is kept as it came (without a password that it repeats), with what was asked beside it
  (`formats.exchange`), before anybody reads it; then `parse` makes the same records of it as of a camt or pain.002.

All pure: the gateway asks, a channel carries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from formats.bank import BankFormat

if TYPE_CHECKING:
    from formats.exchange import Exchange

Alphabet = Literal["digits", "letters_and_digits"]


class Asking(StrEnum):
    """What a request is about."""

    PAYMENT = "payment"  # pays
    STATUS = "status"  # what became of payments, by serial number
    RETURNS = "returns"  # payments that came back, by day
    BALANCE = "balance"
    STATEMENT = "statement"  # what was booked, by day, page by page
    SIGN_IN = "sign_in"


class Outcome(StrEnum):
    """What a reply proves about the request that it answers."""

    TAKEN = "taken"  # the bank has it (of a question: it is answered)
    REFUSED = "refused"  # the bank executes nothing of it, now or later: a code on the bank's list says so
    NOT_TAKEN = "not_taken"  # nothing was taken, and the same request may go out again later: too often, not its hours
    SIGN_IN = "sign_in"  # as NOT_TAKEN, and a sign-in has to come first
    UNKNOWN = "unknown"  # anything else


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialShape:
    """The shape of a serial number. `dated`: it begins with yyyyMMdd, of the day on which it was given."""

    length: int
    alphabet: Alphabet = "digits"
    dated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """The least time between two requests of one login, in seconds."""

    payment: float = 0.0
    question: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """How one bank wants to be talked to, as data; the operator may set each of the waits otherwise."""

    serial: SerialShape  # of each payment
    package: SerialShape | None = None  # of a request with payments in it, where the bank wants one beside theirs
    same_serial_is_safe: bool = False  # the bank says that a serial number is never executed twice
    repeat_after_seconds: float = 900.0  # after a doubt, the same serial number may go out again only so much later
    ask_after_seconds: float = 30.0  # from the send to the first question about it
    not_found_wait_seconds: float = 3600.0  # for so long "no such record" proves nothing whatsoever
    serials_per_question: int = 1
    returns_days: int = 0  # for so long after success the status may still turn into "returned"
    asks: frozenset[Asking] = frozenset({Asking.STATUS, Asking.BALANCE, Asking.STATEMENT})
    statement_days_max: int = 30  # in one question
    quiet: tuple[tuple[time, time], ...] = ()  # hours of the bank's day, from and until, in which nothing is asked or sent
    pauses: Pauses = Pauses()
    signs_in: bool = False
    sealed_by: Literal["front_machine", "sign_service", "keys"] = "front_machine"  # who makes what the bank wants signed
    secrets: tuple[str, ...] = ()  # what goes into envelopes and is kept by reference ("password")
    secret_elements: tuple[str, ...] = ()  # XML elements by which a reply may repeat such a thing: emptied before it is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAccount:
    """An account of ours, as configured."""

    number: str
    currency: str = "CNY"
    holder: str = ""
    bank_code: str | None = None  # 联行号 of its branch


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A payment that is asked about."""

    serial: str
    package: str | None  # the serial number of the request that it went out in
    account: HeldAccount  # the debtor's
    sent_on: date  # the first send, in the bank's time zone
    bank_reference: str | None = None  # what the bank called it in an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusInquiry:
    sought: tuple[Sought, ...]  # at most `Dialogue.serials_per_question`, all of one account and one package
    on: date  # today, in the bank's time zone


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceInquiry:
    account: HeldAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementInquiry:
    """Both days inclusive. `page`: what the last reply gave as `Heard.next_page`; None: the first page."""

    account: HeldAccount
    since: date
    until: date
    page: str | None = None
    today: date | None = None  # where a bank has another question for the current day


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnsInquiry:
    account: HeldAccount
    since: date
    until: date
    page: str | None = None


Inquiry = StatusInquiry | BalanceInquiry | StatementInquiry | ReturnsInquiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a reply answers. `function` is the bank's own word for the request."""

    kind: Asking
    function: str
    account: str | None = None  # number
    currency: str | None = None
    since: date | None = None
    until: date | None = None
    page: str | None = None
    serials: tuple[str, ...] = ()
    package: str | None = None
    at: datetime | None = None  # when it was asked; aware
    repeat: bool = False  # of a payment: the same may have gone out before, so that a refusal proves nothing about it


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """What an envelope is made of at the moment of an exchange. `secrets` by their names in `Dialogue.secrets`."""

    at: datetime  # aware, in the bank's time zone
    fresh: str  # 20 decimal digits that no other request of ours has: yyMMddHHmmss and 8 more
    token: str | None = field(default=None, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    sealed: bytes | None = field(default=None, repr=False)  # what the seal made of `to_seal`; None where that is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a front machine is handed. `body` for those that take it raw (HTTP or a socket), `fields` for those that take an HTML
    form (names and values, encoded in `charset`); `target` is added to the configured path ("?userID=…")."""

    body: bytes = field(repr=False)
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    charset: str = "gbk"
    content_type: str | None = None  # of `body`; None: as configured
    target: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a reply proves. `code` and `text` are the bank's own; `found` and `missing`: serial numbers that it shows, and that it
    says it does not know (which is never a failure by itself)."""

    outcome: Outcome
    code: str = ""
    text: str = ""
    next_page: str | None = None
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class BadBankSettings(ValueError):
    """The operator's: the `[bank_settings]` table of a connection. `problems`: key and words of each."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{key}: {text}" for key, text in problems))


@runtime_checkable
class DialogueBank(BankFormat, Protocol):
    """A bank plugin of this kind. Stateless; `configured` gives one that knows a customer's particulars."""

    @property
    def dialogue(self) -> Dialogue: ...

    def configured(self, table: Mapping[str, object]) -> "DialogueBank":
        """With the `[bank_settings]` of a connection. Raises `BadBankSettings` with every problem."""

    def inquire(self, inquiry: Inquiry, fresh: str) -> bytes:
        """The content of a question. `fresh`: see `Wrapping`."""

    def sign_in(self, fresh: str, at: datetime) -> bytes | None:
        """The content of a sign-in; None where the bank has none."""

    def token_of(self, reply: bytes) -> str | None:
        """What a sign-in's reply gives for later envelopes; None: it was refused, or is none."""

    def to_seal(self, content: bytes, asked: Asked, wrapping: Wrapping) -> bytes | None:
        """What has to be signed (or signed and encrypted) before it is wrapped; None: nothing."""

    def wrap(self, content: bytes, asked: Asked, wrapping: Wrapping) -> Request:
        """The request as it leaves. The same content pays the same thing, whatever else is in the envelope."""

    def to_open(self, reply: bytes) -> bytes | None:
        """The part of a reply that the seal has to open or verify first; None: the reply is clear."""

    def hear(self, exchange: "Exchange") -> Heard:
        """What a reply proves. Never raises: what cannot be read proves nothing."""

    def explain(self, code: str) -> tuple[str, str] | None:
        """One of the bank's codes ("PAYOUT") in plain words, English and Chinese; None: not in its tables."""
