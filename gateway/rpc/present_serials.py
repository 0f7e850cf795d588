"""Serial numbers of payments into bankgate.v1 messages (`gateway.store.serials`)."""

from collections.abc import Sequence

from bankgate.v1 import operations_pb2 as operations
from bankgate.v1 import types_pb2 as pb
from gateway.rpc.present import PAYMENT_STATES, moment
from gateway.store.serials import GivenSerial


def serial_message(given: GivenSerial) -> operations.PaymentSerial:
    """A payment of a message as the bank knows it."""
    return operations.PaymentSerial(
        payment_id=given.payment_id,
        instruction_id=given.instruction_id,
        end_to_end_id=given.end_to_end_id,
        serial_number=given.serial,
        bank_reference=given.bank_reference or "",
        state=PAYMENT_STATES[given.state],
        first_sent_on=given.first_sent_on.isoformat() if given.first_sent_on else "",
        asked=given.asked,
        last_asked_at=moment(given.asked_at),
        next_ask_at=moment(given.next_ask_at),
    )


def add_serials(shown: operations.Delivery, given: Sequence[GivenSerial]) -> None:
    """Adds to a message what the bank knows it and its payments by."""
    shown.package_number = next((one.package for one in given if one.package), "")
    shown.serials.extend(serial_message(one) for one in given)


def add_serial(shown: pb.Payment, given: GivenSerial | None) -> None:
    """Adds to a payment what the bank knows it by."""
    if given is not None:
        shown.serial_number = given.serial
        shown.bank_reference = given.bank_reference or ""
