"""The command as a person runs it, and a real service over SQLite in another thread to run it against."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import clock
from gateway.config_load import load
from gateway.main import main
from gateway.rpc.server import RpcServer
from gateway.service import Gateway
from gateway.store.factory import open_store
from gateway.telemetry import Metrics
from tests.cli.audited import WORD, Place, placed

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str


Bankgate = Callable[..., Done]


@pytest.fixture
def examples() -> Path:
    return EXAMPLES


@pytest.fixture
def bankgate(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bankgate:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("BANKGATE_TARGET", raising=False)

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["bankgate", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Done(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)

    return run


CONFIGURATION = """
[[callers]]
name = "erp"
plaintext = true
actions = ["submit", "read", "cancel", "statements", "operate", "replay"]
"""

HOUSE = """
bank = "iso20022"
initiating_party = "Muster GmbH"
[[accounts]]
iban = "DE89370400440532013000"
holder = "Muster GmbH"
agent_bic = "COBADEFFXXX"
[channel]
kind = "folder"
upload = "out"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A configuration directory."""
    directory = tmp_path / "gateway"
    (directory / "connections").mkdir(parents=True)
    (directory / "bankgate.toml").write_text(CONFIGURATION, encoding="utf-8")
    (directory / "connections" / "house.toml").write_text(HOUSE, encoding="utf-8")
    return directory


@pytest.fixture
def service(directory: Path) -> Iterator[str]:
    """The address of a running service over that directory."""
    ready = threading.Event()
    state: dict[str, object] = {}

    async def serve() -> None:
        configuration = load(directory)
        configuration = configuration.model_copy(
            update={"listen": configuration.listen.model_copy(update={"address": "127.0.0.1:0"})}
        )
        store = open_store(configuration.store, directory, clock.now)
        await store.open()
        metrics = Metrics()
        server = RpcServer(
            configuration, Gateway(configuration, store, clock=clock.now, metrics=metrics), metrics=metrics, clock=clock.now
        )
        stop = asyncio.Event()
        state.update(port=await server.start(), stop=stop, loop=asyncio.get_running_loop())
        ready.set()
        await stop.wait()
        await server.drain(1)
        await store.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    yield f"127.0.0.1:{state['port']}"
    state["loop"].call_soon_threadsafe(state["stop"].set)  # type: ignore[attr-defined]
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("AUDIT_WORD", WORD)
    url = "sqlite:///bankgate.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return placed(tmp_path, url)
