"""Requests to a bank, from their JSON form to a message that has passed its schema: camt.055 and camt.060."""

import io
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

from formats.camt055 import write_camt055
from formats.camt060 import write_camt060
from formats.errors import Unrenderable
from formats.json_form import BadForm, from_json
from formats.model_requests import AccountReportingRequest, CancellationRequest
from formats.request_versions import CAMT055, CAMT060
from formats.schemas import SchemaViolation, validate_outbound
from gateway.cli.output import USAGE, CommandFailed
from gateway.rpc.client import BadPayment, parse_json

_KINDS: Final[Mapping[str, tuple[type[Any], Callable[[Any, BinaryIO], None]]]] = {
    **dict.fromkeys(CAMT055, (CancellationRequest, write_camt055)),
    **dict.fromkeys(CAMT060, (AccountReportingRequest, write_camt060)),
}


def is_request(message: str) -> bool:
    """Whether a message, of whatever version, is a request and no payment."""
    return message.startswith(("camt.055", "camt.060"))


def request_message(file: Path, message: str, on: date, message_id: str | None) -> bytes:
    """The message a file asks for, valid by its schema; the same file and day give the same bytes. Raises `CommandFailed`."""
    if message not in _KINDS:
        raise CommandFailed(f"--message {message}: known are {', '.join(_KINDS)}", USAGE)
    kind, write = _KINDS[message]
    out = io.BytesIO()
    try:
        write(_request(kind, _content(file), message, on, message_id), out)
        out.seek(0)
        validate_outbound(out, message)
    except BadForm as error:
        raise CommandFailed("\n".join(f"{file}: {line}" for line in str(error).splitlines())) from None
    except Unrenderable as error:
        lines = [f"{file}: {one.field}: {one.message_en} [{one.rule}; {one.source}]" for one in error.violations]
        raise CommandFailed("\n".join(lines)) from None
    except SchemaViolation as error:
        lines = [f"{file}: as {message}: {problem}" for problem in error.problems]
        raise CommandFailed("\n".join(lines)) from None
    return out.getvalue()


def _content(file: Path) -> Any:
    try:
        return parse_json(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CommandFailed(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandFailed(f"{file}: is not UTF-8 text") from None
    except BadPayment as error:
        raise CommandFailed(f"{file}: {error}") from None


def _request(kind: type[Any], content: Any, message: str, on: date, message_id: str | None) -> Any:
    """The request, with what is not said made from the content and the day, so that the same file gives the same bytes."""
    given: dict[str, Any] = {"message_name": message}
    said = content if isinstance(content, dict) else {}
    if message_id is not None and said:
        content = {**said, "message_id": message_id}
    elif said.get("message_id") is None:
        fixed = json.dumps([message, on.isoformat(), content], sort_keys=True).encode()
        given["message_id"] = "BG" + sha256(fixed).hexdigest()[:28].upper()
    if said.get("creation_date_time") is None:
        given["creation_date_time"] = datetime.combine(on, time(), UTC)
    return from_json(kind, content, given)
