"""The ledger behind the front machines."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.front.amounts import fen_number, fen_of, yuan
from simulator.front.books import Books, NewOrder, Order, Party
from simulator.front.fates import BY_FEN, BY_WORD, Fate, Pace, State, fate_of, steps

NOW = datetime(2026, 1, 5, 1, 30, tzinfo=UTC)
DAY = date(2026, 1, 5)
PACE = Pace(settle=1, returned=10)


def new(serial: str = "S1", amount: int = 100, package: str = "P1") -> NewOrder:
    payee = Party(account="6200000000000000005", name="乙公司", purpose="货款")
    return NewOrder(serial=serial, package=package, function="PAY", account="A1", amount=amount, payee=payee, echo={"x": "甲"})


def take(books: Books, order: NewOrder, fate: Fate = Fate.SETTLED, **more: float) -> Order:
    return books.take("cib", "C1", order, steps(fate, PACE), NOW, **more)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def books() -> Books:
    fresh = Books()
    fresh.open_account("A1", "甲公司", 1000)
    return fresh


def balance(books: Books) -> int:
    account = books.account("A1")
    assert account is not None
    return account.balance


def state(books: Books, serial: str = "S1") -> State:
    found = books.known("cib", "C1", serial)
    assert found is not None
    return found.state


def test_money_leaves_when_an_order_settles_and_not_before(books: Books) -> None:
    take(books, new())
    books.settle(later(0.5))
    assert (state(books), balance(books)) == (State.PROCESSING, 1000)
    books.settle(later(1))
    assert (state(books), balance(books)) == (State.SETTLED, 900)
    books.settle(later(5))
    assert balance(books) == 900


def test_what_comes_back_is_booked_once(books: Books) -> None:
    take(books, new(), Fate.RETURNED)
    books.settle(later(1))
    assert balance(books) == 900
    books.settle(later(11))
    books.settle(later(20))
    assert (state(books), balance(books)) == (State.RETURNED, 1000)
    rows = books.entries("A1", DAY, DAY)
    assert [(row.credit, row.reversal, row.balance) for row in rows] == [(False, False, 900), (True, True, 1000)]
    assert [order.serial for order in books.returned("cib", "C1", DAY, DAY)] == ["S1"]
    assert not books.returned("cib", "C1", date(2026, 1, 6), date(2026, 1, 6))


def test_steps_that_fall_together_keep_their_order(books: Books) -> None:
    at_once = steps(Fate.RETURNED, Pace(settle=0, returned=0))
    books.take("cib", "C1", new(), at_once, NOW)
    assert (state(books), balance(books), len(books.entries("A1", DAY, DAY))) == (State.RETURNED, 1000, 2)


def test_more_than_there_is_is_rejected_and_stays_so(books: Books) -> None:
    take(books, new("S1", 1001), Fate.RETURNED)
    books.settle(later(100))
    assert (state(books), balance(books)) == (State.REJECTED, 1000)
    assert books.executions() == {("cib", "C1", "S1"): 0}


def test_one_serial_number_executed_twice_is_seen(books: Books) -> None:
    take(books, new())
    assert not books.paid_twice()
    take(books, new())
    assert books.paid_twice() == ("S1",), "already when the second is under way"
    books.settle(later(1))
    assert books.paid_twice() == ("S1",)
    assert balance(books) == 800


def test_a_repeat_of_what_failed_is_no_second_payment(books: Books) -> None:
    take(books, new(), Fate.REJECTED)
    take(books, new())
    books.settle(later(1))
    assert not books.paid_twice()


def test_one_payment_under_two_serial_numbers_is_seen(books: Books) -> None:
    take(books, new("S1"))
    take(books, new("S2"))
    take(books, new("S3", 101))
    assert list(books.alike().values()) == [("S1", "S2")]


def test_a_hidden_order_is_known_but_not_found(books: Books) -> None:
    take(books, new(), hidden_for=60.0)
    assert books.known("cib", "C1", "S1") is not None
    assert books.find("cib", "C1", "S1", later(59)) is None
    assert books.of_package("cib", "C1", "P1", later(59)) == ()
    found = books.find("cib", "C1", "S1", later(60))
    assert found is not None
    assert books.find_reference("cib", "C1", found.reference, later(60)) == found
    assert books.find_reference("cib", "C1", "12", later(60)) is None


def test_orders_of_another_customer_or_bank_are_not_seen(books: Books) -> None:
    take(books, new())
    assert books.known("cib", "C2", "S1") is None
    assert books.known("cmb", "C1", "S1") is None


def test_a_refusal_in_a_transaction_leaves_nothing(books: Books) -> None:
    def refused() -> None:
        with books.transaction():
            take(books, new())
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        refused()
    assert not books.orders()
    with books.transaction():
        take(books, new("S2"))
        with pytest.raises(ValueError, match="no"):
            refused()
    assert [order.serial for order in books.orders()] == ["S2"], "one inside another undoes its own"


def test_the_books_outlive_a_restart(tmp_path: Path) -> None:
    first = Books(tmp_path / "books.db")
    first.open_account("A1", "甲公司", 1000)
    take(first, new())
    assert first.use("cib", "C1", "package", "P1")
    first.keep("token", "T1")
    first.close()
    second = Books(tmp_path / "books.db")
    second.open_account("A1", "甲公司", 5000)
    second.settle(later(1))
    assert (state(second), balance(second)) == (State.SETTLED, 900)
    assert not second.use("cib", "C1", "package", "P1")
    assert second.kept("token") == "T1"
    second.close()


def test_yesterdays_balance_is_the_last_before_the_day(books: Books) -> None:
    take(books, new())
    books.settle(later(1))
    books.receive("A1", 50, Party(name="丙公司"), later(86400))
    assert [books.balance_before("A1", DAY + timedelta(days=days)) for days in range(3)] == [1000, 900, 950]


def test_a_tester_can_force_a_state_and_it_stays(books: Books) -> None:
    take(books, new())
    forced = books.force("cib", "S1", State.REJECTED, "户名不符", NOW)
    assert (forced.state, forced.reason) == (State.REJECTED, "户名不符")
    books.settle(later(100))
    assert balance(books) == 1000
    books.force("cib", "S1", State.SETTLED, "", later(100))
    assert balance(books) == 900
    with pytest.raises(KeyError):
        books.force("cib", "S9", State.SETTLED, "", NOW)


def test_every_fate_is_reached_by_digits_and_by_name() -> None:
    assert {*BY_FEN.values()} == {*BY_WORD.values()} == {*Fate} - {Fate.SETTLED}
    assert fate_of(10091, "乙公司") is Fate.REJECTED
    assert fate_of(10091, "退票公司") is Fate.RETURNED
    assert fate_of(10000, "乙公司") is Fate.SETTLED


@given(st.lists(st.tuples(st.integers(1, 400), st.sampled_from(list(Fate))), max_size=12), st.integers(1, 6))
def test_balance_and_entries_agree_whatever_happens(orders: list[tuple[int, Fate]], moments: int) -> None:
    books = Books()
    books.open_account("A1", "甲公司", 1000)
    for number, (amount, fate) in enumerate(orders):
        take(books, new(f"S{number}", amount), fate)
    for moment in range(moments):
        books.settle(later(moment * 20))
    rows = books.entries("A1", DAY, DAY)
    assert balance(books) == 1000 + sum(row.amount if row.credit else -row.amount for row in rows)
    assert balance(books) >= 0
    paid = {row.serial for row in rows if not row.credit}
    assert paid == {order.serial for order in books.orders() if order.executed}
    books.close()


@given(st.integers(0, 10**17 - 1))
def test_yuan_and_fen_are_the_same_money(fen: int) -> None:
    assert fen_of(yuan(fen)) == fen
    assert fen_number(str(fen)) == fen


@pytest.mark.parametrize("text", ["", "1.", ".5", "1.234", "-1", "+1", "1,00", "１", "1e3", " 1"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert fen_of(text) is None
    assert yuan(-5) == "-0.05"
