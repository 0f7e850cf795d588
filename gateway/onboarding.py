"""Where the access to a bank stands that has to be set up there first (EBICS), and what a person does next."""

from dataclasses import dataclass

from channels.channel import ChannelError
from channels.ebics.notes import SUBSCRIPTION, read_subscriber
from channels.ebics.profile import EbicsProfile
from channels.ebics.subscriber import Subscription, fingerprints, words
from channels.profiles import parse_profile
from gateway.config import ConnectionSettings
from gateway.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarding:
    """`standing`: a word of `channels.ebics.subscriber.Standing`, or "unreadable". `code`: of the bank's last answer that was no
    success. `fingerprints`: of bank keys that nobody has compared: process, kind, hex; `confirmed`: of those that count."""

    standing: str
    english: str
    chinese: str
    code: str | None = None
    fingerprints: tuple[tuple[str, str, str], ...] = ()
    confirmed: tuple[tuple[str, str, str], ...] = ()


async def onboarding_of(store: Store, settings: ConnectionSettings) -> Onboarding | None:
    """As stored; None for a channel that needs no onboarding. Asks nobody."""
    profile = parse_profile(settings.channel)
    if not isinstance(profile, EbicsProfile):
        return None
    text = await store.channel_note(f"{profile.scope}/{SUBSCRIPTION}")
    try:
        found = Subscription(by_authority=profile.by_authority) if text is None else read_subscriber(text).subscription
    except (ValueError, KeyError, TypeError, ChannelError):
        return Onboarding(
            standing="unreadable",
            english="The stored state of this access cannot be read: another version wrote it. Nothing is sent.",
            chinese="无法读取该接入的存储状态（由其他版本写入）。不会发送任何内容。",
        )
    said = words(found)
    return Onboarding(
        standing=found.standing.value,
        english=said.english,
        chinese=said.chinese,
        code=found.code,
        fingerprints=() if found.offered is None else fingerprints(found.offered),
        confirmed=() if found.bank is None else fingerprints(found.bank),
    )
