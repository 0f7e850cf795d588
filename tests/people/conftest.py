"""People over a store in memory, with hashes that cost nothing, and the steps most tests begin with."""

import os
import tempfile
from base64 import b32decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from gateway.config import PeopleSettings
from gateway.people import totp
from gateway.people.desk import SignedIn, Source
from gateway.people.factors import SecondFactor
from gateway.people.officers import wanted
from gateway.people.passwords import Passwords
from gateway.people.people import People
from gateway.people.sign_in import Opened
from gateway.store.sqlite import SqliteStore
from gateway.telemetry import Metrics
from tests.people.authenticator import DOMAIN, ORIGIN, Authenticator
from tests.store.support.make import HandClock

CONSOLE = Source(caller="console", address="192.0.2.7")
PASSWORD = "a long walk by the river"
CHEAP = Passwords(memory_kib=64, passes=1, lanes=1)


@dataclass
class Somebody:
    """A person who has begun: their app's secret, and a session signed off just now."""

    people: People
    clock: HandClock
    name: str
    secret: bytes
    token: str

    def code(self) -> str:
        """The code their app shows now."""
        return totp.code_at(self.secret, totp.step_at(self.clock().timestamp()))

    def new_code(self) -> SecondFactor:
        """A code that was not used yet: time has to pass."""
        self.clock.advance(seconds=60)
        return SecondFactor(totp_code=self.code())

    async def session(self, source: Source = CONSOLE) -> SignedIn:
        return await self.people.session_of(self.token, source)

    async def sign_in(self, source: Source = CONSOLE) -> Opened:
        begun = await self.people.sign_in(self.name, PASSWORD, source)
        opened = await self.people.finish_sign_in(begun.sign_in_id, self.new_code(), source)
        self.token = opened.token
        return opened

    async def fresh(self) -> SignedIn:
        """Their session, with a second factor given just now."""
        await self.people.step_up(await self.session(), self.new_code())
        return await self.session()

    async def passkey(self) -> Authenticator:
        """One more factor."""
        authenticator = Authenticator()
        session = await self.fresh()
        challenge_id, options = await self.people.begin_passkey(session)
        await self.people.finish_passkey(session, challenge_id, authenticator.create(options), "key")
        return authenticator


@dataclass
class House:
    """Everything together."""

    people: People
    store: SqliteStore
    clock: HandClock

    async def begin(self, name: str, code: str) -> Somebody:
        """A new person, from the enrolment code to a full session."""
        opened = await self.people.enrol(name, code, PASSWORD, CONSOLE)
        session = await self.people.session_of(opened.token, CONSOLE)
        factor_id, uri = await self.people.enrol_totp(session, "phone")
        shown = parse_qs(urlparse(uri).query)["secret"][0]
        secret = b32decode(shown + "=" * (-len(shown) % 8))
        somebody = Somebody(self.people, self.clock, name, secret, opened.token)
        await self.people.confirm_totp(session, factor_id, somebody.code())
        self.clock.advance(seconds=30)
        return somebody

    async def officer(self, name: str = "ada") -> Somebody:
        """The first one, made at the machine."""
        return await self.begin(name, await self.people.first_officer(name, "machine: root"))

    async def person(self, name: str, *roles: str) -> Somebody:
        """Somebody added at the machine."""
        done = await self.people.put_person("machine: root", wanted(name, roles, (), ("*",)))
        return await self.begin(name, done.enrolment_code)

    async def actions(self) -> list[str]:
        """What the audit log says, oldest first."""
        return [row.action for row in await self.store.audit_rows(0, 1000)]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="bankgate-people-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def settings(place: Path) -> PeopleSettings:
    key = place / "people.key"
    key.write_text("11" * 32)
    key.chmod(0o600)
    return PeopleSettings(key="file:people.key", relying_party=DOMAIN, origins=(ORIGIN,))


@pytest.fixture
async def house(place: Path, clock: HandClock, settings: PeopleSettings) -> AsyncIterator[House]:
    store = SqliteStore(place / "store.db", clock=clock)
    await store.open()
    people = People(settings, store, directory=place, clock=clock, metrics=Metrics(), passwords=CHEAP)
    yield House(people, store, clock)
    await store.close()


def later(clock: HandClock, **delta: float) -> None:
    clock.moment += timedelta(**delta)
