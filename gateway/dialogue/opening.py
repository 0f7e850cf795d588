"""Putting the channel of a bank that answers at once together from a connection's settings."""

import asyncio
import io
import secrets as chance
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from channels.channel import Guarantee
from channels.frontend import build_exchanger
from channels.frontend_profile import FrontendProfile
from formats.dialogue import DialogueBank
from gateway.config import ConnectionSettings
from gateway.dialogue.channel import DialogueChannel
from gateway.dialogue.conversation import Conversation, Sealing, SignedIn
from gateway.dialogue.manner import held_account, manner_of
from gateway.dialogue.rounds import Rounds
from gateway.store.store import Store
from keys.seal import Seal


def random_digits(count: int) -> str:
    """So many decimal digits that nobody can foresee."""
    return "".join(chance.choice("0123456789") for _ in range(count))


def open_dialogue(
    settings: ConnectionSettings,
    bank: DialogueBank,
    profile: FrontendProfile,
    *,
    seal: Seal,
    store: Store,
    clock: Callable[[], datetime],
    base: Path,
    secret: Callable[[str], bytes],
    certificate: Callable[[str], bytes],
    signed_in: SignedIn,
    digits: Callable[[int], str] = random_digits,
) -> DialogueChannel:
    """One channel; the two of a connection share `signed_in`. Opens no key and no socket."""
    pauses = bank.dialogue.pauses
    line = build_exchanger(profile, secret=secret, certificate=certificate, base=base, pauses=(pauses.payment, pauses.question))
    by_service = profile.sign_service is not None
    manner = manner_of(settings, bank)
    conversation = Conversation(
        bank=bank,
        line=line,
        seal=line.seal if by_service else _sealing(seal.seal),
        open=line.open if by_service else _sealing(seal.open),
        secrets=line.secrets,
        zone=manner.zone,
        clock=clock,
        digits=digits,
        signed_in=signed_in,
    )
    return DialogueChannel(
        conversation,
        store,
        connection_id=settings.id,
        guarantee=Guarantee(settings.guarantee.kind),
        absence_is_final=settings.guarantee.absence_is_final,
        manner=manner,
        rounds=Rounds(
            conversation=conversation,
            store=store,
            connection_id=settings.id,
            accounts=[held_account(account) for account in settings.accounts],
            manner=manner,
        ),
        ask_within=profile.timeouts.total,
    )


def _sealing(step: Callable[[BinaryIO, BinaryIO], None]) -> Sealing:
    """A seal's step over bytes, off the event loop."""

    def run(content: bytes) -> bytes:
        out = io.BytesIO()
        step(io.BytesIO(content), out)
        return out.getvalue()

    async def sealed(content: bytes) -> bytes:
        return await asyncio.to_thread(run, content)

    return sealed
