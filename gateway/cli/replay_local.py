"""Replaying without a service: on a copy of a store, or on an empty one that knows the payments that are expected."""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final

from formats.bank import UnknownBank
from formats.errors import Unparsable
from formats.model import Account, Agent, CreditTransfer, Party, PaymentTerms
from gateway.cli.output import USAGE, CommandFailed
from gateway.cli.serve import loaded
from gateway.cli.sources import why
from gateway.clock import now
from gateway.config import AccountSettings, ConnectionSettings
from gateway.connection import open_connection
from gateway.expectations import BadExpectation, ExpectedPayment, sent_messages, store_expected
from gateway.intake import Intake
from gateway.payment import PaymentOrder
from gateway.replay import Replay, Replayed, unreadable
from gateway.rpc.client import BadPayment, as_dict, orders_from_messages, parse_json, payment_from_json
from gateway.rpc.replay import response_of
from gateway.store.factory import BadStoreUrl, empty_store, open_copy
from gateway.store.records import PaymentFilter
from gateway.store.store import Store, StoreUnavailable
from gateway.telemetry import Metrics
from keys.seal import KeyUnavailable

NO_CONNECTION: Final = "expected"  # the id of the connection where none is configured
_PREFIX: Final = "bankgate-replay-"
_OURS: Final = ("message_id", "payment_information_id", "instruction_id")  # beside the fields of PaymentRequest
_NO_DATE: Final = date(1970, 1, 1)

Files = Sequence[tuple[str, Path]]
"""Each file with the name that it goes by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """The payments that were sent, by the files that say so, and the plugin that reads the bank's."""

    bank: str
    sent: tuple[Path, ...]
    payments: tuple[Path, ...]


async def on_copy(
    directory: Path, connection: str, files: Files, done: Callable[[], None], *, sealed: bool
) -> AsyncIterator[dict[str, Any]]:
    """What the files would change in the store of a configuration, which is copied and otherwise left alone."""
    configuration = loaded(directory)
    settings = configuration.connections.get(connection)
    if settings is None:
        raise CommandFailed(f"{directory}: there is no connection {connection!r}", USAGE)
    with _private_folder() as folder:
        try:
            store = await asyncio.to_thread(
                open_copy,
                configuration.store,
                configuration.directory,
                folder,
                connection_id=connection,
                database=configuration.database,
            )
        except (BadStoreUrl, StoreUnavailable) as error:
            raise CommandFailed(str(error)) from None
        async with _opened(store):
            replay = _replay(store, settings, configuration.directory)
            async for result in _results(replay, files, done, sealed=sealed):
                yield result


async def on_expectations(expected: Expectations, files: Files, done: Callable[[], None]) -> AsyncIterator[dict[str, Any]]:
    """What the files would change of the expected payments; at the end, where each of these then stands."""
    payments = [payment for path in expected.sent for payment in _sent(path)]
    payments += [payment for path in expected.payments for payment in _listed(path)]
    settings = ConnectionSettings(
        id=NO_CONNECTION,
        bank=expected.bank,
        initiating_party="none",
        accounts=(AccountSettings(holder="none"),),
        channel={"kind": "folder", "upload": "."},
    )
    with _private_folder() as folder:
        store = empty_store(folder)
        async with _opened(store):
            try:
                replay = _replay(store, settings, folder)
                await store_expected(store, NO_CONNECTION, payments, now())
            except UnknownBank as error:
                raise CommandFailed(str(error), USAGE) from None
            except BadExpectation as error:
                raise CommandFailed(str(error)) from None
            async for result in _results(replay, files, done, sealed=False):
                yield result
            async for result in _ends(store, replay):
                yield result


def _replay(store: Store, settings: ConnectionSettings, base: Path) -> Replay:
    connection = open_connection(settings, base, now)
    return Replay(store, Intake(store, connection, connection.channel(store), now, Metrics()), commit=False)


async def _results(replay: Replay, files: Files, done: Callable[[], None], *, sealed: bool) -> AsyncIterator[dict[str, Any]]:
    for name, path in files:
        try:
            async for result in _of_file(replay, name, path, sealed=sealed):
                yield as_dict(response_of(result))
        except KeyUnavailable as error:
            raise CommandFailed(f"{path}: {error}") from None
        done()


async def _of_file(replay: Replay, name: str, path: Path, *, sealed: bool) -> AsyncIterator[Replayed]:
    try:
        with path.open("rb") as source:
            async for result in replay.file(name, source, sealed=sealed):
                yield result
    except OSError as error:
        for told in unreadable(name, why(error)):
            yield told


async def _ends(store: Store, replay: Replay) -> AsyncIterator[dict[str, Any]]:
    token: str | None = None
    while True:
        page, token = await store.list_payments(PaymentFilter(), limit=1000, before=token)
        for payment in page:
            state = replay.shadow.state_of(payment)
            yield {"payment": {"payment_reference": payment.payment_reference, "state": state.value}}
        if token is None:
            return


# -- expectations ----------------------------------------------------------------------------------------------------------


def _sent(path: Path) -> list[ExpectedPayment]:
    def opened() -> BinaryIO:
        return path.open("rb")

    return _named(path, lambda: sent_messages(opened))


def _listed(path: Path) -> list[ExpectedPayment]:
    """The JSON form of `SubmitPaymentsRequest`; beside the fields of a payment may stand the ids under which it was sent, and
    beside the payments the `message_id` of those that name none."""

    def read() -> list[ExpectedPayment]:
        content = parse_json(path.read_text(encoding="utf-8-sig"))
        if not isinstance(content, dict) or not isinstance(content.get("payments"), list):
            raise BadExpectation('expected {"message_id": "…", "payments": [ … ]}')
        surplus = sorted(set(content) - {"payments", "message_id"})
        if surplus:
            raise BadExpectation(f"the key {surplus[0]!r} is none of payments and message_id")
        shared = _text(content, "message_id", "") or "EXPECTED"
        return [_listed_one(item, place, shared) for place, item in enumerate(content["payments"])]

    return _named(path, read)


def _listed_one(item: Any, place: int, shared: str) -> ExpectedPayment:
    at = f"payments[{place}]"
    if not isinstance(item, dict):
        raise BadExpectation(f"{at}: a payment is a JSON object")
    ids = {name: _text(item, name, f"{at}.") for name in _OURS}
    message = payment_from_json({key: value for key, value in item.items() if key not in _OURS})
    (order,) = orders_from_messages([message])
    if order.problems:
        raise BadExpectation(f"{at}.{order.problems[0].field}: {order.problems[0].message_en}")
    if order.amount is None or order.currency is None:
        raise BadExpectation(f"{at}: an expected payment has an amount and a currency")
    message_id = ids["message_id"] or shared
    return ExpectedPayment(
        reference=order.payment_reference,
        message_id=message_id,
        message_name="",
        payment_information_id=ids["payment_information_id"] or f"{message_id}-1",
        terms=PaymentTerms(
            debtor=order.debtor or Party(name=""),
            debtor_account=order.debtor_account or Account(),
            debtor_agent=order.debtor_agent or Agent(),
            requested_execution_date=order.requested_execution_date or _NO_DATE,
        ),
        transfer=CreditTransfer(
            instruction_id=ids["instruction_id"],
            end_to_end_id=_end_to_end(order),
            amount=order.amount,
            currency=order.currency,
            creditor=order.creditor or Party(name=""),
            creditor_account=order.creditor_account,
            uetr=order.uetr,
        ),
    )


def _end_to_end(order: PaymentOrder) -> str:
    """As the service fills it in (bankgate.v1, PaymentRequest.end_to_end_id)."""
    return order.end_to_end_id or (order.payment_reference if 0 < len(order.payment_reference) <= 35 else "NOTPROVIDED")


def _text(item: dict[str, Any], name: str, at: str) -> str:
    value = item.get(name, "")
    if not isinstance(value, str):
        raise BadExpectation(f"{at}{name}: expected a text")
    return value


def _named(path: Path, read: Callable[[], list[ExpectedPayment]]) -> list[ExpectedPayment]:
    """What `read` gives; its problems with the file's name. Raises `CommandFailed`."""
    try:
        return read()
    except OSError as error:
        raise CommandFailed(f"{path}: {why(error)}") from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{path}: is not UTF-8 text") from None
    except Unparsable as error:
        line = "" if error.line is None else f"line {error.line}: "
        raise CommandFailed(f"{path}: {line}{error.problem}") from None
    except (BadExpectation, BadPayment) as error:
        raise CommandFailed(f"{path}: {error}") from None


# -- a folder of our own ---------------------------------------------------------------------------------------------------


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder readable by its owner only, gone afterwards. What a killed replay left behind goes with the next one: a folder
    belongs to whoever holds the lock of its file `alive`, and the system lets go of a dead process's locks."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    alive = os.open(folder / "alive", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(alive)


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            alive = os.open(folder / "alive", os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # being made or removed just now, or not a folder of ours
            continue
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(alive)


@asynccontextmanager
async def _opened(store: Store) -> AsyncIterator[None]:
    try:
        try:
            await store.open()
        except StoreUnavailable as error:
            raise CommandFailed(str(error)) from None
        yield
    finally:
        await store.close()
