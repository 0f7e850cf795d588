"""Names and references as they are compared: folded, and told apart by what matters in them. Pure."""

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

from anyascii import anyascii

from formats.model import CreditTransfer, RemittanceInformation
from gateway.lifecycle import PaymentState
from gateway.policy.subject import Past, Subject, account_key

_LEGAL_FORMS: Final = frozenset(
    {
        *("ab", "ag", "aps", "as", "bv", "bvba", "co", "company", "corp", "corporation", "cv", "eg", "ek", "ev", "gbr", "gmbh"),
        *(
            "inc",
            "incorporated",
            "kg",
            "kgaa",
            "kk",
            "limited",
            "llc",
            "llp",
            "ltd",
            "mbh",
            "nv",
            "og",
            "ohg",
            "oy",
            "oyj",
            "plc",
        ),
        *("pte", "pty", "sa", "sarl", "sas", "sca", "se", "sl", "spa", "spzoo", "srl", "srls", "ug"),
    }
)
_LEGAL_FORMS_ZH: Final = re.compile(r"(股份有限公司|有限责任公司|集团有限公司|有限公司|公司)$")
_SPELLED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "æ": "ae", "œ": "oe", "å": "aa", "ł": "l", "đ": "d"})
_FIRST_EAST_ASIAN: Final = "\u2e80"  # from here on: radicals, kana, Han, Hangul
_WORD: Final = re.compile(r"\w+", re.UNICODE)
_DOTS: Final = re.compile(r"(?<=\w)[.'’](?=\w)|(?<=\b\w)\.")
_TOKEN: Final = re.compile(r"[0-9A-Za-z]*[0-9][0-9A-Za-z]*(?:[-/][0-9A-Za-z]*[0-9][0-9A-Za-z]*)*")
_ACCOUNT_LIKE: Final = re.compile(r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$")
_DATE: Final = re.compile(
    r"(?:19|20)[0-9]{2}(?:-?(?:0?[1-9]|1[0-2])(?:-?(?:0?[1-9]|[12][0-9]|3[01]))?)?$"
    r"|(?:0?[1-9]|[12][0-9]|3[01])-(?:0?[1-9]|1[0-2])-(?:19|20)?[0-9]{2}$|(?:0?[1-9]|1[0-2])-(?:19|20)[0-9]{2}$"
)
_DATE_MARK: Final = "d"  # before what reads as a date: of a month's rent, a year, a day
NUMBER_DIGITS_MIN: Final = 4  # a number with fewer digits is a month, an instalment, an article: no invoice
_PART: Final = re.compile(
    r"\b(?:teil|rest|rate|abschlag|anzahlung|part|partial|balance|remainder|instal?lment|deposit|acompte|solde|saldo)\w*"
    r"|部分|余款|尾款|定金|分期|首付|预付"
)
_TEXT_RATIO: Final = 0.85
_COMPARED: Final = 140  # characters of a text that are compared; a reference has no more


@lru_cache(maxsize=16_384)
def name_key(name: str | None) -> str:
    """A name as it is looked up: folded, words in order of the alphabet, without legal forms. "" for none.

    Letters of other alphabets are read as Latin ones, so that a Cyrillic "а" hides no name; what cannot be seen is left out.
    Chinese characters stay as they are: two people whose names only sound alike are two.
    """
    folded = unicodedata.normalize("NFKC", name or "").casefold().translate(_SPELLED)
    plain = "".join(_letter(letter) for letter in folded if unicodedata.category(letter) != "Cf")
    words = _WORD.findall(_DOTS.sub("", plain))
    kept = sorted({word for word in words if word not in _LEGAL_FORMS}) or sorted(set(words))
    return " ".join(_LEGAL_FORMS_ZH.sub("", word) or word for word in kept)


def _letter(letter: str) -> str:
    return letter if letter.isascii() or letter >= _FIRST_EAST_ASIAN else anyascii(letter).lower()


def names_differ(one: str, other: str) -> bool:
    """Whether two keys of names have hardly anything in common: no word, and no spelling."""
    if not one or not other or set(one.split()) & set(other.split()):
        return False
    return SequenceMatcher(None, one[:_COMPARED], other[:_COMPARED], autojunk=False).ratio() < 0.6


@lru_cache(maxsize=4096)
def numbers_of(text: str) -> frozenset[str]:
    """The numbers of a reference as they are compared: "RE-004711" and "re 4711" both hold "4711"."""
    found = set()
    for token in _TOKEN.findall(unicodedata.normalize("NFKC", text)):
        if _ACCOUNT_LIKE.match(token.upper()):
            continue
        parts = re.findall(r"[0-9]+", token)
        digits = "-".join(part.lstrip("0") or "0" for part in parts)
        found.add(_DATE_MARK + digits if _DATE.match("-".join(parts)) else digits)
    return frozenset(found)


@lru_cache(maxsize=4096)
def document_numbers(numbers: frozenset[str]) -> frozenset[str]:
    """Those that can name a document: long enough, and no date."""
    return frozenset(
        one for one in numbers if one[0] != _DATE_MARK and sum(letter.isdigit() for letter in one) >= NUMBER_DIGITS_MIN
    )


def same_document(numbers: frozenset[str], others: frozenset[str]) -> bool:
    """Whether two references name the same document: the numbers of one are among those of the other, and no dates speak
    against it. That of a customer beside invoices of their own makes no two invoices one."""
    one, two = document_numbers(numbers), document_numbers(others)
    if not one or not two or not (one <= two or two <= one):
        return False
    dates, other_dates = numbers - one, others - two
    return not dates or not other_dates or bool(dates & other_dates)


def same_reference(text: str, numbers: frozenset[str], other: str, other_numbers: frozenset[str]) -> bool:
    """Whether two references say the same: the same document, the same numbers, or no numbers and nearly the same words."""
    if numbers or other_numbers:
        return numbers == other_numbers or same_document(numbers, other_numbers)
    one, two = text.casefold()[:_COMPARED], other.casefold()[:_COMPARED]
    return one == two or SequenceMatcher(None, one, two, autojunk=False).ratio() >= _TEXT_RATIO


def says_part(text: str) -> bool:
    """Whether a reference says that it pays a part of something."""
    return bool(_PART.search(text.casefold()))


def accounts_near(one: str, other: str) -> bool:
    """Whether two different accounts look alike: as long, with at most two characters different besides the check digits of an
    IBAN, or two neighbours exchanged."""
    if one == other or len(one) != len(other) or len(one) < 8:
        return False
    iban = bool(_ACCOUNT_LIKE.match(one) and _ACCOUNT_LIKE.match(other))
    if iban and one[:2] != other[:2]:
        return False
    body, other_body = (one[4:], other[4:]) if iban else (one, other)
    return sum(a != b for a, b in zip(body, other_body, strict=True)) <= 2


def bank_of_account(account: str) -> str:
    """The part of an IBAN that names the bank, roughly: country and the first four characters after the check digits."""
    return account[:2] + account[4:8] if _ACCOUNT_LIKE.match(account) else ""


def country_of(transfer: CreditTransfer) -> str:
    """The creditor's country: of the account's IBAN, else of the agent's BIC, else of the address; "" if none of them tells."""
    if transfer.creditor_account is not None and transfer.creditor_account.iban:
        return account_key(transfer.creditor_account)[:2]
    agent, address = transfer.creditor_agent, transfer.creditor.postal_address
    if agent is not None and agent.bic:
        return agent.bic[4:6].upper()
    return (address.country or "").upper() if address is not None else ""


def remittance_line(information: RemittanceInformation | None) -> str:
    """The remittance information as one line, blanks folded: the free text, then what structured documents say."""
    if information is None:
        return ""
    parts = list(information.unstructured)
    for one in information.structured:
        parts += filter(None, (one.document_number, one.creditor_reference, one.additional_information))
    return " ".join(" ".join(parts).split())


def past_of(subject: Subject, state: PaymentState) -> Past:
    """A payment that was judged, as the next one looks back at it."""
    transfer = subject.transfer
    return Past(
        payment_id=subject.payment_id,
        caller=subject.caller,
        connection_id=subject.connection_id,
        submitted_at=subject.submitted_at,
        debtor_account=subject.debtor_account,
        creditor_account=subject.creditor_account,
        creditor_name=transfer.creditor.name or "",
        creditor_country=country_of(transfer),
        amount=transfer.amount,
        currency=transfer.currency,
        requested_execution_date=subject.terms.requested_execution_date,
        end_to_end_id=transfer.end_to_end_id,
        remittance=remittance_line(transfer.remittance_information),
        state=state,
    )
