"""Forms and payment requests: templates are kept in the JSON form of `bankgate.v1.PaymentRequest` (`gateway.templates`)."""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from bankgate.v1 import types_pb2
from gateway.errors import BadRequest
from gateway.payment import PaymentOrder
from gateway.rpc.convert import order_of


def form_of(message: Message) -> dict[str, Any]:
    """A message as a form: the contract's own names, absent values left out."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def request_of(form: Mapping[str, Any]) -> types_pb2.PaymentRequest:
    """The payment request of a form. Raises BadRequest for one that this version of the contract does not know."""
    try:
        return json_format.ParseDict(dict(form), types_pb2.PaymentRequest())
    except json_format.ParseError as error:
        raise BadRequest("template", f"is not a payment of this version: {' '.join(str(error).split())}") from None


def order_of_form(form: Mapping[str, Any]) -> PaymentOrder:
    """The order of a form; see `gateway.plan_forms.ReadOrder`."""
    return order_of(request_of(form))
