"""Who lives in the world of control: approvers who race and cheat, an officer, a keeper of rules, and one who writes by hand."""

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from gateway.callers import Caller
from gateway.errors import GatewayError
from gateway.lifecycle import PaymentState
from gateway.payment import PaymentOrder
from gateway.people import totp
from gateway.people.desk import Source
from gateway.people.factors import SecondFactor
from gateway.people.officers import wanted
from gateway.people.passwords import Passwords
from gateway.people.person import Role
from gateway.people.records import Account, Factor, FactorKind
from gateway.people.vault import Vault
from gateway.policy.chain import Choice
from gateway.service import Gateway
from gateway.store.people import AccountChange
from gateway.store.sqlite.people import add_factor, change_account
from gateway.store.sqlite.terms import TermsCache
from gateway.store.sqlite.writer import Tx
from gateway.store.store import Stale
from gateway.use_cases.approvals import Case, GivenFactor
from tests.sim.people import Callers, call
from tests.sim.settings import START

if TYPE_CHECKING:
    from tests.sim.control_world import ControlWorld

KEY: Final = "11" * 32
PASSWORD: Final = "a long walk by the river"
CONSOLE: Final = Caller("console", ("*",), frozenset({"read", "approve", "people"}))
SOURCE: Final = Source(caller="console", address="192.0.2.7")
AT_MACHINE: Final = "machine: root"
GROUPS: Final = {
    "ada": ("finance",),
    "bo": ("board",),
    "cai": ("finance", "board"),
    "dee": ("finance",),
    "eva": ("board",),
    "fay": ("finance", "board"),
    "oz": (),
}
SUBMITTERS: Final = (None, None, "ada", "cai")
_BEFORE: Final = (PaymentState.AWAITING_APPROVAL, PaymentState.HELD)
Use = Callable[[Gateway], Awaitable[Any]]


def roles_of(name: str) -> tuple[Role, ...]:
    """Of somebody at the beginning of a life."""
    return (Role.APPROVER,) if GROUPS[name] else (Role.OPERATOR,)


def secret_of(name: str) -> bytes:
    """What a person's telephone makes codes of."""
    return hashlib.sha256(name.encode()).digest()[: totp.SECRET_BYTES]


@cache
def cheap_passwords() -> Passwords:
    """Argon2id with the least that it takes."""
    return Passwords(memory_kib=8, passes=1, lanes=1)


@cache
def _accounts() -> tuple[tuple[Account, Factor], ...]:
    vault, hashed = Vault(bytes.fromhex(KEY)), cheap_passwords().hashed(PASSWORD)
    made = []
    for name, groups in GROUPS.items():
        factor_id = f"phone-of-{name}"
        account = Account(
            name=name,
            roles=frozenset(roles_of(name)),
            groups=frozenset(groups),
            password=hashed,
            created_at=START,
            updated_at=START,
        )
        content = vault.locked(secret_of(name), name=name, factor_id=factor_id)
        factor = Factor(
            factor_id=factor_id, name=name, kind=FactorKind.TOTP, label="phone", content=content, created_at=START, confirmed=True
        )
        made.append((account, factor))
    return tuple(made)


def hire(db: sqlite3.Connection) -> None:
    """Everybody has an account and a second factor."""
    tx = Tx(db, TermsCache(), lambda: START)
    for account, factor in _accounts():
        change_account(tx, AccountChange(account=account, was=None), ())
        add_factor(tx, factor, None, None, ())


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What somebody asked a server to do: the payment as it was shown to them."""

    payee: str
    amount: Decimal
    at: float


@dataclass
class HouseCallers(Callers):
    """The ERP, whose payments are sometimes entered by a person; and its standing order."""

    world: "ControlWorld"
    by: dict[str, str | None] = field(default_factory=dict)  # who entered it first, by reference

    async def _submit(self, orders: list[PaymentOrder]) -> None:
        who = self.world.dice.choice(SUBMITTERS)
        for order in orders:
            self.by.setdefault(order.payment_reference, who)
        self.world.tell("erp", f"submits {', '.join(order.payment_reference for order in orders)}, entered by {who or 'itself'}")
        self._believe(await call(self.world, lambda gateway: gateway.submit(self.who, orders, submitted_by=who)))


@dataclass
class Approver:
    """One person with a telephone. Honest in the calm; before it they try everything."""

    world: "ControlWorld"
    name: str
    token: str = ""
    old_tokens: list[str] = field(default_factory=list)
    step: int = 0  # of the last code that was given away
    spent: str = ""  # that code

    async def work(self) -> None:
        while True:
            await asyncio.sleep((40 + 160 * self.world.dice.random()) if self.world.chaos else 100)
            if not self.world.somebody_waits():
                continue
            try:
                await (self._mischief() if self.world.chaos and self.world.dice.random() < 0.35 else self._honest())
            except (GatewayError, Stale) as error:
                self.world.seen[f"control: {type(error).__name__}"] += 1

    # -- signing in ----------------------------------------------------------------------------------------------------

    async def _signed_in(self) -> None:
        """A session, if there is none. Raises what the gateway says."""
        if self.token:
            return
        begun = await call(self.world, lambda gateway: gateway.people.sign_in(self.name, PASSWORD, SOURCE))
        factor = SecondFactor(totp_code=await self._code())
        opened = await call(self.world, lambda gateway: gateway.people.finish_sign_in(begun.sign_in_id, factor, SOURCE))
        self.token = opened.token

    async def _code(self) -> str:
        """A code that was not given away before, as soon as there is one."""
        now = totp.step_at(self.world.now().timestamp())
        if now <= self.step:
            await asyncio.sleep(totp.STEP_SECONDS * (self.step + 1 - now))
            now = totp.step_at(self.world.now().timestamp())
        self.step, self.spent = now, totp.code_at(secret_of(self.name), now)
        return self.spent

    # -- deciding ------------------------------------------------------------------------------------------------------

    async def _cases(self) -> list[Case]:
        found, _ = await call(self.world, lambda gateway: gateway.list_approvals(CONSOLE, None, _BEFORE, 100, None))
        self.world.dice.shuffle(found)
        return list(found)

    async def _honest(self) -> None:
        await self._signed_in()
        for case in await self._cases():
            choice = self._wish(case)
            if choice is None:
                continue
            try:
                await self._decide(case, choice, await self._code())
            except GatewayError as error:
                self.world.seen[f"control: {type(error).__name__}"] += 1
                if type(error).__name__ == "NotSignedIn":
                    self._forget()
                    return
                continue
            if self.world.chaos:
                return

    def _wish(self, case: Case) -> Choice | None:
        dice = self.world.dice
        if Choice.APPROVE in case.choices and (self.world.chaos or self._is_my_turn(case)):
            return Choice.REFUSE if self.world.chaos and dice.random() < 0.04 else Choice.APPROVE
        if Choice.RELEASE in case.choices:
            return Choice.REFUSE if dice.random() < 0.2 else Choice.RELEASE
        return Choice.REFUSE if Choice.REFUSE in case.choices and not case.intact else None

    def _is_my_turn(self, case: Case) -> bool:
        """As the console shows it."""
        due = {one.due.group for one in case.progress if one.due is not None}
        done = {name for one in case.progress for name in one.people}
        return bool(due & set(GROUPS[self.name])) and self.name not in {*done, case.payment.submitted_by}

    async def _decide(self, case: Case, choice: Choice, code: str, *, token: str = "", digest: bytes | None = None) -> None:
        world, payment = self.world, case.payment
        world.tell(self.name, f"asks to {choice.value} {payment.payment_id[-4:]}")
        seen = Attempt(payee=payment.transfer.creditor.name or "", amount=payment.transfer.amount, at=world.loop.time())
        world.house.attempts.setdefault((self.name, payment.payment_id, choice.value), []).append(seen)
        version = case.review.version if choice is Choice.RELEASE or world.dice.random() < 0.3 else 0
        session = token or self.token

        async def use(gateway: Gateway) -> Case:
            signed_in = await gateway.people.session_of(session, SOURCE)
            return await gateway.decide(
                CONSOLE,
                signed_in.acting,
                payment.payment_id,
                choice,
                digest=case.digest if digest is None else digest,
                seen=version,
                reason="asked Li Wei on the telephone",
                factor=GivenFactor(totp_code=code),
            )

        await call(world, use)
        world.note(self.name, f"control: {choice.value}d", payment.payment_id[-4:])

    def _forget(self) -> None:
        self.old_tokens.append(self.token)
        self.token = ""

    # -- cheating ------------------------------------------------------------------------------------------------------

    async def _mischief(self) -> None:
        dice, world = self.world.dice, self.world
        await self._signed_in()
        cases = await self._cases()
        if not cases:
            return
        case, other = dice.choice(cases), dice.choice(cases)
        choice = Choice.APPROVE if Choice.APPROVE in case.choices or dice.random() < 0.3 else Choice.RELEASE
        what = dice.choice(["twice at once", "a code again", "wrong codes", "another digest", "an old session", "two at once"])
        world.note(self.name, f"control: tries {what}")
        match what:
            case "twice at once":
                code = await self._code()
                await self._all(self._decide(case, choice, code), self._decide(case, choice, code))
            case "two at once":
                code = await self._code()
                await self._all(self._decide(case, choice, code), self._decide(other, choice, code))
            case "a code again":
                await self._decide(case, choice, self.spent or "123456")
            case "wrong codes":
                for _ in range(dice.randint(1, 5)):
                    await self._all(self._decide(case, choice, f"{dice.randrange(10**6):06d}"))
            case "another digest":
                await self._decide(case, choice, await self._code(), digest=dice.choice([bytes(32), other.digest]))
            case _:
                tokens = self.old_tokens or ["no session of anybody's"]
                await self._decide(case, choice, await self._code(), token=dice.choice(tokens))

    async def _all(self, *attempts: Awaitable[None]) -> None:
        for outcome in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(outcome, GatewayError):
                self.world.seen[f"control: {type(outcome).__name__}"] += 1
            elif isinstance(outcome, BaseException):
                raise outcome


@dataclass
class Officer:
    """Takes rights away and gives them back, ends sessions, disables accounts."""

    world: "ControlWorld"

    async def work(self) -> None:
        dice = self.world.dice
        while self.world.chaos:
            await asyncio.sleep(60 + 500 * dice.random())
            name = dice.choice(list(GROUPS)[:-1])
            what = dice.choice(["groups", "groups", "role", "disabled", "signed out", "restored"])
            try:
                await call(self.world, lambda gateway, name=name, what=what: self._change(gateway, name, what))
            except (GatewayError, Stale) as error:
                self.world.seen[f"control: {type(error).__name__}"] += 1
            else:
                self.world.note("officer", f"control: {what}", name)
        for name in GROUPS:
            await self._restore(name)

    async def _restore(self, name: str) -> None:
        """Until it is done: an answer that was lost, and the same again, meet each other."""
        while True:
            try:
                await call(self.world, lambda gateway: self._change(gateway, name, "restored"))
            except Stale:
                continue
            return

    async def _change(self, gateway: Gateway, name: str, what: str) -> None:
        groups: Sequence[str] = GROUPS[name]
        roles = [role.value for role in roles_of(name)]
        if what == "disabled":
            return await gateway.people.disable_person(AT_MACHINE, name)
        if what == "signed out":
            await gateway.people.end_sessions(AT_MACHINE, name)
            return None
        if what == "groups":
            groups = groups[1:]
        if what == "role":
            roles = [Role.VIEWER.value]
        await gateway.people.put_person(AT_MACHINE, wanted(name, roles, groups, ("*",)))
        return None


async def keep_rules(world: "ControlWorld") -> None:
    """Rules and lists change at any moment; sometimes half a file is saved."""
    dice, book = world.dice, world.house.rulebook
    while world.chaos:
        await asyncio.sleep(40 + 300 * dice.random())
        if not world.chaos:
            return
        if dice.random() < 0.3:
            book.spoil()
            world.note("keeper", "control: a file of rules is broken")
            await asyncio.sleep(200 * dice.random())
            if not world.chaos:
                return
            book.mend()
            world.tell("keeper", "mends it")
        else:
            world.note("keeper", "control: rules changed", book.change())
        if len(book.habits) > 1 and dice.random() < 0.3:
            world.choose_habits()


async def write_by_hand(world: "ControlWorld") -> None:
    """Somebody who has the database's password."""
    dice = world.dice
    while world.chaos:
        await asyncio.sleep(40 + 300 * dice.random())
        if world.chaos:
            world.forge(dice.choice(["approved", "approved", "payee", "payee", "amount", "approval"]))


def honest_order(made: PaymentOrder, name: str, iban: str, amount: Decimal) -> PaymentOrder:
    """The same, to somebody else."""
    assert made.creditor is not None
    assert made.creditor_account is not None
    changed = replace(
        made,
        amount=amount,
        creditor=replace(made.creditor, name=name),
        creditor_account=replace(made.creditor_account, iban=iban),
        content_sha256=b"",
    )
    return replace(changed, content_sha256=hashlib.sha256(repr(changed).encode()).digest())


LATE: Final = timedelta(hours=14, minutes=45)  # after nine in the morning: midnight comes within the life
