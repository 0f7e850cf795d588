"""How a bank that answers at once knows the payments of a message, in lines for whoever calls that bank."""

from collections.abc import Iterator
from typing import Any

from gateway.cli.output import Language, state_word

_WORDS = {
    Language.EN: {
        "package": "number of the whole",
        "serial": "serial number",
        "bank": "the bank's number",
        "asked": "asked {asked} times, last {last}, next {next}",
        "never": "not asked yet, next {next}",
        "none": "none planned",
    },
    Language.ZH: {
        "package": "整批流水号",
        "serial": "流水号",
        "bank": "银行流水号",
        "asked": "已查询 {asked} 次，上次 {last}，下次 {next}",
        "never": "尚未查询，下次 {next}",
        "none": "无计划",
    },
}


def serial_lines(delivery: dict[str, Any], language: Language) -> Iterator[str]:
    """A line for each payment that has a serial number, after one for the message's own; none at most banks."""
    words = _WORDS[language]
    if delivery.get("package_number"):
        yield f"{words['package']}: {delivery['package_number']}"
    for one in delivery.get("serials", ()):
        facts = {
            "asked": one.get("asked", 0),
            "last": str(one.get("last_asked_at", ""))[:19],
            "next": str(one.get("next_ask_at", ""))[:19] or words["none"],
        }
        asked = words["asked" if facts["asked"] else "never"].format(**facts)
        reference = f"  {words['bank']} {one['bank_reference']}" if one.get("bank_reference") else ""
        name = one.get("end_to_end_id") or one.get("payment_id", "")
        yield f"{name}  {words['serial']} {one.get('serial_number', '')}{reference}  {state_word(one.get('state'))}  {asked}"
