"""What the people who run bankgate see and decide, and replaying bank files."""

from collections.abc import AsyncIterator
from dataclasses import replace

from gateway.alarms import QueueAge, queue_ages
from gateway.callers import Caller
from gateway.config import Configuration, ConnectionSettings
from gateway.connection import open_connection
from gateway.errors import BadRequest, NotFound, TooLate
from gateway.intake import Intake
from gateway.lanes import fetch_lane
from gateway.lifecycle import DELIVERY_TABLE, DeliveryEvent, DeliveryState, PaymentEvent, advance
from gateway.onboarding import Onboarding, onboarding_of
from gateway.reasons import ours
from gateway.replay import Chunk, Replay, Replayed, ReplayedFile
from gateway.replay_space import ReplaySpace
from gateway.store.records import (
    Attempt,
    ConnectionHealth,
    Delivery,
    DeliveryChange,
    DeliveryFilter,
    Discrepancy,
    Evidence,
    InboundFile,
    Reason,
)
from gateway.store.serials import GivenSerial
from gateway.store.store import Clock, Stale, Store
from gateway.store.story import DeliveryEventRow
from gateway.telemetry import Metrics
from gateway.use_cases.desk import Desk, need_reason, one_page, page_size
from gateway.window_settings import send_window


class Operations(Desk):
    """The use cases of an operator."""

    def __init__(self, configuration: Configuration, store: Store, *, clock: Clock, metrics: Metrics) -> None:
        super().__init__(configuration, store, clock=clock, metrics=metrics)
        self._replays = ReplaySpace()

    async def list_deliveries(
        self, caller: Caller, where: DeliveryFilter, limit: int, token: str | None
    ) -> tuple[list[Delivery], str | None]:
        self._authorise(caller, "operate", where.connection_id)
        limited = replace(where, connection_ids=self._visible(caller, "operate", where.connection_id))
        return await one_page(self._store.list_deliveries(limited, limit=page_size(limit), before=token))

    async def delivery(
        self, caller: Caller, delivery_id: str
    ) -> tuple[Delivery, list[Attempt], list[Evidence], list[DeliveryEventRow]]:
        """One message with its attempts, its evidence and everything that happened to it."""
        self._authorise(caller, "operate")
        delivery = await self._delivery_of(caller, delivery_id)
        store = self._store
        return (
            delivery,
            await store.attempts(delivery_id),
            await store.evidence(delivery_id),
            await store.delivery_events(delivery_id),
        )

    async def serials(self, delivery: Delivery) -> list[GivenSerial]:
        """The numbers by which the bank knows the payments of a message that the caller was shown; none at most banks."""
        return await self._store.serials_of(delivery.delivery_id)

    async def resolve_delivery(
        self, caller: Caller, delivery_id: str, arrived: bool, reason: str, *, attempt: int | None = None
    ) -> Delivery:
        """A person's decision about a delivery in doubt: kept as evidence, with who and why.

        `attempt`: which one was asked about. That one attempt did not arrive says nothing about the next, which may have been
        begun, and have arrived, while the person was asking: sending again would pay twice. That it arrived stays true.
        """
        self._authorise(caller, "operate")
        need_reason(reason)
        delivery = await self._delivery_of(caller, delivery_id)
        if delivery.state is not DeliveryState.IN_DOUBT:
            raise TooLate(f"the delivery is {delivery.state.value}; only one in doubt is decided", delivery.state.value)
        if not arrived and attempt is None and delivery.attempt > 1:
            raise BadRequest("attempt", f"say which attempt did not arrive; {delivery.attempt} were made, the last is in doubt")
        if not arrived and attempt not in {None, delivery.attempt}:
            raise TooLate(f"attempt {delivery.attempt} has begun since; ask the bank about that one", delivery.state.value)
        event = DeliveryEvent.FOUND if arrived else DeliveryEvent.FOUND_MISSING
        now = self._clock()
        if not arrived and delivery.lease_until is not None and delivery.lease_until > now:
            raise TooLate(
                "another process took this message over from its sender, who may only be stopped: decide after "
                f"{delivery.lease_until:%Y-%m-%d %H:%M:%S} UTC, when the sender's time is over, and ask the bank again then",
                delivery.state.value,
            )
        evidence = Evidence(
            found_at=now,
            source=f"person: {caller.acts}",
            verdict="arrived" if arrived else "did_not_arrive",
            detail=reason,
        )
        line = self._line(
            caller,
            "delivery.resolved",
            "delivery",
            delivery_id,
            verdict=evidence.verdict,
            attempt=delivery.attempt,
            reason=reason,
        )
        try:
            return await self._store.change_delivery(
                DeliveryChange(
                    delivery_id=delivery_id,
                    fence=delivery.fence,
                    state=delivery.state,
                    event=event,
                    next_state=advance(DELIVERY_TABLE, delivery.state, event),
                    reason=ours("decided", f"{caller.acts}: {reason}"),
                    source=f"person: {caller.acts}",
                    due_at=None if arrived else now,
                    evidence=(evidence,),
                    payment_event=PaymentEvent.MESSAGE_SENT if arrived else None,
                    payment_reason=ours("sent") if arrived else Reason(),
                    audit=(line,),
                )
            )
        except Stale:
            raise TooLate("the delivery has moved on in the meantime; look again", "") from None

    async def list_discrepancies(
        self, caller: Caller, connection_id: str | None, include_resolved: bool, limit: int, token: str | None
    ) -> tuple[list[Discrepancy], str | None]:
        self._authorise(caller, "operate", connection_id)
        return await one_page(
            self._store.list_discrepancies(
                connection_ids=self._visible(caller, "operate", connection_id),
                include_resolved=include_resolved,
                limit=page_size(limit),
                before=token,
            )
        )

    async def resolve_discrepancy(self, caller: Caller, discrepancy_id: int, reason: str) -> Discrepancy:
        self._authorise(caller, "operate")
        need_reason(reason)
        found = await self._store.discrepancy(discrepancy_id)
        if found is None or not caller.may("operate", found.connection_id):
            raise NotFound("there is no such discrepancy")
        try:
            line = self._line(caller, "discrepancy.resolved", "discrepancy", str(discrepancy_id), key=found.key, reason=reason)
            return await self._store.resolve_discrepancy(discrepancy_id, caller.acts, reason, [line])
        except Stale:
            raise TooLate("the discrepancy is resolved already", "resolved") from None

    async def list_inbound(
        self, caller: Caller, connection_id: str | None, state: str | None, limit: int, token: str | None
    ) -> tuple[list[InboundFile], str | None]:
        self._authorise(caller, "operate", connection_id)
        visible = self._visible(caller, "operate", connection_id)
        if visible is not None and connection_id is None:
            raise BadRequest("connection_id", "name one of your connections")
        return await one_page(
            self._store.list_inbound(connection_id=connection_id, state=state or None, limit=page_size(limit), before=token)
        )

    async def reread(self, caller: Caller, inbound_file_id: int) -> InboundFile:
        """Marks a file to be read again by the worker; applying it changes only what is missing."""
        self._authorise(caller, "operate")
        file = await self._store.inbound_file(inbound_file_id)
        if file is None or not caller.may("operate", file.connection_id):
            raise NotFound("there is no such file")
        line = self._line(caller, "inbound.reread", "inbound_file", str(inbound_file_id), sha256=file.sha256, was=file.state)
        await self._store.finish_inbound(inbound_file_id, state="stored", audit=[line])
        await self._store.wake_lane(fetch_lane(file.connection_id))
        return replace(file, state="stored", problem=None)

    async def connections(self, caller: Caller) -> list[tuple[ConnectionSettings, ConnectionHealth]]:
        self._authorise(caller, "operate")
        return [
            (settings, await self._store.health(name))
            for name, settings in sorted(self._configuration.connections.items())
            if caller.may("operate", name)
        ]

    async def connection(self, caller: Caller, connection_id: str) -> tuple[ConnectionSettings, ConnectionHealth]:
        self._authorise(caller, "operate", connection_id)
        return self._settings(connection_id), await self._store.health(connection_id)

    async def queues(self, caller: Caller, connection_id: str) -> list[QueueAge]:
        """The queues of a connection in which something waits, and since when."""
        self._authorise(caller, "operate", connection_id)
        settings = self._settings(connection_id)
        return await queue_ages(self._store, settings, send_window(settings), self._clock())

    async def onboarding(self, caller: Caller, connection_id: str) -> Onboarding | None:
        """Where the access to the bank stands, as stored; None where it needs no setting up."""
        self._authorise(caller, "operate", connection_id)
        return await onboarding_of(self._store, self._settings(connection_id))

    async def fetch_now(self, caller: Caller, connection_id: str) -> None:
        self._authorise(caller, "operate", connection_id)
        self._settings(connection_id)
        await self._store.audit([self._line(caller, "connection.fetch_asked", "connection", connection_id)])
        await self._store.wake_lane(fetch_lane(connection_id))

    async def replay(
        self,
        caller: Caller,
        connection_id: str,
        files: AsyncIterator[Chunk],
        sealed: bool,
        commit: bool,
    ) -> AsyncIterator[Replayed]:
        """What the files would change on that connection; with `commit`, changes it. Raises `TooMany` beside the usual."""
        self._authorise(caller, "replay", connection_id)
        connection = open_connection(self._settings(connection_id), self._configuration.directory, self._clock)
        intake = Intake(self._store, connection, connection.channel(self._store), self._clock, self._metrics)
        with self._replays.admitted():
            if commit:
                await self._store.audit([self._line(caller, "replay.begun", "connection", connection_id, sealed=sealed)])
            async for result in Replay(self._store, intake, commit, self._replays).run(files, sealed=sealed):
                if commit and isinstance(result, ReplayedFile):
                    told = {"message": result.message, "records": result.records, "changes": result.changes}
                    line = self._line(caller, "replay.file", "connection", connection_id, committed=result.committed, **told)
                    await self._store.audit([line])
                yield result

    async def _delivery_of(self, caller: Caller, delivery_id: str) -> Delivery:
        found = await self._store.delivery(delivery_id)
        if found is None or not caller.may("operate", found.connection_id):
            raise NotFound("there is no such delivery")
        return found
