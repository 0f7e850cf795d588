"""What ScreeningService is asked about in the matrix of permissions: a payment held by a list, and somebody who was cleared."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

from bankgate.v1 import operations_pb2, screening_pb2
from formats.model import Account
from gateway.lifecycle import PaymentState
from gateway.people.person import FactorProof
from gateway.policy.verdict import Finding, Outcome, Verdict
from gateway.reasons import ours
from gateway.review_standing import facts_of, place_of, standing, subject_of, way, why
from gateway.store.records import NewPayment
from gateway.store.reviews import Judged
from gateway.store.screening import Clearance, Signature
from gateway.store.store import Store

LISTED: Final = "listed".ljust(32, "0")
DIGEST: Final = "a" * 64
REASON: Final = "born 1999, passport seen"
HIT: Final = Finding(
    rule="screening.own",
    version=20261101,
    outcome=Outcome.HOLD,
    text_en="e",
    text_zh="z",
    score=90,
    facts=(("list", "own"), ("entry", "e1"), ("entry_digest", DIGEST), ("where", "creditor"), ("kind", "name"), ("value", "C")),
)
CALLS: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "ScreeningService.ListScreeningHits": ("approve", lambda _: screening_pb2.ListScreeningHitsRequest(payment_id=LISTED)),
    "ScreeningService.ListScreeningClearances": (
        "approve",
        lambda _: screening_pb2.ListScreeningClearancesRequest(connection_id="one"),
    ),
    "ScreeningService.ClearScreeningHit": (
        "approve",
        lambda t: screening_pb2.ClearScreeningHitRequest(
            payment_id=LISTED,
            digest=t.listed,
            list_id="own",
            entry_id="e1",
            entry_digest=DIGEST,
            reason=REASON,
            second_factor=operations_pb2.DecisionFactor(totp_code="3"),
        ),
    ),
    "ScreeningService.RevokeScreeningClearance": (
        "approve",
        lambda _: screening_pb2.RevokeScreeningClearanceRequest(
            clearance_id="kept-c", reason=REASON, second_factor=operations_pb2.DecisionFactor(totp_code="4")
        ),
    ),
}
OF_PEOPLE: Final = {"ScreeningService.ClearScreeningHit", "ScreeningService.RevokeScreeningClearance"}


def on_a_list(new: NewPayment) -> NewPayment:
    """The payment under another id, to somebody with an account."""
    transfer = replace(new.transfer, instruction_id=LISTED, creditor_account=Account(iban="DE89370400440532013000"))
    return replace(new, payment_id=LISTED, payment_reference="listed", transfer=transfer, content_sha256=b"listed")


async def stopped_by(store: Store, new: NewPayment, finding: Finding) -> str:
    """A payment that this finding stops; the digest that decisions about it name."""
    await store.submit([replace(new, state=PaymentState.RECEIVED)])
    (waiting,) = await store.unjudged(1)
    subject, verdict = subject_of(waiting.payment), Verdict(findings=(finding,))
    found = standing(subject, verdict, ())
    judged = Judged(
        payment_id=new.payment_id,
        version=1,
        review=None,
        facts=facts_of(waiting.payment),
        digest=found.digest,
        verdict=verdict,
        steps=way(PaymentState.RECEIVED, place_of(found), why(found, verdict, ours("approved"))),
    )
    await store.write_judged((await store.review_book()).fence, "rules", [judged])
    return found.digest.hex()


async def cleared(store: Store, at: datetime) -> None:
    """Somebody on connection "one" was cleared."""
    proof = FactorProof(kind="totp", factor_id="1", at=at, bound_to="00" * 32)
    signed = Signature(person="ada", reason=REASON, factor=proof, caller="console", address="", at=at)
    one = Clearance(
        clearance_id="kept-c",
        payment_id=LISTED,
        connection_id="one",
        list_id="own",
        entry_id="e2",
        entry_digest=DIGEST,
        value="C",
        creditor_name="C",
        creditor_key='[["c"],""]',
        creditor_account="DE89370400440532013000",
        valid_until=date(2026, 12, 31),
        signed=signed,
    )
    await store.clear_hits([one], [])
