"""Chromium without a window, over the DevTools protocol: a page of our own on loopback, and an authenticator that it plays."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
)
START_SECONDS = 60.0
PAGE = "<!doctype html><title>bankgate</title><p>passkeys"


def program() -> str | None:
    """Chromium's path, by any of its names; None where it is not installed."""
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


@asynccontextmanager
async def page() -> AsyncIterator[str]:
    """The origin of an empty page: browsers take localhost for a safe place without TLS."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Tab:
    """The one tab, as DevTools drives it."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive(timeout=START_SECONDS)
            assert message.type is WSMsgType.TEXT, message
            answer = json.loads(message.data)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    async def run(self, script: str) -> Any:
        """The value that an asynchronous script comes to."""
        done = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def loaded(self) -> None:
        """Until the page is there; before, the tab shows one of the browser's own."""
        ready = "new Promise(done => document.readyState === 'complete' ? done(0) : addEventListener('load', () => done(0)))"
        for _ in range(200):
            if await self.run(f"{ready}.then(() => document.title + window.isSecureContext)") == "bankgatetrue":
                return
            await asyncio.sleep(0.05)
        raise AssertionError("the page did not come")

    async def create(self, options: str) -> str:
        """navigator.credentials.create(), from JSON to JSON as a page does it."""
        return str(await self.run(_SCRIPT % ("create", "parseCreationOptionsFromJSON", options)))

    async def get(self, options: str) -> str:
        return str(await self.run(_SCRIPT % ("get", "parseRequestOptionsFromJSON", options)))


_SCRIPT = """(async () => {
    const found = await navigator.credentials.%s({publicKey: PublicKeyCredential.%s(%s)});
    return JSON.stringify(found.toJSON());
})()"""


@asynccontextmanager
async def tab(origin: str, profile: Path) -> AsyncIterator[Tab]:
    """A browser of its own at the page, with an authenticator that verifies its user at once."""
    executable = program()
    assert executable is not None
    environment = {**os.environ, "HOME": str(profile)}
    browser = await asyncio.to_thread(
        subprocess.Popen,
        [executable, *FLAGS, f"--user-data-dir={profile}", f"{origin}/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        async with asyncio.timeout(START_SECONDS), ClientSession() as http:
            port = await _port(profile / "DevToolsActivePort", browser)
            async with http.ws_connect(await _target(http, port, origin), max_msg_size=0) as socket:
                found = Tab(socket)
                await found.call("WebAuthn.enable")
                options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
                more = {"isUserVerified": True, "automaticPresenceSimulation": True}
                await found.call("WebAuthn.addVirtualAuthenticator", options={**options, **more})
                await found.loaded()
                yield found
    finally:
        browser.terminate()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(browser.wait, 10)
        if browser.poll() is None:
            browser.kill()
            browser.wait()


async def _port(file: Path, browser: "subprocess.Popen[bytes]") -> int:
    for _ in range(int(START_SECONDS / 0.05)):
        if told := await asyncio.to_thread(_read, file):
            return int(told.splitlines()[0])
        assert browser.poll() is None, "chromium ended before it listened"
        await asyncio.sleep(0.05)
    raise AssertionError("chromium does not listen")


def _read(file: Path) -> str:
    return file.read_text().strip() if file.is_file() else ""


async def _target(http: ClientSession, port: int, origin: str) -> str:
    for _ in range(int(START_SECONDS / 0.05)):
        async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
            for one in await answer.json():
                if one.get("type") == "page" and one.get("url", "").startswith(origin):
                    return str(one["webSocketDebuggerUrl"])
        await asyncio.sleep(0.05)
    raise AssertionError("chromium has no tab with the page")
