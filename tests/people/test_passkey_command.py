"""`bankgate … --passkey`: the page of a command, attacked by hand, and used by a real browser over the real service."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from gateway.cli import passkey
from gateway.cli.output import CommandFailed
from gateway.config import CallerSettings, Configuration, ListenSettings, PeopleSettings
from gateway.lifecycle import PaymentState
from gateway.main import app
from gateway.rpc.server import RpcServer
from gateway.telemetry import Metrics
from tests.gateway.review.conftest import CONSOLE
from tests.people.chromium import Tab, page, program, tab
from tests.people.conftest import PASSWORD, House
from tests.people.test_decisions import Desk, desk

__all__ = ["desk"]  # a fixture

OPTIONS = json.dumps({"rpId": "localhost", "challenge": "AAAA", "x": "</script><b>"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A free one, which the commands are told."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
    monkeypatch.setenv(passkey.PORT_VARIABLE, str(number))
    return number


@asynccontextmanager
async def asking(monkeypatch: pytest.MonkeyPatch, command: Callable[[], Any]) -> AsyncIterator[tuple[str, "asyncio.Future[Any]"]]:
    """A command in a thread of its own that shows its page: the address it tells, and how it ends."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()
    monkeypatch.setattr(passkey, "tell", lambda url: loop.call_soon_threadsafe(told.set_result, url))
    ended = asyncio.ensure_future(asyncio.to_thread(command))
    async with asyncio.timeout(60):
        await asyncio.wait((told, ended), return_when=asyncio.FIRST_COMPLETED)
    assert told.done(), await ended
    yield told.result(), ended


async def test_the_page_takes_one_answer_of_its_own_and_gives_nothing_to_others(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another host name (rebinding), another path, another origin, another form, too much; and a second answer."""
    origin, answer = f"http://localhost:{port}", {"credential": "{}"}
    good = {"origin": origin, "content-type": "application/json"}
    async with (
        asking(monkeypatch, lambda: passkey.touched(OPTIONS, "<i>pay</i>")) as (url, ended),
        aiohttp.ClientSession() as http,
    ):
        assert url.startswith(f"{origin}/")
        assert len(url) >= len(origin) + 40
        async with http.get(url) as shown:
            text, policy = await shown.text(), shown.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "&lt;i&gt;pay&lt;/i&gt;" in text
        assert text.count("</script>") == 2, "nothing in the options ends their element"
        for attack, address, headers, body in (
            ("another path", f"{origin}/", good, answer),
            ("a path that begins the same", url[:-1], good, answer),
            ("another host name", url, {**good, "host": f"evil.example:{port}"}, answer),
            ("another origin", url, {**good, "origin": "https://evil.example"}, answer),
            ("another port of this machine", url, {**good, "origin": "http://localhost:1"}, answer),
            ("no origin", url, {"content-type": "application/json"}, answer),
            ("a form", url, {"origin": origin, "content-type": "text/plain"}, answer),
            ("too much", url, good, {"credential": "x" * 20_000}),
        ):
            async with http.post(address, headers=headers, data=json.dumps(body)) as refused:
                assert refused.status in {400, 403, 404}, attack
                assert not await refused.read(), attack
            assert not ended.done(), attack
        async with http.post(url, headers=good, data=json.dumps(answer)) as taken:
            assert taken.status == 204
        assert await ended == "{}"


async def test_the_page_is_there_for_this_machine_alone_and_for_one_answer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(monkeypatch, lambda: passkey.touched(OPTIONS, "pay")) as (url, ended), aiohttp.ClientSession() as http:
        assert not _to_be_had(port), "who held one of the two loopback addresses would be at the same name"
        good = {"origin": f"http://localhost:{port}", "content-type": "application/json"}
        async with http.post(url, headers=good, data=json.dumps({"problem": "NotAllowedError"})) as taken:
            assert taken.status == 204
        with pytest.raises(CommandFailed, match="NotAllowedError"):
            await ended
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(url)


def _to_be_had(port: int) -> list[socket.socket]:
    """Sockets that somebody else could still have at the page's port."""
    found = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            one = socket.socket(family)
            one.bind((address, port))
        except OSError:
            continue
        found.append(one)
    return found


def test_a_port_that_somebody_else_has_is_not_shared(port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(CommandFailed, match="Another program is there"):
            passkey.touched(OPTIONS, "pay")


@pytest.mark.parametrize(
    ("options", "create", "words"),
    [
        ("", False, "no passkey"),
        ('{"rpId": "pay.example.com"}', False, "those of pay.example.com"),
        ('{"rp": {"id": "pay.example.com"}}', True, "those of pay.example.com"),
    ],
)
def test_passkeys_of_a_console_are_not_asked_for_here(options: str, create: bool, words: str) -> None:
    with pytest.raises(CommandFailed, match=words):
        passkey.touched(options, "pay", create=create)


@pytest.mark.parametrize("text", ["80", "http", "70000", "-1"])
def test_a_port_that_is_none_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(passkey.PORT_VARIABLE, text)
    with pytest.raises(CommandFailed, match="from 1024 to 65535"):
        passkey.touched(OPTIONS, "pay")


# -- with a browser --------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(place: Path, port: int) -> PeopleSettings:
    """A house without a console: its passkeys are those of this machine's page."""
    key = place / "people.key"
    key.write_text("11" * 32)
    key.chmod(0o600)
    return PeopleSettings(key="file:people.key", relying_party="localhost", origins=(f"http://localhost:{port}",))


async def touch(browser: Tab, url: str) -> None:
    """Opens the page and presses its button."""
    await browser.call("Page.navigate", url=url)
    await browser.loaded()
    for _ in range(200):
        if await browser.run("Promise.resolve(document.getElementById('touch') !== null)"):
            break
        await asyncio.sleep(0.05)
    await browser.run("(async () => document.getElementById('touch').click())()")


@pytest.mark.skipif(program() is None, reason="chromium is not installed (Debian: apt-get install chromium)")
async def test_chromium_adds_a_passkey_signs_in_and_approves_a_payment_for_the_commands(
    desk: Desk, house: House, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = Configuration(
        directory=tmp_path,
        listen=ListenSettings(address="127.0.0.1:0", drain_seconds=1),
        callers=(CallerSettings(name="console", plaintext=True, actions=("people", "approve")),),
    )
    desk.gateway.people = house.people
    server = RpcServer(configuration, desk.gateway, metrics=Metrics(), clock=house.clock)
    await server.start()
    kept, target = tmp_path / "session", ["--target", f"127.0.0.1:{server.port}"]
    kept.write_text(desk.li.token)
    digest = (await desk.gateway.approval(CONSOLE, desk.ids[0])).digest.hex()
    session = ["--session-file", str(kept)]
    commands = (
        (["session", "add-passkey", "--label", "browser", *session], ""),
        (["session", "sign-in", "li", "--passkey", *session], f"{PASSWORD}\n"),
        (["approvals", "approve", desk.ids[0], "--digest", digest, "--passkey", "--json", *session], ""),
    )
    async with page() as start, tab(start, tmp_path / "profile") as browser:
        for arguments, typed in commands:

            def run(arguments: list[str] = arguments, typed: str = typed) -> Any:
                return CliRunner().invoke(app, [*arguments, *target], input=typed)

            async with asking(monkeypatch, run) as (url, ended):
                await touch(browser, url)
                result = await asyncio.wait_for(ended, 60)
            assert result.exit_code == 0, result.output
    await server.drain(0)
    (signed,) = (await desk.gateway.approval(CONSOLE, desk.ids[0])).signed
    assert (signed.decision.person.name, signed.factor.kind) == ("li", "passkey")
    payment = await house.store.payment(desk.ids[0])
    assert payment is not None
    assert payment.state is PaymentState.APPROVED
