"""A verification-of-payee service to test against: one HTTPS door that knows who holds which account.

    POST /vop/v1/payee-verifications   {"requestId", "party": {"name"}, "partyAccount": {"iban"}} -> {"partyNameMatch", …}

An account that it has in its books is answered for by the holder's name: MTCH for the same name, CMTC and the holder's name for a
similar one, NMTC otherwise. For any other account the asked name decides: "… Close" is a close match, "… Wrong" is none, "…
Nobody" cannot be verified, all others match. Moods make it slow, silent or absurd.
"""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from aiohttp import web

from simulator.moods import BadMood
from simulator.settings_base import split_address

PATH = "/vop/v1/payee-verifications"
_ALIKE = 0.8


class PayeeMood(StrEnum):
    """How the service behaves until it is told otherwise."""

    WELL = "well"
    SILENT = "silent"  # takes the question and never answers
    HANGS_UP = "hangs_up"  # cuts the line in place of an answer
    HANGS_UP_ONCE = "hangs_up_once"  # and is well again
    FAILS = "fails"  # 503
    REFUSES = "refuses"  # 403
    NO_JSON = "no_json"
    UNKNOWN_CODE = "unknown_code"  # a code no scheme has
    OTHER_QUESTION = "other_question"  # the answer to a question nobody asked
    NAME_WITHOUT_CLOSE_MATCH = "name_without_close_match"  # contradicts itself
    ENDLESS = "endless"  # an answer without end
    CONTROL_CHARACTERS = "control_characters"  # in the name it suggests
    REDIRECTS = "redirects"


@dataclass(slots=True)
class PayeeService:
    """The service. `holders`: IBAN to name."""

    holders: Mapping[str, str] = field(default_factory=dict)
    mood: PayeeMood = PayeeMood.WELL
    latency_seconds: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    host: str = "127.0.0.1"
    port: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is asked, without the path."""
        return f"https://{self.host}:{self.port}"

    async def start(self, context: ssl.SSLContext, listen: str = "127.0.0.1:0") -> None:
        """Opens the door. Raises `OSError` if the address cannot be used."""
        self.host, port = split_address(listen)
        application = web.Application()
        application.router.add_post(PATH, self._verify)
        self._runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, port, ssl_context=context).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Closes it and every connection through it."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _verify(self, request: web.Request) -> web.StreamResponse:
        question = await request.json()
        self.asked.append(question)
        self.connections.add(id(request.transport))
        await asyncio.sleep(self.latency_seconds)
        odd = await self._odd(request, question)
        return odd if odd is not None else web.json_response(self._answer(question))

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        name, account = str(question["party"]["name"]), str(question["partyAccount"]["iban"])
        said: dict[str, Any] = {"requestId": question["requestId"], "id": f"vop-{len(self.asked)}"}
        holder = self.holders.get(account)
        if holder is None:
            return said | by_name(name)
        if _folded(holder) == _folded(name):
            return said | {"partyNameMatch": "MTCH"}
        if SequenceMatcher(None, _folded(holder), _folded(name), autojunk=False).ratio() >= _ALIKE:
            return said | {"partyNameMatch": "CMTC", "matchedName": holder}
        return said | {"partyNameMatch": "NMTC"}

    async def _odd(self, request: web.Request, question: dict[str, Any]) -> web.StreamResponse | None:
        said = {"requestId": question["requestId"], "partyNameMatch": "MTCH"}
        answers: dict[PayeeMood, web.Response] = {
            PayeeMood.FAILS: web.json_response(said, status=HTTPStatus.SERVICE_UNAVAILABLE),
            PayeeMood.REFUSES: web.json_response(said, status=HTTPStatus.FORBIDDEN),
            PayeeMood.NO_JSON: web.Response(text="<html>MTCH</html>"),
            PayeeMood.UNKNOWN_CODE: web.json_response(said | {"partyNameMatch": "SURE"}),
            PayeeMood.OTHER_QUESTION: web.json_response(said | {"requestId": "another"}),
            PayeeMood.NAME_WITHOUT_CLOSE_MATCH: web.json_response(said | {"matchedName": "Somebody"}),
            PayeeMood.CONTROL_CHARACTERS: web.json_response(said | {"partyNameMatch": "CMTC", "matchedName": "A\u202eB\x1b[2J"}),
            PayeeMood.REDIRECTS: web.Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": PATH}),
        }
        if self.mood in answers:
            return answers[self.mood]
        if self.mood is PayeeMood.SILENT:
            await asyncio.Event().wait()
        if self.mood in {PayeeMood.HANGS_UP, PayeeMood.HANGS_UP_ONCE}:
            if self.mood is PayeeMood.HANGS_UP_ONCE:
                self.mood = PayeeMood.WELL
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        if self.mood is PayeeMood.ENDLESS:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" " * 16_384)
        return None


def add_payee(application: web.Application, service: PayeeService) -> None:
    """Routes of the simulator's control API:

    GET  /payee   the mood, and how many questions came
    POST /payee   {"mood": …, "latency_seconds": …}: it stays so
    """

    def shown() -> web.Response:
        return web.json_response(
            {"mood": service.mood, "latency_seconds": service.latency_seconds, "questions": len(service.asked)}
        )

    async def get(_request: web.Request) -> web.StreamResponse:
        return shown()

    async def post(request: web.Request) -> web.StreamResponse:
        wanted = await request.json()
        if not isinstance(wanted, dict) or not set(wanted) <= {"mood", "latency_seconds"}:
            raise BadMood("the body is an object with mood, latency_seconds or both")
        latency = wanted.get("latency_seconds", service.latency_seconds)
        if wanted.get("mood", service.mood) not in list(PayeeMood):
            raise BadMood(f"there is no such mood; there are: {', '.join(PayeeMood)}")
        if not isinstance(latency, int | float) or not 0 <= latency <= 600:
            raise BadMood("latency_seconds is a number from 0 to 600")
        service.mood, service.latency_seconds = PayeeMood(wanted.get("mood", service.mood)), float(latency)
        return shown()

    application.router.add_get("/payee", get)
    application.router.add_post("/payee", post)


def by_name(name: str) -> dict[str, Any]:
    """The answer of a payee's bank that is in nobody's books: the last word of the name decides."""
    word = name.rpartition(" ")[2].casefold()
    if word == "close":
        return {"partyNameMatch": "CMTC", "matchedName": f"{name.rpartition(' ')[0]} Closely"}
    if word == "wrong":
        return {"partyNameMatch": "NMTC"}
    if word == "nobody":
        return {"partyNameMatch": "NOAP", "reason": "BNOR"}
    return {"partyNameMatch": "MTCH"}


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())
