"""A front machine as a table of the simulator's settings, behind its control API."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from simulator.front.banks import NAMES, front_class
from simulator.front.running import run_front
from simulator.front.settings import FrontSettings
from simulator.running import run
from simulator.settings import BankSettings
from tests.simulator.front import test_cib as cib
from tests.simulator.front.support import front

ACCOUNTS = [{"number": cib.ACCOUNT, "balance": "10000.00"}]


def settings(directory: Path, **more: Any) -> BankSettings:
    table = {"bank": "cib", "accounts": ACCOUNTS, "quiet_hours": False, **more}
    return BankSettings.model_validate({"directory": directory, "front": table})


async def test_the_control_api_shows_and_steers_the_front_machine(tmp_path: Path) -> None:
    async with run(settings(tmp_path)) as bank, aiohttp.ClientSession() as session:
        ready = json.loads(json.dumps(bank.addresses()))
        control = ready["control"]["url"]
        url = f"http://{ready['front']['host']}:{ready['front']['port']}/"
        fox = {"Content-Type": "application/x-fox"}
        async with session.post(f"{control}/front/moods", json={"mood": "answer_unknown", "when": "payment"}) as answer:
            assert (await answer.json())["on"][0]["mood"] == "answer_unknown"
        async with session.post(url, data=cib.fox(cib.transfer()), headers=fox) as answer:
            assert b"PENDING" in await answer.read()
        async with session.post(f"{control}/front/advance?seconds=5") as answer:
            state = await answer.json()
        assert (state["orders"][0]["state"], state["accounts"][0]["balance"], state["paid_twice"]) == ("settled", "9876.55", [])
        order = {"serial": state["orders"][0]["serial"], "state": "returned", "reason": "户名不符"}
        async with session.post(f"{control}/front/state", json=order) as answer:
            assert (await answer.json())["state"] == "returned"
        money = {"account": cib.ACCOUNT, "amount": "1.00", "payer": {"name": "丙公司"}}
        async with session.post(f"{control}/front/credit", json=money) as answer:
            assert (await answer.json())[0]["balance"] == "10001.00"
        async with session.delete(f"{control}/front/moods") as answer:
            assert (await answer.json())["on"] == []
        async with session.get(f"{control}/front") as answer:
            assert (await answer.json())["bank"] == "cib"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("moods", {"mood": "nothing"}),
        ("moods", {"mood": "slow", "surprise": 1}),
        ("advance?seconds=x", {}),
        ("credit", {"account": "9", "amount": "1.00"}),
        ("credit", {"account": cib.ACCOUNT, "amount": "x"}),
        ("credit", []),
        ("state", {"serial": "S9", "state": "settled"}),
        ("state", {"serial": "S9", "state": "rich"}),
    ],
)
async def test_wrong_orders_are_answered_with_what_would_be_right(tmp_path: Path, path: str, body: Any) -> None:
    async with run(settings(tmp_path)) as bank, aiohttp.ClientSession() as session:
        answer = await session.post(f"{bank.control.url}/front/{path}", json=body)
        assert answer.status == 400
        assert (await answer.json())["error"]


async def test_orders_outlive_a_restart(tmp_path: Path) -> None:
    more: dict[str, Any] = {"quiet_hours": False, "database": "front.db", "directory": tmp_path}
    for expected in ("PROCESSING", "PAYOUT"):
        async with run_front("cib", accounts={cib.ACCOUNT: "10000.00"}, **more) as running:
            running.clock.advance(0 if expected == "PROCESSING" else 10)
            assert cib.value(cib.ask(running.front, cib.transfer()), "XFERPRCCODE") == [expected]
            assert len(running.books.orders()) == 1


@pytest.mark.parametrize(
    "table",
    [
        {"bank": "nobody", "accounts": ACCOUNTS},
        {"bank": "cib", "accounts": []},
        {"bank": "cib", "accounts": ACCOUNTS * 2},
        {"bank": "cib", "accounts": ACCOUNTS, "listen": "0.0.0.0:80"},
        {"bank": "cib", "accounts": [{"number": "1", "balance": "1.5"}]},
        {"bank": "cib", "accounts": ACCOUNTS, "surprise": 1},
    ],
)
def test_a_table_that_makes_no_sense_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FrontSettings.model_validate(table)


def test_a_bank_without_customers_and_without_front_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="front"):
        BankSettings.model_validate({"directory": tmp_path})


def test_an_identity_that_the_bank_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match="it has cid"):
        front("cib", cib.ACCOUNT, customer={"lgnnam": "x"})


@pytest.mark.parametrize("name", ["cib", "cmb", "cmb_cloud", "icbc", "spdb"])
def test_each_bank_is_found_under_its_name(name: str) -> None:
    assert name in NAMES
    assert front_class(name).name == name
    with pytest.raises(KeyError):
        front_class("nobody")
