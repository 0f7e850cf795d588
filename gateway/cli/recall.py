"""`bankgate recall`: ask the bank to cancel a payment that it has."""

from typing import Annotated

import typer

from gateway.cli import connect
from gateway.cli.connect import service_call
from gateway.cli.output import Json, Language, out, print_json, reason_words


@connect.calls_a_service
def recall(
    payment_reference: Annotated[str, typer.Argument(metavar="REFERENCE", help="The caller's payment_reference.")],
    *,
    reason: Annotated[str, typer.Option(help="ISO code: CUST asked by the customer, DUPL duplicate, FRAD fraud, TECH, AC03, …")],
    note: Annotated[str, typer.Option(help="More for the bank, at most 105 characters.")] = "",
    service: connect.Service,
    language: Annotated[Language, typer.Option(help="In which language reasons are told; --json has both.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Ask the bank to cancel a payment that it has (camt.055), or show where that stands. The payment itself does not change."""
    request = {"payment_reference": payment_reference, "reason": reason, "note": note}
    answer = service_call(service.as_target(), "PaymentService", "RecallPayment", request)
    if as_json:
        print_json(answer["recall"])
        return
    found = answer["recall"]
    state = found.get("state", "").removeprefix("RECALL_STATE_").lower()
    why = reason_words(found.get("answer_reason"), language)
    said = " ".join(filter(None, (found.get("answer_status"), found.get(f"answer_text_{language.value}"), why)))
    out().print(f"{found['recall_id']}  {state}  {said}".rstrip(), markup=False)
