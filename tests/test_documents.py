"""What the guides say, against the code: commands, configuration, metrics, states, kinds, links. None goes stale unseen."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main

from channels.profiles import parse_profile as parse_channel
from gateway import callers, config
from gateway.config_load import ConfigurationProblems, load
from gateway.lifecycle import DeliveryState, PaymentState
from gateway.main import app
from gateway.rpc.errors import _FAILURES, Failure
from gateway.telemetry import Metrics
from keys.profiles import parse_profile as parse_seal
from simulator.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("proto", "formats", "keys", "channels", "gateway", "simulator", "deploy/systemd")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/banks/*.md"),
        *(ROOT / room / "README.md" for room in ROOMS),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of one language of a page; "" is a block without one."""
    fences = re.findall(r"^```([a-z]*)\n(.*?)^```$", text_of(name), re.MULTILINE | re.DOTALL)
    return [content for word, content in fences if word == language]


# -- links -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text_of(name))
    assert not [target for target in targets if not ((ROOT / name).parent / target).exists()]


@pytest.mark.parametrize("name", NAMES)
def test_files_of_the_project_that_a_page_names_are_there(name: str) -> None:
    tops = "proto|formats|keys|channels|gateway|simulator|tests|bench|docs|deploy"
    named = re.findall(rf"`((?:{tops})/[A-Za-z0-9_./-]+)`", text_of(name))
    made_by_the_reader = {"docs/examples/request.json"} | {path for path in named if "example.py" in path}
    assert not [path for path in named if path not in made_by_the_reader and not (ROOT / path).exists()]


@pytest.mark.parametrize("room", ["formats", "gateway", "keys", "channels"])
def test_the_guide_of_a_room_leaves_no_file_out(room: str) -> None:
    guide = text_of(f"{room}/README.md")
    named = set(re.findall(r"[\w*]+\.py", guide))
    files = {path.name for path in (ROOT / room).glob("*.py")} - {"__init__.py"}
    assert not [file for file in files if not any(Path(file).match(pattern) for pattern in named)]


# -- commands --------------------------------------------------------------------------------------------------------------


def written_commands(name: str) -> Iterator[str]:
    """Every line of a shell block that calls `bankgate`."""
    for language in ("", "console", "sh", "bash"):
        for block in blocks(name, language):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ").split("   #")[0].split("|")[0].split("<")[0].rstrip("& ")
                if command.startswith("bankgate "):
                    yield command
    for inline in re.findall(r"`(bankgate [^`]+)`", text_of(name)):
        yield re.sub(r"\|\S*", "", inline).replace("…", "X")


@pytest.mark.parametrize(("name", "command"), [(name, command) for name in NAMES for command in written_commands(name)])
def test_a_command_as_written_exists_with_its_options(name: str, command: str) -> None:
    found: Any = typer.main.get_command(app)
    context = found.make_context("bankgate", ["banks"], resilient_parsing=True)
    words = shlex.split(command)[1:]
    while words and hasattr(found, "get_command") and not words[0].startswith("-"):
        following = found.get_command(context, words[0])
        assert following is not None, f"{name}: there is no command {words[0]!r}"
        found, words = following, words[1:]
    options = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    written = [word.partition("=")[0] for word in words if word.startswith("--") and word != "--"]
    assert not [option for option in written if option not in options], f"{name}: {command}"


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_that_a_page_names_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE))
    assert {*re.findall(r"`make ([a-z-]+)", text_of(name)), *re.findall(r"^make ([a-z-]+)", text_of(name), re.M)} <= targets


# -- configuration ---------------------------------------------------------------------------------------------------------


def written_files(name: str, suffix: str) -> dict[str, str]:
    """The TOML blocks of a page whose first line names their file and ends in a suffix."""
    found = {}
    for block in blocks(name, "toml"):
        first = block.partition("\n")[0]
        match = re.fullmatch(r"# ([\w./-]+\.toml)(, first start)?", first)
        if match and (match[2] or "") == suffix:
            found[match[1]] = block
    return found


@pytest.mark.parametrize("suffix", ["", ", first start"])
def test_the_configuration_of_the_operators_guide_loads_as_it_stands(suffix: str, tmp_path: Path) -> None:
    files = written_files("docs/operator.md", suffix)
    assert set(files) == {"bankgate.toml", "connections/house-bank.toml"}
    for file, content in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content, encoding="utf-8")
        for reference in re.findall(r'"file:([^"]+)"', content):
            (tmp_path / reference).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / reference).touch(mode=0o600)
    try:
        loaded = load(tmp_path)
    except ConfigurationProblems as error:
        pytest.fail(str(error))
    assert set(loaded.connections) == {"house-bank"}
    assert {name for caller in loaded.callers for name in caller.actions} == set(get_args(config.Action))


@pytest.mark.parametrize("name", ["channels/README.md", "keys/README.md"])
def test_the_tables_of_the_rooms_guides_are_profiles(name: str) -> None:
    tables = [tomllib.loads(block) for block in blocks(name, "toml")]
    assert tables
    for table in tables:
        for key, parse in (("channel", parse_channel), ("seal", parse_seal)):
            if key in table:
                assert parse(table[key])


def test_the_banks_configuration_in_the_simulators_guide_loads(tmp_path: Path) -> None:
    (block,) = blocks("simulator/README.md", "toml")
    (tmp_path / "simulator.toml").write_text(block, encoding="utf-8")
    assert [customer.id for customer in load_settings(tmp_path / "simulator.toml").customers] == ["acme"]


def test_every_action_of_a_caller_is_explained() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", text_of("docs/operator.md"), re.MULTILINE))
    assert set(get_args(config.Action)) <= rows
    assert callers.EVERY_CONNECTION == "*"


# -- words -----------------------------------------------------------------------------------------------------------------


def test_every_metric_is_told_of_and_every_one_told_of_exists() -> None:
    known = {f"bankgate_{name}" for name in vars(Metrics()) if name != "registry"}
    told = set(re.findall(r"\bbankgate_[a-z_]+", text_of("docs/operator.md")))
    assert told == known


def discrepancy_kinds() -> set[str]:
    """Every kind the code gives: the second argument of `origin.discrepancy`, and what matching says."""
    found = set()
    for file in (
        "discrepancies.py",
        "statement_discrepancies.py",
        "plan_discrepancies.py",
        "review_discrepancies.py",
        "matching.py",
        "people/officers.py",
        "replay.py",
        "restored.py",
    ):
        for node in ast.walk(ast.parse(text_of(f"gateway/{file}"))):
            if isinstance(node, ast.Call):
                named = [keyword.value for keyword in node.keywords if keyword.arg == "kind"]
                second = node.args[1:2] if isinstance(node.func, ast.Attribute) and node.func.attr == "discrepancy" else []
                found |= {value.value for value in (*named, *second) if isinstance(value, ast.Constant)}
    return found


def test_every_kind_of_discrepancy_is_explained_to_operators_and_callers() -> None:
    kinds = discrepancy_kinds()
    assert {"unmatched", "ambiguous", "contradiction"} <= kinds
    table = text_of("docs/operator.md").partition("| discrepancy |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == kinds
    comment = re.search(r"// What does not fit\..*?string kind = 3;", text_of("proto/bankgate/v1/operations.proto"), re.DOTALL)
    assert comment is not None
    assert set(re.findall(r'"(\w+)"', comment[0])) == kinds


def test_the_states_in_the_contract_are_those_of_the_lifecycle() -> None:
    contract = text_of("proto/bankgate/v1/types.proto") + text_of("proto/bankgate/v1/operations.proto")
    for prefix, states in (("PAYMENT", PaymentState), ("DELIVERY", DeliveryState)):
        named = set(re.findall(rf"\b{prefix}_STATE_([A-Z_]+) =", contract)) - {"UNSPECIFIED"}
        assert named == {state.value.upper() for state in states}


def test_the_chinese_readme_names_every_state_of_a_payment() -> None:
    assert {state.value for state in PaymentState} <= set(re.findall(r"`(\w+)`", text_of("README.zh-CN.md")))


def test_every_status_that_a_call_may_end_with_is_in_the_callers_guide() -> None:
    """ABORTED apart: it answers operators who decided about something that moved meanwhile."""
    source = text_of("gateway/rpc/errors.py")
    codes = set(re.findall(r"(?:_CODE|StatusCode)\.([A-Z_]+)", source)) - {"ABORTED"}
    assert _FAILURES
    assert Failure
    assert not [code for code in codes if code not in text_of("docs/erp-developer.md")]


def test_the_readmes_show_what_the_commands_print() -> None:
    """The texts of the first screen are those of the code, in both languages."""
    from gateway.reasons import _OURS

    for name, language in (("README.md", 0), ("README.zh-CN.md", 1)):
        for word in ("approved", "batched", "sent", "settled"):
            line = next(line for line in text_of(name).splitlines() if re.match(rf"2026-\S+ \S+  INV-2026-0042  {word} ", line))
            assert _OURS[f"bankgate.{word}"][language] in line
        assert "1 stored, 0 known before, 0 refused, of 1" in text_of(name)


def test_the_examples_for_callers_say_the_same_connection_as_the_operators_guide() -> None:
    request = json.loads(text_of("docs/examples/request.json"))
    assert {payment["connection_id"] for payment in request["payments"]} == {"house-bank"}
    connection = tomllib.loads(written_files("docs/operator.md", "")["connections/house-bank.toml"])
    assert {payment["debtor_account"]["iban"] for payment in request["payments"]} == {connection["accounts"][0]["iban"]}
