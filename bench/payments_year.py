"""A year of payments of three callers, made from a seed, with frauds and mistakes among them that somebody planted.

What is ordinary: payrolls with a bonus and a thirteenth salary, suppliers by the week, the month or now and then, whose amounts
vary, grow and follow the season, subscriptions, rents, taxes by the quarter, refunds and expenses to people never paid before,
instalments, remainders of invoices, payments sent again after a rejection, creditors who really have a new bank.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms, RemittanceInformation
from gateway.lifecycle import PaymentState
from gateway.policy.subject import Subject

YEAR = 2025
HOLIDAYS = {date(YEAR, *day) for day in ((1, 1), (4, 18), (4, 21), (5, 1), (12, 25), (12, 26), (12, 31))}
KINDS = (
    *("changed-account", "near-account", "duplicate", "duplicate-new-reference", "edited-invoice"),
    *("amount", "night-burst", "new-country", "structuring"),
)
LIMIT = Decimal(10_000)
_HOME = {"erp-de": "DE", "erp-fr": "FR", "erp-nl": "NL"}
_ABROAD = {"erp-de": ("AT", "FR", "IT"), "erp-fr": ("BE", "DE", "ES"), "erp-nl": ("BE", "DE", "GB")}
_FAR = ("LT", "CY", "BG", "RO", "MT", "GE", "SM")
_FIRST = (
    *("Anna", "Ben", "Clara", "David", "Eva", "Felix", "Greta", "Hugo", "Ida", "Jan", "Klara"),
    *("Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sven", "Tina", "Uwe", "Vera", "Willi"),
)
_LAST = (
    *("Adler", "Brandt", "Conrad", "Dietz", "Ebert", "Falk", "Gruber", "Hahn", "Imhof", "Jung", "Kern"),
    *("Lang", "Maier", "Noll", "Otto", "Pohl", "Roth", "Sauer", "Thiel", "Unger", "Voss"),
)
_TRADE = (
    *("Papier", "Stahl", "Holz", "Glas", "Kabel", "Pumpen", "Druck", "Optik", "Farben", "Folien", "Lager"),
    *("Werkzeug", "Reinigung", "Energie", "Logistik", "Software"),
)
_FORMS = ("GmbH", "AG", "KG", "S.A.", "B.V.", "Ltd.")


@dataclass(frozen=True, slots=True)
class Creditor:
    name: str
    account: str


@dataclass(frozen=True, slots=True)
class Made:
    """A payment of the year. `kind`: "" if it is ordinary, else what was planted; `event`: which planting it belongs to."""

    subject: Subject
    kind: str = ""
    event: int = 0
    state: PaymentState = PaymentState.SETTLED  # where it ends if nobody stops it


@dataclass(slots=True)
class _Supplier:
    creditor: Creditor
    every: int  # days between invoices; 0: now and then
    size: float
    spread: float
    growth: float
    style: int
    customer: int
    serial: int
    account_changes: int = 999  # day of the year on which it has a new bank


@dataclass(slots=True)
class Year:
    """Makes the year of all callers. `scale` 1.0 gives about 20,000 payments."""

    seed: int = 1
    scale: float = 1.0
    plantings: int = 25  # of each kind
    _random: random.Random = field(init=False)
    _count: int = field(init=False, default=0)

    def payments(self) -> list[Made]:
        """Every payment by the moment of its submission."""
        self._random = random.Random(self.seed)
        ordinary = [made for caller in _HOME for made in self._ordinary(caller)]
        ordinary.sort(key=lambda made: made.subject.submitted_at)
        planted = [made for kind in KINDS for event in range(self.plantings) for made in self._planted(kind, event + 1, ordinary)]
        return sorted([*ordinary, *planted], key=lambda made: (made.subject.submitted_at, made.subject.payment_id))

    # -- what is ordinary --------------------------------------------------------------------------------------------------

    def _ordinary(self, caller: str) -> Iterator[Made]:
        staff = [Creditor(self._person(), self._iban(_HOME[caller])) for _ in range(round(200 * self.scale))]
        yield from self._payroll(caller, staff)
        for _ in range(round(150 * self.scale)):
            yield from self._supplier(caller)
        yield from self._fixed(caller)
        yield from self._one_offs(caller, staff)

    def _payroll(self, caller: str, staff: list[Creditor]) -> Iterator[Made]:
        pay = {one.account: Decimal(self._random.randint(210_000, 620_000)) / 100 for one in staff}
        entry = {one.account: 1 if self._random.random() < 0.85 else self._random.randint(2, 12) for one in staff}
        for month in range(1, 13):
            day = self._working(date(YEAR, month, 24))
            at = self._at(day, 11, self._random.randint(0, 20))
            for one in staff:
                if entry[one.account] > month:
                    continue
                said = f"Gehalt {month:02d}/{YEAR}"
                yield self._made(caller, one, pay[one.account], said, at, day + timedelta(days=3), payroll=True)
                if month == 11:
                    extra = (pay[one.account] / 2).quantize(Decimal("0.01"))
                    yield self._made(caller, one, extra, f"Weihnachtsgeld {YEAR}", at, day + timedelta(days=3), payroll=True)
                if month == 3 and self._random.random() < 0.15:
                    bonus = (pay[one.account] * self._random.randint(5, 22) / 10).quantize(Decimal("0.01"))
                    yield self._made(caller, one, bonus, f"Bonus {YEAR - 1}", at, day + timedelta(days=3), payroll=True)

    def _supplier(self, caller: str) -> Iterator[Made]:
        pick = self._random
        country = _HOME[caller] if pick.random() < 0.8 else pick.choice(_ABROAD[caller])
        one = _Supplier(
            Creditor(self._company(), self._iban(country)),
            every=pick.choice((7, 14, 30, 30, 0, 0)),
            size=pick.lognormvariate(7.3, 1.1),
            spread=pick.choice((0.0, 0.1, 0.25, 0.5)),
            growth=pick.uniform(-0.01, 0.03),
            style=pick.randrange(4),
            customer=pick.randint(10_000, 99_999),
            serial=pick.randint(100, 90_000),
            account_changes=pick.randint(60, 330) if pick.random() < 0.04 else 999,
        )
        day = date(YEAR, 1, 1) + timedelta(days=pick.randint(0, 45 if one.every else 90))
        while day.year == YEAR:
            yield from self._invoice(caller, one, day)
            day += timedelta(days=max(1, one.every + pick.randint(-1, 2)) if one.every else round(pick.expovariate(1 / 21)) + 1)

    def _invoice(self, caller: str, one: _Supplier, day: date) -> Iterator[Made]:
        pick = self._random
        season = 1.0 + (0.4 if day.month in {11, 12} and one.style % 2 else 0.0)
        size = one.size * season * (1 + one.growth) ** day.month * pick.lognormvariate(0, one.spread)
        amount = Decimal(str(round(max(size, 5.0), 2)))
        if one.spread == 0.0:
            amount = Decimal(str(round(one.size, 2)))
        one.serial += pick.randint(1, 40)
        said = (
            f"RE {one.serial} Kd {one.customer}",
            f"Rechnung {YEAR}-{one.serial:05d}",
            f"INV-{one.serial}",
            f"Kunde {one.customer} {day:%m/%Y} Beleg {one.serial}",
        )[one.style]
        if day.timetuple().tm_yday > one.account_changes:
            one.creditor = Creditor(one.creditor.name, self._iban(_HOME[caller]))
            one.account_changes = 999
        at = self._run(day)
        due = self._working(at.date() + timedelta(days=pick.randint(0, 2)))
        lot = pick.random()
        if lot < 0.004:
            yield self._made(caller, one.creditor, amount, said, at, due, state=PaymentState.REJECTED)
            at = self._run(at.date() + timedelta(days=2))
            yield self._made(caller, one.creditor, amount, said, at, self._working(at.date()))
        elif lot < 0.01:
            part = (amount / 2).quantize(Decimal("0.01"))
            yield self._made(caller, one.creditor, part, f"{said} Teil 1", at, due)
            later = self._run(at.date() + timedelta(days=28))
            yield self._made(caller, one.creditor, amount - part + Decimal("0.03"), f"{said} Rest", later, later.date())
        else:
            yield self._made(caller, one.creditor, amount, said, at, due)

    def _fixed(self, caller: str) -> Iterator[Made]:
        home, pick = _HOME[caller], self._random
        rents = [(Creditor(self._company(), self._iban(home)), Decimal(pick.randint(900, 9000))) for _ in range(8)]
        office = Creditor("Finanzamt Mitte", self._iban(home))
        for month in range(1, 13):
            day = self._working(date(YEAR, month, 1))
            for one, amount in rents:
                yield self._made(caller, one, amount, f"Miete {month:02d}/{YEAR}", self._run(day), day)
            tax = Decimal(pick.randint(18_000, 30_000)) * (3 if month % 3 == 0 else 1)
            yield self._made(caller, office, tax, f"St.-Nr. 27 {pick.randint(100, 999)} {month:02d}/{YEAR}", self._run(day), day)

    def _one_offs(self, caller: str, staff: list[Creditor]) -> Iterator[Made]:
        pick = self._random
        for _ in range(round(500 * self.scale)):
            at = self._hand(date(YEAR, 1, 1) + timedelta(days=pick.randint(0, 363)))
            lot = pick.random()
            if lot < 0.4:
                said, one = f"Reisekosten {at:%m/%Y}", pick.choice(staff)
                amount = Decimal(pick.randint(2_000, 90_000)) / 100
            else:
                country = _HOME[caller] if lot < 0.93 else pick.choice(_ABROAD[caller])
                one = Creditor(self._person() if lot < 0.75 else self._company(), self._iban(country))
                said, amount = f"Erstattung {pick.randint(100_000, 999_999)}", Decimal(pick.randint(1_500, 400_000)) / 100
            yield self._made(caller, one, amount, said, at, self._working(at.date()))

    # -- what is planted ---------------------------------------------------------------------------------------------------

    def _planted(self, kind: str, event: int, ordinary: list[Made]) -> Iterator[Made]:
        pick = self._random
        known = [made for made in ordinary if "Re" in made.subject.transfer.end_to_end_id and made.subject.submitted_at.month > 4]
        model = pick.choice(known)
        subject = model.subject
        transfer = subject.transfer
        at = subject.submitted_at + timedelta(days=pick.randint(1, 12), minutes=pick.randint(0, 60))
        at = self._at(self._working(at.date()), at.hour, at.minute)
        creditor = Creditor(transfer.creditor.name or "", subject.creditor_account)
        said = transfer.remittance_information.unstructured[0] if transfer.remittance_information else ""
        other = f"RE {pick.randint(100_000, 999_999)}"
        caller, amount = subject.caller, transfer.amount

        def made(creditor: Creditor, amount: Decimal, said: str, at: datetime) -> Made:
            return replace(self._made(caller, creditor, amount, said, at, at.date()), kind=kind, event=event)

        if kind == "changed-account":
            country = pick.choice(_FAR) if pick.random() < 0.6 else _HOME[caller]
            yield made(Creditor(creditor.name, self._iban(country)), self._near(amount), other, at)
        elif kind == "near-account":
            place = pick.randint(12, len(creditor.account) - 1)
            digit = str((int(creditor.account[place]) + pick.randint(1, 9)) % 10)
            account = creditor.account[:place] + digit + creditor.account[place + 1 :]
            yield made(Creditor(creditor.name, account), self._near(amount), other, at)
        elif kind == "duplicate":
            yield made(creditor, amount, said, at)
        elif kind == "duplicate-new-reference":
            soon = subject.submitted_at + timedelta(days=pick.randint(0, 3), minutes=30)
            yield made(creditor, amount, other, self._at(self._working(soon.date()), soon.hour, soon.minute))
        elif kind == "edited-invoice":
            yield made(creditor, (amount * pick.randint(102, 130) / 100).quantize(Decimal("0.01")), said, at)
        elif kind == "amount":
            yield made(creditor, (amount * pick.randint(8, 40)).quantize(Decimal("0.01")), other, at)
        elif kind == "new-country":
            yield made(Creditor(self._company(), self._iban(pick.choice(_FAR))), self._near(amount), other, at)
        elif kind == "night-burst":
            night = self._at(at.date(), pick.randint(1, 3), pick.randint(0, 20))
            for step in range(pick.randint(6, 14)):
                one = Creditor(self._person(), self._iban(_HOME[caller]))
                yield made(
                    one, Decimal(pick.randint(90_000, 480_000)) / 100, f"Auftrag {step}", night + timedelta(minutes=2 * step)
                )
        else:
            same = Creditor(self._company(), self._iban(_HOME[caller]))
            for step in range(pick.randint(3, 6)):
                one = same if event % 2 else Creditor(self._person(), self._iban(_HOME[caller]))
                near = LIMIT - Decimal(pick.randint(1_000, 80_000)) / 100
                yield made(one, near, f"Beratung {step + 1}", self._hand(at.date() + timedelta(days=step // 2)))

    # -- parts -------------------------------------------------------------------------------------------------------------

    def _made(
        self,
        caller: str,
        creditor: Creditor,
        amount: Decimal,
        said: str,
        at: datetime,
        due: date,
        *,
        payroll: bool = False,
        state: PaymentState = PaymentState.SETTLED,
    ) -> Made:
        self._count += 1
        home = _HOME[caller]
        account = f"{home}00{'9' if payroll else '1'}0000000000000001"
        word = "Re" if said.startswith(("RE", "Rech", "INV", "Kunde")) else "Zahlung"
        subject = Subject(
            payment_id=f"p{self._count:06d}",
            caller=caller,
            connection_id=f"bank-{home.lower()}",
            submitted_at=at,
            submitted_by=None,
            terms=PaymentTerms(
                debtor=Party(name=f"House {home}"),
                debtor_account=Account(iban=account),
                debtor_agent=Agent(bic=f"BANK{home}XX"),
                requested_execution_date=due,
            ),
            transfer=CreditTransfer(
                instruction_id=f"I{self._count}",
                end_to_end_id=f"{word}-{self._count}",
                amount=amount,
                currency="EUR",
                creditor=Party(name=creditor.name),
                creditor_account=Account(iban=creditor.account),
                remittance_information=RemittanceInformation(unstructured=(said,)),
            ),
        )
        return Made(subject, state=state)

    def _near(self, amount: Decimal) -> Decimal:
        return (amount * self._random.randint(80, 125) / 100).quantize(Decimal("0.01"))

    def _working(self, day: date) -> date:
        while day.weekday() > 4 or day in HOLIDAYS:
            day += timedelta(days=1)
        return day

    def _at(self, day: date, hour: int, minute: int) -> datetime:
        return datetime(day.year, day.month, day.day, hour, minute, self._random.randint(0, 59), tzinfo=UTC)

    def _run(self, day: date) -> datetime:
        """One of the two payment runs of a working day; late ones at the end of a quarter."""
        day = self._working(day)
        late = day.month % 3 == 0 and day.day >= 28 and self._random.random() < 0.3
        return self._at(day, 18 if late else self._random.choice((9, 14)), self._random.randint(0, 25))

    def _hand(self, day: date) -> datetime:
        return self._at(self._working(day), self._random.randint(7, 16), self._random.randint(0, 59))

    def _iban(self, country: str) -> str:
        bank = self._random.choice(("10050000", "20070024", "37040044", "50060400", "70020270"))
        body = f"{bank}{self._random.randint(0, 10**10 - 1):010d}"
        check = 98 - int(f"{body}{int(country[0], 36)}{int(country[1], 36)}00") % 97
        return f"{country}{check:02d}{body}"

    def _person(self) -> str:
        first, last = self._random.choices(_FIRST, k=2), self._random.choices(_LAST, k=2)
        return f"{' '.join(first)} {'-'.join(last)}"

    def _company(self) -> str:
        words = f"{self._random.choice(_LAST)} {self._random.choice(_TRADE)}{self._random.choice(_TRADE).lower()}"
        return f"{words} {self._random.randint(1, 99)} {self._random.choice(_FORMS)}"
