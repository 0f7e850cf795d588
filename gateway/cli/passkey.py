"""A passkey for a command: a page on this machine, once, where the person touches their key (docs/people.md, "Passkeys and
commands").

A browser lets a page use the passkeys of its own domain alone. So this works where [people] relying_party is "localhost" and
origins has the address of this page, and nowhere else: where people use a console, their passkeys are the console's.

The page is at http://localhost:PORT, on loopback only, IPv4 and IPv6 both, so that nobody else is at that name; its path is 256
random bits, told on the terminal alone. Requests for another host name or from another origin are refused; one answer is taken.
What passes over it is the question and its answer, which is good for nothing else: no session, no password, no code.
"""

import asyncio
import errno
import json
import os
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.cli.output import USAGE, CommandFailed, err, run

if TYPE_CHECKING:
    from aiohttp import web

PORT_VARIABLE: Final = "BANKGATE_PASSKEY_PORT"
PORT: Final = 50080
HOST: Final = "localhost"
ANSWER_BYTES_MAX: Final = 16 * 1024
WAIT_SECONDS: Final = 180.0

UsePasskey = Annotated[
    bool,
    typer.Option("--passkey", help=f"Use a passkey, on a page of this machine (http://{HOST}:{PORT}, or {PORT_VARIABLE})."),
]

_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>bankgate</title>
<h1>bankgate</h1>
<p id="what">{what}</p>
<p><button id="touch" autofocus>Use my passkey / 使用通行密钥</button></p>
<p id="told" role="status"></p>
<script type="application/json" id="options" nonce="{nonce}">{options}</script>
<script nonce="{nonce}">
const told = document.getElementById("told"), button = document.getElementById("touch");
async function answer(content) {{
    const headers = {{"content-type": "application/json"}};
    await fetch(location.pathname, {{method: "POST", headers, body: JSON.stringify(content)}});
    button.disabled = true;
    told.textContent = "Done: go back to the terminal. / 已完成，请返回终端。";
}}
button.addEventListener("click", async () => {{
    try {{
        const options = PublicKeyCredential.{parse}(JSON.parse(document.getElementById("options").textContent));
        const found = await navigator.credentials.{verb}({{publicKey: options}});
        await answer({{credential: JSON.stringify(found.toJSON())}});
    }} catch (problem) {{
        await answer({{problem: problem.name}});
    }}
}});
</script>
"""


def touched(options: str, what: str, *, create: bool = False) -> str:
    """What navigator.credentials.get() (`create`: create()) gave for the options of the service, as JSON. `what` says in words
    what it is for. Raises `CommandFailed`."""
    if not options:
        raise CommandFailed("this person has no passkey: `bankgate session add-passkey` adds one")
    asked = json.loads(options)
    domain = asked["rp"]["id"] if create else asked["rpId"]
    if domain != HOST:
        raise CommandFailed(
            f"the passkeys of this service are those of {domain}: browsers let no page of this machine use them. Use a code of"
            f' the app here, or, where nobody uses a console, set [people] relying_party = "{HOST}"',
            USAGE,
        )
    port = _port()
    return run(lambda: _asked_on_a_page(options, what, create, port))


def _port() -> int:
    text = os.environ.get(PORT_VARIABLE, "").strip()
    if not text:
        return PORT
    if not (text.isascii() and text.isdigit() and 1024 <= int(text) <= 65_535):
        raise CommandFailed(f"{PORT_VARIABLE}: a port from 1024 to 65535", USAGE)
    return int(text)


@dataclass(slots=True)
class _Page:
    """The page, and its one answer."""

    options: str
    what: str
    create: bool
    port: int
    path: str = field(default_factory=lambda: f"/{secrets.token_urlsafe(32)}")
    answered: "asyncio.Future[dict[str, Any]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def answer(self, request: "web.Request") -> "web.Response":
        """Every request that reaches the port."""
        from aiohttp import web

        if request.headers.get("host") != f"{HOST}:{self.port}" or not secrets.compare_digest(
            request.path.encode(), self.path.encode()
        ):
            return web.Response(status=404, headers=_HEADERS)
        if request.method == "GET":
            return self._shown()
        same = request.headers.get("origin") == self.origin and request.content_type == "application/json"
        if request.method != "POST" or not same:
            return web.Response(status=403, headers=_HEADERS)
        with suppress(ValueError, web.HTTPException):
            content = await request.json()
            if isinstance(content, dict) and not self.answered.done():
                self.answered.set_result(content)
                return web.Response(status=204, headers=_HEADERS)
        return web.Response(status=400, headers=_HEADERS)

    def _shown(self) -> "web.Response":
        from aiohttp import web

        nonce = secrets.token_urlsafe(16)
        verb, parse = ("create", "parseCreationOptionsFromJSON") if self.create else ("get", "parseRequestOptionsFromJSON")
        options = self.options.replace("<", "\\u003c")  # so that nothing in it ends the element
        text = _PAGE.format(what=escape(self.what), options=options, nonce=nonce, verb=verb, parse=parse)
        policy = f"default-src 'none'; script-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; form-action 'none'"
        policy += "; frame-ancestors 'none'"
        return web.Response(text=text, content_type="text/html", headers={**_HEADERS, "content-security-policy": policy})


_HEADERS: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}


async def _asked_on_a_page(options: str, what: str, create: bool, port: int) -> str:
    """Serves the page until it is answered."""
    from aiohttp import web

    page = _Page(options, what, create, port)
    application = web.Application(client_max_size=ANSWER_BYTES_MAX)
    application.router.add_route("*", "/{path:.*}", page.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        for listener in _listeners(page.port):
            await web.SockSite(runner, listener).start()
        tell(f"{page.origin}{page.path}")
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                content = await asyncio.shield(page.answered)
        except TimeoutError:
            raise CommandFailed("nobody used a passkey on the page in time; run it again") from None
    finally:
        await runner.cleanup()
    credential = content.get("credential")
    if not isinstance(credential, str):
        problem = str(content.get("problem", "no answer"))[:60]
        raise CommandFailed(f"the browser gave no passkey: {problem if problem.isalnum() else 'no answer'}")
    return credential


def _listeners(port: int) -> list[socket.socket]:
    """On both loopback addresses: who held the other one would be at the same name. Raises `CommandFailed`."""
    found: list[socket.socket] = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
        except OSError:  # a machine without this family has nobody at its address either
            continue
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRNOTAVAIL:
                continue
            for one in found:
                one.close()
            raise CommandFailed(
                f"the page cannot be at {address} port {port}: {os.strerror(error.errno or 0)}. Another program is there; end"
                f" it, or use another port ({PORT_VARIABLE}, and [people] origins of the service)",
                USAGE,
            ) from None
        found.append(listener)
    return found


def tell(url: str) -> None:
    """Standard error, as everything for eyes."""
    err().print("Open this page on this machine and use your passkey / 请在本机浏览器打开并使用通行密钥：", markup=False)
    err().print(f"  {url}", markup=False, soft_wrap=True)
