"""Features that were made apart, in one payment: instant-else-normal, texts that are replaced, schemas brought from the bank."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from formats.model import Party, PaymentType
from formats.schemas import schema_text
from gateway.instant import InstantChoice
from gateway.lifecycle import DeliveryState, PaymentState

NAME, WRITTEN = "“Nord” №5", "'Nord' No5"


def instant(desk: Any, reference: str) -> Any:
    """An approved instant-else-normal payment to a name that SEPA does not carry."""
    row = desk.row(reference)
    return replace(
        row,
        terms=replace(row.terms, payment_type=PaymentType(service_level="SEPA", local_instrument="INST")),
        transfer=replace(row.transfer, creditor=Party(name=NAME)),
        instant=InstantChoice.INSTANT_ELSE_NORMAL,
        may_fall_back=True,
    )


def whole_refusal(files: Any, message: str, code: str = "AB06") -> str:
    return str(files.pain002(message, group="RJCT", reasons=f"<StsRsnInf><Rsn><Cd>{code}</Cd></Rsn></StsRsnInf>"))


async def refused(make_desk: Any, files: Any, count: int = 1, **settings: Any) -> tuple[Any, list[str], str]:
    """A desk whose instant payments were refused and wait to go out as normal ones."""
    desk = await make_desk(bank="sepa", **settings)
    rows = [instant(desk, f"INV-{number}") for number in range(1, count + 1)]
    assert (await desk.store.submit(rows)).stored
    await desk.pump()
    (delivery,) = await desk.deliveries()
    assert delivery.state is DeliveryState.SENT
    await desk.receive(whole_refusal(files, delivery.message_id), "refusal.xml")
    assert await desk.states() == {PaymentState.APPROVED: count}
    return desk, [row.payment_id for row in rows], delivery.message_id


async def test_both_attempts_carry_the_texts_as_told_and_the_stored_payment_stays_as_asked(make_desk, files) -> None:
    desk, (payment_id,), _ = await refused(make_desk, files)
    await desk.pump()
    (_, first), (_, second) = desk.channel.bank
    for data in (first, second):
        assert f"<Nm>{WRITTEN}</Nm>".encode() in data
    assert b"<Cd>INST</Cd>" in first
    assert b"INST" not in second
    assert (await desk.payment(payment_id)).transfer.creditor.name == NAME


def asking_for_instant(tmp_path: Path) -> dict[str, str]:
    """The settings of a connection whose bank takes instant payments only, by the schema that it gave."""
    text = (schema_text("pain.001.001.09") or b"").decode()
    start = text.index('<xs:complexType name="PaymentTypeInformation26">')
    end = text.index("</xs:complexType>", start)
    directory = tmp_path / "schemas"
    directory.mkdir()
    kind = text[start:end]
    at = kind.index('name="LclInstrm"')
    line = kind[kind.rindex("<", 0, at) : kind.index(">", at) + 1]
    asked = line.replace('minOccurs="0"', 'minOccurs="1"')
    (directory / "pain.001.001.09.xsd").write_text(text[:start] + kind.replace(line, asked) + text[end:], encoding="utf-8")
    return {"schemas": "schemas"}


async def test_a_second_message_that_the_schema_of_the_bank_refuses_is_held_with_its_reason(make_desk, files, tmp_path) -> None:
    desk, ids, message = await refused(make_desk, files, 3, **asking_for_instant(tmp_path))
    await desk.pump()
    assert await desk.states() == {PaymentState.HELD: 3}
    assert len(desk.channel.bank) == 1
    assert await desk.discrepancies() == ["unrenderable"]
    payment = await desk.payment(ids[0])
    assert payment.reason.code == "bankgate.unrenderable"
    assert payment.refused is not None
    assert payment.refused.message_id == message
    # what the bank says of the first message is heard all the same
    await desk.receive(files.camt054(files.entry("10.00", f"<MsgId>{message}</MsgId><EndToEndId>INV-1</EndToEndId>")), "late.xml")
    assert await desk.states() == {PaymentState.HELD: 3}
    assert await desk.discrepancies() == ["unrenderable", "contradiction"]
