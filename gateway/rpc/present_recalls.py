"""Recalls into bankgate.v1 messages (`gateway.store.recalls`)."""

from typing import Final

from bankgate.v1 import types_pb2 as pb
from formats.codes import explain_cancellation
from gateway.rpc.present import moment, reason_message
from gateway.store.recalls import Recall, RecallState
from gateway.store.records import Reason

_STATES: Final = {state: pb.RecallState.Value(f"RECALL_STATE_{state.name}") for state in RecallState}


def recall_message(recall: Recall) -> pb.Recall:
    """A recall as the caller sees it."""
    english, chinese = explain_cancellation(recall.answer_status) if recall.answer_status else ("", "")
    return pb.Recall(
        recall_id=recall.recall_id,
        state=_STATES[recall.state],
        reason=recall.reason,
        note=recall.note,
        requested_by=recall.requested_by,
        requested_at=moment(recall.requested_at),
        delivery_id=recall.delivery_id or "",
        message_id=recall.message_id or "",
        answer_status=recall.answer_status or "",
        answer_reason=None if recall.answer_reason == Reason() else reason_message(recall.answer_reason),
        answered_at=moment(recall.answered_at),
        answer_text_en=english,
        answer_text_zh=chinese,
    )
