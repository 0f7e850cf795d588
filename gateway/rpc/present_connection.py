"""A connection as operators see it: its settings without secrets, how it is doing, its windows and its queues."""

from collections.abc import Sequence
from datetime import datetime

from bankgate.v1 import operations_pb2 as operations
from bankgate.v1 import types_pb2 as pb
from formats.model import PaymentType
from gateway.alarms import QueueAge
from gateway.banks import bank_of
from gateway.config import ConnectionSettings
from gateway.onboarding import Onboarding
from gateway.rpc.present import moment, texts_of
from gateway.store.records import ConnectionHealth
from gateway.window_settings import send_window


def connection_message(
    settings: ConnectionSettings,
    health: ConnectionHealth,
    queues: Sequence[QueueAge],
    now: datetime,
    onboarding: Onboarding | None = None,
) -> operations.Connection:
    """A connection's settings without secrets, and how it is doing."""
    return operations.Connection(
        connection_id=settings.id,
        bank=settings.bank,
        channel=str(settings.channel.get("kind", "")),
        seal=str(settings.seal.get("kind", "")),
        guarantee=settings.guarantee.kind,
        message_name=settings.message or next(iter(bank_of(settings).capabilities.sends)),
        accounts=[
            pb.Account(**texts_of(account, "iban", "other_id", "other_scheme", "currency")) for account in settings.accounts
        ],
        time_zone=settings.time_zone or bank_of(settings).capabilities.time_zone,
        payments_waiting=health.payments_waiting,
        deliveries_in_doubt=health.deliveries_in_doubt,
        open_discrepancies=health.open_discrepancies,
        last_sent_at=moment(health.last_sent_at),
        last_fetch_at=moment(health.last_fetch_at),
        last_problem=health.last_problem or "",
        quarantined_files=health.quarantined_files,
        send_windows=windows_now(settings, now),
        queues=[
            operations.QueueAge(
                queue=age.queue.value,
                since=moment(age.since),
                late=age.late,
                delivery_id=age.delivery_id or "",
                inbound_file_id="" if age.inbound_file_id is None else str(age.inbound_file_id),
            )
            for age in queues
        ],
        in_flight_max=settings.retry.in_flight_max,
        sending_held_back=health.deliveries_in_doubt >= settings.retry.in_flight_max,
        onboarding=None if onboarding is None else _onboarding_message(onboarding),
    )


def _onboarding_message(onboarding: Onboarding) -> operations.Onboarding:
    return operations.Onboarding(
        standing=onboarding.standing,
        next_step_en=onboarding.english,
        next_step_zh=onboarding.chinese,
        bank_code=onboarding.code or "",
        bank_key_fingerprints=[" ".join(fingerprint) for fingerprint in onboarding.fingerprints],
    )


def windows_now(settings: ConnectionSettings, now: datetime) -> list[operations.ConnectionWindow]:
    """When each kind of payment with hours of its own, and every other one, may be sent."""
    window = send_window(settings)
    if window is None:
        return []
    kinds: list[PaymentType | None] = [None]
    kinds += [PaymentType(service_level=k.service_level, local_instrument=k.local_instrument) for k in window.kinds]
    found = []
    for kind in kinds:
        standing = window.standing(kind, now)
        opening = standing.opening
        words = () if kind is None else (kind.service_level, kind.local_instrument)
        found.append(
            operations.ConnectionWindow(
                kind=" ".join(word for word in words if word),
                open=standing.open,
                opens_at=None if opening is None else moment(opening.opens_at),
                closes_at=None if opening is None else moment(opening.closes_at),
                known=opening is None or opening.known,
                calendar=window.calendar.name,
            )
        )
    return found
