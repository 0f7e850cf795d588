"""A subscriber's way from new keys to a working connection, as a pure machine, resumable at every step.

    keys made ─ INI and HIA sent (or H3K) ─ letter signed and mailed ─ bank activates ─ HPB ─ a person compares ─ ready

INI and HIA cannot be repeated: keys are stored before they are sent, and a time-out is never answered by new keys. The answer to
HPB is not signed, so that the only proof of the bank's keys is a person who compares their fingerprints with those that the bank
gave on another way. Until then nothing is signed for them or encrypted to them. A bank key that changes stops the connection
until a person has compared again.
"""

import hmac
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from channels.ebics.answers import Answer
from channels.ebics.codes import deciding
from channels.ebics.codes_table import INVALID_USER_STATE
from channels.ebics.order_data import HpbData
from keys.ebics_keys import EbicsKey

KeyOrder = Literal["INI", "HIA", "H3K"]
UNACTIVATED: Final = INVALID_USER_STATE


class Sent(StrEnum):
    """Whether the bank has a key of ours."""

    NO = "no"
    MAYBE = "maybe"  # sent, and not answered
    YES = "yes"


class Standing(StrEnum):
    """Where onboarding stands."""

    NEW = "new"
    SENDING = "sending"
    WAITING = "waiting"  # for the letter to reach the bank, and the bank to activate
    UNCONFIRMED = "unconfirmed"  # bank keys are here, and nobody has compared them
    READY = "ready"
    BANK_KEY_CHANGED = "bank_key_changed"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What stands and what is to be done, for a person."""

    english: str
    chinese: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What is stored of a subscriber. `bank`: keys that a person confirmed; `offered`: keys that HPB brought and nobody has
    compared.

    `by_authority`: the keys go in certificates of an authority (H3K), and no letter is needed.
    """

    by_authority: bool = False
    ini: Sent = Sent.NO
    hia: Sent = Sent.NO
    bank: HpbData | None = None
    offered: HpbData | None = None
    locked: bool = False
    code: str | None = None  # of the bank's last answer that was not plain success

    @property
    def standing(self) -> Standing:
        if self.locked:
            return Standing.LOCKED
        if self.bank is not None:
            return Standing.READY if self.offered is None else Standing.BANK_KEY_CHANGED
        if self.offered is not None:
            return Standing.UNCONFIRMED
        if self.ini is Sent.YES and self.hia is Sent.YES:
            return Standing.WAITING
        return Standing.NEW if self.ini is Sent.NO and self.hia is Sent.NO else Standing.SENDING

    @property
    def due(self) -> KeyOrder | None:
        """Which of our keys is to be sent next; None where the bank has them all."""
        if self.by_authority:
            return None if self.ini is Sent.YES else "H3K"
        if self.ini is not Sent.YES:
            return "INI"
        return "HIA" if self.hia is not Sent.YES else None


_WORDS: Final[dict[Standing, Words]] = {
    Standing.NEW: Words(
        english="Nothing has been sent. Send our keys to the bank: bankgate connections init.",
        chinese="尚未发送任何内容。请向银行发送我方密钥：bankgate connections init。",
    ),
    Standing.SENDING: Words(
        english="Some of our keys are on their way. Run bankgate connections init again: it goes on where it stopped, "
        "with the same keys.",
        chinese="部分密钥已发出。请再次运行 bankgate connections init：将以相同的密钥继续。",
    ),
    Standing.WAITING: Words(
        english="The bank has our keys. Print the letter (bankgate connections letter), have it signed and send it to the bank. "
        "Once the bank has activated the access: bankgate connections check.",
        chinese="银行已收到我方密钥。请打印信函（bankgate connections letter），签字后寄给银行。"
        "银行激活后运行：bankgate connections check。",
    ),
    Standing.UNCONFIRMED: Words(
        english="The bank's keys are here and nobody has compared them. Compare both fingerprints with those that the bank gave "
        "on paper or on its web page, then: bankgate connections confirm-bank-keys.",
        chinese="已取得银行密钥，但尚未核对。请将两个指纹与银行书面或官网公布的指纹核对，"
        "然后运行：bankgate connections confirm-bank-keys。",
    ),
    Standing.READY: Words(english="Ready.", chinese="就绪。"),
    Standing.BANK_KEY_CHANGED: Words(
        english="The bank shows other keys than those that were confirmed, and the connection has stopped. Ask the bank on "
        "a known telephone number whether it changed its keys. If it did, compare both fingerprints with its notice, then: "
        "bankgate connections confirm-bank-keys. If it did not, somebody may stand between us and the bank: confirm nothing.",
        chinese="银行出示的密钥与已确认的不同，连接已停止。请拨打已知的银行电话询问是否更换密钥。"
        "如确已更换，请与银行通知核对两个指纹后运行：bankgate connections confirm-bank-keys。"
        "如未更换，可能有人冒充银行：请勿确认。",
    ),
    Standing.LOCKED: Words(
        english="The access is locked at the bank. Only the bank unlocks it; then begin anew with new keys.",
        chinese="该用户已在银行锁定。只有银行可以解锁；之后须以新密钥重新开始。",
    ),
}


def words(subscription: Subscription) -> Words:
    """What stands, and the next step."""
    return _WORDS[subscription.standing]


# ---- our keys -----------------------------------------------------------------------------------------------------------


def sending(subscription: Subscription) -> tuple[Subscription, KeyOrder]:
    """What to store, and which order to send after it. Raises `ValueError` where the bank has all keys."""
    order = subscription.due
    if order is None:
        raise ValueError("the bank has all our keys; new ones go by PUB, HCA or HCS, or after a reset at the bank")
    return _marked(subscription, order, Sent.MAYBE), order


def key_answered(before: Subscription, order: KeyOrder, answer: Answer) -> Subscription:
    """What the answer to INI, HIA or H3K makes of it. `before`: as it stood before `sending`, so that a wrong state says whether
    the bank has the key from a copy that was not answered."""
    code = deciding(answer.technical, answer.business)
    if answer.fine:
        return replace(_marked(before, order, Sent.YES), code=None)
    earlier = before.hia if order == "HIA" else before.ini
    if earlier is Sent.MAYBE and (answer.technical in INVALID_USER_STATE or answer.business in INVALID_USER_STATE):
        return replace(_marked(before, order, Sent.YES), code=code.code)
    return replace(before, code=code.code)


def locked(subscription: Subscription) -> Subscription:
    """SPR was sent, answered or not: nothing more goes out."""
    return replace(subscription, locked=True)


def _marked(subscription: Subscription, order: KeyOrder, sent: Sent) -> Subscription:
    if order == "H3K":
        return replace(subscription, ini=sent, hia=sent)
    return replace(subscription, ini=sent) if order == "INI" else replace(subscription, hia=sent)


# ---- the bank's keys ----------------------------------------------------------------------------------------------------


def bank_keys_fetched(subscription: Subscription, keys: HpbData, *, host_id: str) -> Subscription:
    """HPB brought these keys. The same as the confirmed ones change nothing; others wait for a person. Raises `ValueError` where
    the answer is for another bank."""
    if keys.host_id != host_id:
        raise ValueError("the keys are said to be those of another HostID than the one that was asked")
    if subscription.bank is not None and _same(subscription.bank, keys):
        return replace(subscription, offered=None)
    return replace(subscription, offered=keys)


def confirm(subscription: Subscription, *, authentication: str, encryption: str) -> Subscription:
    """A person typed both fingerprints as the bank gave them: of the public keys or of the certificates, in hex, with any blanks
    and colons. Raises `ValueError`: nothing waits, or they are not those of the keys that wait; then nothing changes."""
    offered = subscription.offered
    if offered is None:
        raise ValueError("no bank keys wait for a comparison: fetch them first (HPB)")
    pairs = (("X002", offered.authentication, authentication), ("E002", offered.encryption, encryption))
    wrong = [name for name, key, typed in pairs if not _named_by(key, typed)]
    if wrong:
        raise ValueError(
            f"the fingerprint for {' and '.join(wrong)} is not that of the key which the bank sent. Read it again from "
            "the bank's letter; if it still differs, do not go on: ask the bank"
        )
    return replace(subscription, bank=offered, offered=None)


def usable_bank_keys(subscription: Subscription) -> HpbData:
    """The keys that messages may be made and verified with. Raises `ValueError` in every standing but READY, with the way out."""
    if subscription.standing is not Standing.READY or subscription.bank is None:
        raise ValueError(words(subscription).english)
    return subscription.bank


def fingerprints(keys: HpbData) -> tuple[tuple[str, str, str], ...]:
    """Both kinds of both keys: process, kind ("public-key", "certificate"), upper-case hex."""
    found: list[tuple[str, str, str]] = []
    for key in (keys.authentication, keys.encryption):
        found.append((key.version, "public-key", key.public_key_hash.hex().upper()))
        if key.certificate_hash is not None:
            found.append((key.version, "certificate", key.certificate_hash.hex().upper()))
    return tuple(found)


def _same(one: HpbData, other: HpbData) -> bool:
    pairs = ((one.authentication, other.authentication), (one.encryption, other.encryption))
    return all(hmac.compare_digest(known.public_key_hash, shown.public_key_hash) for known, shown in pairs)


def _named_by(key: EbicsKey, typed: str) -> bool:
    try:
        digest = bytes.fromhex("".join(typed.replace(":", " ").split()))
    except ValueError:
        return False
    return key.is_named_by(digest)
