"""A verification service that is asked over HTTPS, one POST a question.

The question: {"requestId", "party": {"name"}, "partyAccount": {"iban"}, "partyAgent": {"bicfi"}}. The answer, with status 200:
{"partyNameMatch": "MTCH" | "CMTC" | "NMTC" | "NOAP", "matchedName", "reason", "id"}; the four codes are those that services of
the EPC's scheme give. Anything else is no answer: NOT_AVAILABLE, with the reason why.
"""

import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final, Literal

import aiohttp
import structlog
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from channels.channel import ChannelError
from channels.content import BadArrival
from channels.https_client import HttpsClient, bounded, plainly
from channels.references import References
from gateway.payee.provider import (
    NONSENSE,
    REFUSED,
    TIMEOUT,
    UNREACHABLE,
    PayeeAnswer,
    PayeeQuestion,
    PayeeResult,
    not_available,
)
from gateway.payee_settings import PayeeServiceSettings, PayeeSettings
from keys.secrets import certificate_pem, resolve

log = structlog.get_logger("payee")

_CODES: Final = {
    "MTCH": PayeeResult.MATCH,
    "CMTC": PayeeResult.CLOSE_MATCH,
    "NMTC": PayeeResult.NO_MATCH,
    "NOAP": PayeeResult.NOT_AVAILABLE,
}
_REFUSALS: Final = range(400, 500)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    code: Literal["MTCH", "CMTC", "NMTC", "NOAP"] = Field(alias="partyNameMatch")
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=140)] = Field(default="", alias="matchedName")
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,35}$")] = ""
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{0,100}$")] = ""
    request: str = Field(default="", alias="requestId")


class HttpsPayees:
    """A `PayeeProvider`. Questions share kept connections; several may be under way at once."""

    def __init__(self, settings: PayeeServiceSettings, references: References) -> None:
        self._settings = settings
        self._client = HttpsClient(settings, references)
        self._opening = asyncio.Lock()

    @property
    def name(self) -> str:
        return "https"

    async def verify(self, question: PayeeQuestion) -> PayeeAnswer:
        """See `PayeeProvider.verify`. Once more where a kept connection ended meanwhile: a question may be asked twice."""
        body = _body(question)
        try:
            async with self._opening:
                await self._client.open()
            try:
                return await self._asked(body, question.reference)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if isinstance(error, aiohttp.ClientConnectorError):
                    raise  # no connection was had at all: asking again changes nothing
                return await self._asked(body, question.reference)
        except TimeoutError:
            return not_available(TIMEOUT)
        except BadArrival:
            return not_available(NONSENSE)
        except (aiohttp.ClientError, OSError, ChannelError) as error:
            log.warning("payee_service_unreachable", error=plainly(error))
            return not_available(UNREACHABLE)

    async def close(self) -> None:
        """Ends kept connections."""
        await self._client.close()

    async def _asked(self, body: bytes, reference: str) -> PayeeAnswer:
        headers = {"Content-Type": "application/json", "X-Request-ID": reference}
        async with self._client.ask("POST", self._settings.path, body=body, headers=headers) as response:
            content = b"".join([piece async for piece in bounded(response, self._settings.answer_bytes_max)])
            if response.status != HTTPStatus.OK:
                return not_available(REFUSED if response.status in _REFUSALS else UNREACHABLE)
        return _answer(content, reference)


def service_of(settings: PayeeSettings, directory: Path) -> HttpsPayees | None:
    """The service that the settings name, none of its keys read yet; None: nobody is asked. `directory`: of the configuration."""
    if settings.service is None:
        return None
    references = References(
        secret=lambda reference: resolve(reference, directory),
        certificate=lambda reference: certificate_pem(reference, directory),
        base=directory,
    )
    return HttpsPayees(settings.service, references)


def _body(question: PayeeQuestion) -> bytes:
    said: dict[str, object] = {
        "requestId": question.reference,
        "party": {"name": question.name},
        "partyAccount": {"iban": question.account},
    }
    if question.bic:
        said["partyAgent"] = {"bicfi": question.bic}
    return json.dumps(said, ensure_ascii=False).encode()


def _answer(content: bytes, reference: str) -> PayeeAnswer:
    """What the content says; an answer to another question, or one that contradicts itself, says nothing."""
    try:
        said = _Answer.model_validate_json(content)
    except ValidationError:
        return not_available(NONSENSE)
    result = _CODES[said.code]
    if (
        said.request not in {"", reference}
        or (result is PayeeResult.CLOSE_MATCH) != bool(said.name)
        or not said.name.isprintable()
    ):
        return not_available(NONSENSE)
    reason = (said.reason or "NR01") if result is PayeeResult.NOT_AVAILABLE else ""
    return PayeeAnswer(result=result, suggested_name=said.name, reason=reason, reference=said.id)
