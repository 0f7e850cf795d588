"""Forming bank messages: which payments, rendered and sealed once, and kept. Nothing here sends.

Banks that answer at once (`formats.dialogue`) know payments by serial numbers: these are given before the message is rendered,
and nothing is sealed here, since the envelope is made at each exchange.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import BinaryIO
from zoneinfo import ZoneInfo

from formats.camt055 import write_camt055
from formats.dialogue import DialogueBank
from formats.errors import FormatError, Unrenderable, Violation
from formats.model import CreditTransfer, PaymentBlock, PaymentInitiation, PaymentTerms
from formats.model_requests import CancellationRequest
from formats.schemas import validate_outbound
from formats.written import Check, as_written, is_plain
from gateway import discrepancies as say
from gateway.batching import plan_message
from gateway.connection import Connection
from gateway.discrepancies import Origin
from gateway.lifecycle import DELIVERY_TABLE, UNRESOLVED, DeliveryEvent, DeliveryState, PaymentEvent, advance
from gateway.reasons import ours
from gateway.recall import cancellation_request
from gateway.release_groups import release_complete
from gateway.review_gate import Gate, NotApproved, Watch
from gateway.serial_numbers import Below, draw
from gateway.store.records import Delivery, DeliveryBlock, DeliveryChange, DeliveryFilter, NewDelivery
from gateway.store.serials import DeliverySerials, SerialTaken
from gateway.store.store import Clock, Stale, Store
from gateway.telemetry import Metrics

FIRST_JUDGEMENT_PAUSE = timedelta(seconds=1)  # until it is looked again whether what waited when rules came was judged
IN_FLIGHT_PAUSE = timedelta(seconds=15)  # until it is looked again whether messages under way have become fewer
DRAWS_MAX = 20  # of numbers that turn out to be taken: more means that the bank's shape has no room left
_NOT_KEPT = Violation(
    field="original_message_id",
    rule="recall.not-kept",
    source="bankgate, recalls",
    message_en="The payment, or the message that it travelled in, is not kept here any more.",
    message_zh="该付款或其所在报文已不在此保存。",
)
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no letters that are read as digits over the telephone


def new_message_id(now: datetime) -> str:
    """[MsgId] 24 letters and digits, so that it is a file name too: date and time to the second, and 10 random ones."""
    return now.strftime("BG%y%m%d%H%M%S") + "".join(secrets.choice(_ALPHABET) for _ in range(10))


@dataclass(frozen=True, slots=True)
class Preparer:
    """Forms the messages of one connection, and gives each its sealed document."""

    store: Store
    connection: Connection
    clock: Clock
    metrics: Metrics
    new_id: Callable[[datetime], str] = new_message_id
    below: Below = secrets.randbelow
    gate: Gate | None = None  # None: nothing is judged here, as in a rehearsal

    async def form_messages(self) -> datetime | None:
        """Turns every due group of approved payments into READY deliveries; when to look again, None if nothing waits.

        Messages that are not known to have arrived are bounded: at so many, payments wait as they are.
        """
        if self.gate is not None and not await self.gate.ready():
            return self.clock() + FIRST_JUDGEMENT_PAUSE
        await release_complete(self.store, self.connection.id, self.clock(), self._time_zone())
        settings, window = self.connection.settings.batching, self.connection.settings.send_window
        lead = timedelta(seconds=0 if window is None else window.lead_seconds)
        most = self.connection.settings.retry.in_flight_max
        under_way = await self._count(UNRESOLVED, most)
        formed_some = False
        while True:
            now = self.clock()
            groups = await self.store.waiting_groups(self.connection.id)
            message_id = self.new_id(now)
            plan = plan_message(
                groups,
                message_id=message_id,
                transfers_max=self.connection.transfers_max,
                wait=timedelta(seconds=settings.wait_seconds),
                now=now,
                window=self.connection.window,
                lead=lead,
                groups_apart=self._talks,
            )
            if not plan.blocks:
                return plan.look_again_at
            if under_way >= most:
                # What was formed just now leaves with this turn; else what is under way ends without waking this lane.
                return now if formed_some else now + IN_FLIGHT_PAUSE
            today = now.astimezone(self._time_zone()).date()
            name = self.connection.settings.message or next(
                (n for n, v in self.connection.bank.capabilities.sends.items() if v.covers(today)), None
            )
            if name is None:
                return now + timedelta(minutes=1)  # no message version is valid today; submits are refused meanwhile
            formed = await self.store.form_delivery(
                NewDelivery(
                    delivery_id=f"d{message_id[2:].lower()}",
                    connection_id=self.connection.id,
                    message_id=message_id,
                    message_name=name,
                    file_name=self.connection.file_name(message_id, now),
                    creation_date_time=now.replace(microsecond=0),
                    blocks=plan.blocks,
                    due_at=now,
                )
            )
            if formed is not None:
                under_way, formed_some = under_way + 1, True

    async def _count(self, states: Iterable[DeliveryState], most: int) -> int:
        """How many messages are in these states, up to `most`."""
        where = DeliveryFilter(connection_id=self.connection.id, states=tuple(states))
        found, _ = await self.store.list_deliveries(where, limit=most)
        return len(found)

    async def seal_document(self, delivery: Delivery) -> Delivery | None:
        """Renders, validates and seals a message, once; None if it was abandoned: it cannot be said, or some of its payments must
        not leave (`gateway.review_gate`).

        The bytes stored here are all that is ever sent of this message (design, section 5, rule 2). Raises KeyUnavailable, and
        SerialTaken where no free serial number is found.
        """
        try:
            watch = None if self.gate is None else await self.gate.watch(delivery)
            return await self._sealed(delivery, watch)
        except NotApproved as problem:
            if self.gate is not None:
                with suppress(Stale):  # somebody else has moved it; the next look decides
                    await self.gate.stop(delivery, problem)
            return None

    async def may_leave(self, delivery: Delivery) -> bool:
        """Whether a message that was sealed before may still leave; not if lists changed since and some of its payments are on
        them: then it is given up, and the others go into the next one."""
        hits = {} if self.gate is None else await self.gate.hits(delivery)
        if hits and self.gate is not None:
            with suppress(Stale):  # somebody else has moved it; the next look decides
                await self.gate.stop(delivery, NotApproved(hits))
        return not hits

    async def _sealed(self, delivery: Delivery, watch: Watch | None) -> Delivery | None:
        try:
            if delivery.message_name.startswith("camt.055"):
                request = await self._cancellation(delivery)
                write = partial(write_camt055, request)
            else:
                blocks = await self.store.delivery_blocks(delivery.delivery_id)
                if isinstance(self.connection.bank, DialogueBank):
                    await self._give_serials(self.connection.bank, delivery, blocks)
                message = await asyncio.to_thread(self._message, delivery, blocks, watch)
                write = partial(self.connection.bank.render, message)
            document_id, sha256, size = await asyncio.to_thread(self._render_and_seal, delivery.message_name, write, watch)
        except FormatError as problem:
            await self._abandon(delivery, problem)
            return None
        return await self.store.attach_document(delivery.delivery_id, delivery.fence, document_id, sha256, size)

    async def _give_serials(self, bank: DialogueBank, delivery: Delivery, blocks: list[DeliveryBlock]) -> None:
        """To the message and each of its payments, before anything of them can leave: committed when this returns. Once only;
        after a crash the same ones are rendered again."""
        ids = await asyncio.to_thread(self._instruction_ids, delivery, blocks)
        shape, today = bank.dialogue, self.clock().astimezone(self._time_zone()).date()
        taken: SerialTaken | None = None
        for _ in range(DRAWS_MAX):
            package = None if shape.package is None else draw(shape.package, today, self.below)
            given = [(instruction_id, draw(shape.serial, today, self.below)) for instruction_id in ids]
            try:
                return await self.store.give_serials(delivery.delivery_id, delivery.fence, given, package)
            except SerialTaken as problem:
                taken = problem
        assert taken is not None  # noqa: S101 - else it would have returned
        raise taken

    def _instruction_ids(self, delivery: Delivery, blocks: list[DeliveryBlock]) -> list[str]:
        return [
            transfer.instruction_id
            for block in blocks
            for transfer in self.store.delivery_transfers(delivery.delivery_id, block.payment_information_id)
        ]

    def _message(self, delivery: Delivery, blocks: list[DeliveryBlock], watch: Watch | None = None) -> PaymentInitiation:
        say = self._saying(delivery, watch)
        return PaymentInitiation(
            serial_number=None if say.serials is None else say.serials.package,
            message_id=delivery.message_id,
            message_name=delivery.message_name,
            creation_date_time=delivery.creation_date_time,
            initiating_party=self.connection.initiating_party,
            blocks=tuple(
                PaymentBlock(
                    payment_information_id=block.payment_information_id,
                    terms=say.terms(block.terms, block.payment_information_id),
                    count=block.count,
                    control_sum=block.control_sum,
                    transfers=partial(say.transfers, block.terms, block.payment_information_id),
                )
                for block in blocks
            ),
        )

    def _saying(self, delivery: Delivery, watch: Watch | None) -> "_Saying":
        on = delivery.creation_date_time.astimezone(self._time_zone()).date()
        return _Saying(
            check=partial(self.connection.bank.check, on=on, message_name=delivery.message_name),
            stored=partial(self.store.delivery_transfers, delivery.delivery_id),
            as_asked=self.connection.settings.characters == "refuse",
            serials=self.store.delivery_serials(delivery.delivery_id) if self._talks else None,
            watch=watch,
        )

    async def _cancellation(self, delivery: Delivery) -> CancellationRequest:
        """What a delivery that carries a recall asks for. Raises `Unrenderable` if the payment is not kept here any more."""
        recall = await self.store.recall_of_delivery(delivery.delivery_id)
        payment = None if recall is None else await self.store.payment(recall.payment_id)
        original = None if payment is None or not payment.delivery_id else await self.store.delivery(payment.delivery_id)
        if recall is None or payment is None or original is None:
            raise Unrenderable((_NOT_KEPT,))
        case = self.connection.settings.recalls.case
        return cancellation_request(recall, payment, (original, delivery), self.connection.initiating_party, case=case)

    def _render_and_seal(self, message_name: str, write: Callable[[BinaryIO], None], watch: Watch | None) -> tuple[int, str, int]:
        """In a thread. The schema is a hard gate: what is not valid is never sealed, nor what is not what was approved. What goes
        into an envelope at each exchange is kept as it was rendered."""
        stage = self.metrics.stage
        rendered = self.store.document_writer("rendered")
        try:
            with stage(self.connection.id, "render"):
                write(rendered)  # type: ignore[arg-type]  # a writer is all it needs
            if watch is not None:
                watch.must_fit()
            kept = rendered.finish()
        except BaseException:
            rendered.discard()
            raise
        if message_name.startswith(("pain.", "camt.055")):
            with closing(self.store.open_document(kept[0])) as source, stage(self.connection.id, "validate"):
                validate_outbound(source, message_name, self.connection.schemas)
        if self._talks:
            return kept
        sealed = self.store.document_writer("sealed")
        try:
            with closing(self.store.open_document(kept[0])) as source, stage(self.connection.id, "seal"):
                self.connection.seal.seal(source, sealed)  # type: ignore[arg-type]  # a writer is all it needs
            return sealed.finish()
        except BaseException:
            sealed.discard()
            raise

    async def _abandon(self, delivery: Delivery, problem: FormatError) -> None:
        origin = Origin(connection_id=self.connection.id, inbound_file_id=0, source="gateway")
        try:
            await self.store.change_delivery(
                DeliveryChange(
                    delivery_id=delivery.delivery_id,
                    fence=delivery.fence,
                    state=delivery.state,
                    event=DeliveryEvent.ABANDON,
                    next_state=advance(DELIVERY_TABLE, delivery.state, DeliveryEvent.ABANDON),
                    reason=ours("unrenderable", str(problem)[:500]),
                    payment_event=PaymentEvent.HOLD,
                    payment_reason=ours("unrenderable", str(problem)[:500]),
                    discrepancies=(say.unrenderable(origin, delivery, str(problem)),),
                )
            )
        except Stale:
            return  # somebody else has moved it; the next look decides

    @property
    def _talks(self) -> bool:
        """Whether the bank answers at once."""
        return isinstance(self.connection.bank, DialogueBank)

    def _time_zone(self) -> ZoneInfo:
        return self.connection.time_zone


@dataclass(frozen=True, slots=True)
class _Saying:
    """Stored payments as they are written: texts that the scheme does not carry are replaced, as the caller was told (`as_asked`:
    they are not, and were refused), and serial numbers stand with them. Made from what is stored each time, and the same each
    time."""

    check: Check
    stored: Callable[[str], Iterable[CreditTransfer]]  # the transfers of a block, by its id
    as_asked: bool
    serials: DeliverySerials | None = None  # None: the bank knows payments by our ids
    watch: Watch | None = None  # is shown each payment as it is written

    def terms(self, terms: PaymentTerms, block: str) -> PaymentTerms:
        """The terms of a block. Rules are put to whole payments, so its first one stands for all."""
        first = None if self.as_asked else next(iter(self.stored(block)), None)
        return terms if first is None else as_written(terms, first, self.check(terms, first), self.check).terms

    def transfers(self, terms: PaymentTerms, block: str) -> Iterator[CreditTransfer]:
        """The transfers of a block, in order."""
        for stored in self.stored(block):
            if self.watch is not None:
                self.watch.look(terms, stored)
            serial = None if self.serials is None else self.serials.by_instruction_id[stored.instruction_id]
            transfer = stored if serial is None else replace(stored, serial_number=serial)
            if self.as_asked or is_plain(transfer):
                yield transfer
            else:
                yield as_written(terms, transfer, self.check(terms, transfer), self.check).transfer
