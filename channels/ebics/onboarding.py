"""Drives a subscriber's way (`channels.ebics.subscriber`) from new keys to a working connection. Each step is stored before its
message leaves, and every call goes on where the last one ended.

Our keys are made and rest where the profile says before anything is sent; what the bank was sent is noted by hash, so that other
keys are never put in their place unnoticed.
"""

from dataclasses import dataclass, replace
from typing import Final

from channels.channel import ChannelError
from channels.ebics import key_data, subscriber
from channels.ebics.answers import read_hev, read_key_answer
from channels.ebics.codes import meaning
from channels.ebics.correspondent import Correspondent, NotReady, same_keys
from channels.ebics.envelope import hev_request, unsecured_request
from channels.ebics.errors import BadAnswer
from channels.ebics.key_change import InForce
from channels.ebics.key_notes import open_change
from channels.ebics.letters import Language, LetterFacts, letter_pdf, letter_text
from channels.ebics.line import NoAnswer, NotLeft
from channels.ebics.notes import Note, SubscriberNote
from channels.ebics.own import Keys
from channels.ebics.subscriber import KeyOrder, Standing, Subscription, fingerprints, words

_ASKED: Final = frozenset({Standing.WAITING, Standing.UNCONFIRMED, Standing.READY, Standing.BANK_KEY_CHANGED})
"""Where the bank can be asked for its keys: it has ours."""


@dataclass(frozen=True, slots=True)
class Onboarding:
    """One subscriber's way."""

    here: Correspondent

    async def standing(self) -> Subscription:
        """As stored. Raises `NotReady` where that cannot be read."""
        return (await self.here.open_note())[1].subscription

    async def initialise(self) -> Subscription:
        """Sends those of our keys that the bank does not have. Raises `NotLeft`, `NoAnswer`, `BadAnswer`: call it again, with the
        same keys; `NotReady` where the bank refuses a key or our keys are others now."""
        note, stored = await self.here.open_note()
        keys = await self.here.ring.keys()
        same_keys(stored, keys)
        while stored.subscription.due is not None:
            before = replace(stored, own=keys.names)
            marked, order = subscriber.sending(before.subscription)
            await note.put(replace(before, subscription=marked).to_text())
            stored = await self._send(note, before, order, keys)
        return stored.subscription

    async def _send(self, note: Note, before: SubscriberNote, order: KeyOrder, keys: Keys) -> SubscriberNote:
        here = self.here
        request = unsecured_request(here.version, here.subscriber, order, self._data(order, keys))
        try:
            raw = await here.line.post(request)
        except NotLeft:
            await note.put(before.to_text())  # nothing left: it stands as before
            raise
        answer = read_key_answer(raw, here.version)
        found = replace(before, subscription=subscriber.key_answered(before.subscription, order, answer))
        await note.put(found.to_text())
        if found.subscription.due == order:
            code = meaning(found.subscription.code or "")
            raise NotReady(f"the bank does not take {order}: {code.english} [{code.code} {code.name}]")
        return found

    def _data(self, order: KeyOrder, keys: Keys) -> bytes:
        version, who = self.here.version, self.here.subscriber
        if order == "INI":
            return key_data.ini_data(version, who, keys.public.signature)
        if order == "HIA":
            return key_data.hia_data(version, who, keys.public)
        return key_data.h3k_data(version, who, keys.public)

    async def letter(self, facts: LetterFacts, language: Language) -> tuple[str, bytes]:
        """The letter as text and as PDF. Raises `NotReady` where the keys are not those that were sent."""
        _, stored = await self.here.open_note()
        keys = await self.here.own_keys(stored)
        arguments = (self.here.version, self.here.subscriber, keys.public, facts, language)
        return letter_text(*arguments), letter_pdf(*arguments)

    async def fetch_bank_keys(self) -> Subscription:
        """HPB, where the bank has our keys. Raises what `Correspondent.fetch_bank_keys` raises."""
        found = await self.standing()
        if found.standing not in _ASKED:
            raise NotReady(words(found).english)
        return await self.here.fetch_bank_keys()

    async def confirm(self, *, authentication: str, encryption: str) -> Subscription:
        """A person compared: both fingerprints as the bank gave them. Raises `NotReady` where they are not those of the keys that
        wait, or none wait."""
        note, stored = await self.here.open_note()
        try:
            found = subscriber.confirm(stored.subscription, authentication=authentication, encryption=encryption)
        except ValueError as problem:
            raise NotReady(str(problem)) from problem
        await note.put(replace(stored, subscription=found).to_text())
        return found

    async def problems(self) -> tuple[str, ...]:
        """What keeps this access from working, in words; empty if nothing does. An access that waits for the bank is tried."""
        try:
            await self.here.ring.keys()
            found = await self.standing()
        except ChannelError as problem:
            return (str(problem),)
        told = (*await self._change(), *await self._hev())
        if any(line.startswith("no connection") for line in told):
            return (*told, *_standing(found))
        if found.standing in _ASKED:
            try:
                found = await self.here.fetch_bank_keys()
            except (NotReady, NotLeft, NoAnswer, BadAnswer) as problem:
                told = (*told, f"asking for the bank's keys (HPB): {problem}")
        return (*told, *_standing(found))

    async def _change(self) -> tuple[str, ...]:
        """A change of our keys that is under way, and the next step."""
        try:
            _, found = await open_change(self.here.notes, self.here.profile.scope)
        except (ValueError, KeyError, TypeError) as problem:
            return (f"the stored change of our keys cannot be read: {problem}",)
        if found is None or found.change.in_force is InForce.UNKNOWN:  # the latter is told where it stops the work
            return ()
        keys = ", ".join(reference for _, reference in found.stands.new)
        if found.change.in_force is InForce.NEW:
            return (f"the bank took the new keys ({keys}), and they are in use: run connections change-keys again",)
        return (
            f"new keys ({keys}) wait to be sent ({found.stands.order}), the old ones are in use: see connections change-keys",
        )

    async def _hev(self) -> tuple[str, ...]:
        """Which versions the bank says it speaks; for diagnosis only. A bank that does not answer HEV is no problem."""
        here = self.here
        try:
            answer = read_hev(await here.line.post(hev_request(here.profile.host_id)))
        except NotLeft as problem:
            return (str(problem),)
        except (NoAnswer, BadAnswer):
            return ()
        if answer.code != "000000":
            code = meaning(answer.code)
            return (f"the bank's server does not know this host_id: {code.english} [{answer.code}]",)
        named = [name for name, _ in answer.versions]
        if named and here.version.name not in named:
            return (f"the bank speaks {', '.join(named)}, and version is {here.version.name}",)
        return ()


def _standing(found: Subscription) -> tuple[str, ...]:
    """What stands, and the next step; nothing where all is well."""
    if found.standing is Standing.READY:
        return ()
    lines = [words(found).english]
    if found.code is not None:
        code = meaning(found.code)
        lines.append(f"the bank's last answer: {code.english} [{code.code} {code.name}]")
    if found.offered is not None:
        lines += [f"{key} {kind}: {digest}" for key, kind, digest in fingerprints(found.offered)]
    return tuple(lines)
