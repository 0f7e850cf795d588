"""What payments break together and none of them alone: the same end-to-end id twice in one call or message.

A stream of payments is told one by one; what is remembered of them is bounded.
"""

from formats.errors import Severity, Violation

REMEMBERED_MAX = 200_000
"""End-to-end ids remembered; more than any bank takes in one message."""

NOT_PROVIDED = "NOTPROVIDED"
"""What stands in for an end-to-end id where there is none (EPC132-08, EndToEndIdentification): it may repeat."""

RULE = "end-to-end-id.repeated"
SOURCE = "ISO 20022 pain.001, EndToEndIdentification: unique for the initiating party; the bank's agreement where it refuses"


class EndToEndIds:
    """The end-to-end ids of one call or one message, each with the place (from 0) of its first payment.

    `severity` is the bank's (`Capabilities.repeated_end_to_end_ids`).
    """

    def __init__(self, severity: Severity) -> None:
        self._severity = severity
        self._first: dict[str, tuple[int, str]] = {}

    def add(self, end_to_end_id: object, place: int, reference: str = "") -> Violation | None:
        """The violation, if an earlier payment has the same id. Any value is taken.

        Payments of the same `reference`, where they have one, are one payment said twice, and not two.
        """
        if not isinstance(end_to_end_id, str) or not end_to_end_id or end_to_end_id == NOT_PROVIDED:
            return None
        known = self._first.get(end_to_end_id)
        if known is None:
            if len(self._first) < REMEMBERED_MAX:
                self._first[end_to_end_id] = (place, reference)
            return None
        first, said = known
        if reference and said == reference:
            return None
        return Violation(
            field="end_to_end_id",
            rule=RULE,
            source=SOURCE,
            message_en=f"Payment {first + 1} has the same end-to-end id: the payee cannot tell the two apart, and neither can "
            "you in what the bank answers. Give each payment its own.",
            message_zh=f"与第 {first + 1} 笔付款的 end_to_end_id 相同，收款人及银行回执无法区分两笔付款，请分别使用不同的编号。",
            severity=self._severity,
        )
