"""The guide "Add a bank in an hour", done as written, in an environment of its own; and its outcome, the example package."""

import json
import os
import re
import shlex
import shutil
import site
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from formats.conformance import RULES

pytestmark = pytest.mark.timeout(600)  # pip, pytest and the command some thirty times, each a process of its own

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "add-a-bank.md"
EXAMPLE = ROOT / "docs" / "examples" / "bankgate-acme"

STEP = re.compile(r"^```([a-z]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(bankgate_acme/[^`]+)`[^`]*:\n\n\Z")
LEFT_BY_TOOLS = {"__pycache__", ".pytest_cache"}


class Workshop:
    """A Python environment made for a test: what is installed here can be seen there, and what is installed there stays there."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        venv.create(folder, with_pip=False, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        ours = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
        (packages / "ours.pth").write_text(ours, encoding="utf-8")
        calls = {"pip": "-m pip", "pytest": "-m pytest", "bankgate": '-c "from gateway.main import main; main()"'}
        for name, call in calls.items():
            (folder / "bin" / name).write_text(f'#!/bin/sh\nexec "{self.python}" {call} "$@"\n', encoding="utf-8")
            (folder / "bin" / name).chmod(0o755)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PIP_", "PYTHON"))},
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",  # nothing is fetched: the build backend is installed already
            "PIP_NO_BUILD_ISOLATION": "0",  # pip reads this one the other way round: 0 is no isolation
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "80",
        }

    def run(self, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            shlex.split(command), cwd=folder, env=self._environment, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop") / "venv")


def steps() -> Iterator[tuple[str, str]]:
    """What the guide tells to do, in order: ("run", command line) or (path, content of the file)."""
    text = GUIDE.read_text(encoding="utf-8")
    for block in STEP.finditer(text):
        if block[1] == "console":
            yield from (("run", line) for line in block[2].splitlines())
        else:
            named = NAMED.search(text, endpos=block.start())
            assert named is not None, f"the guide does not say where this goes: {block[2][:60]}"
            yield named[1], block[2]


def files_of(folder: Path) -> dict[str, str]:
    """Every file of a tree but what tools leave behind."""
    files = [path for path in folder.rglob("*") if path.is_file() and not LEFT_BY_TOOLS & set(path.parts)]
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_the_guide_leads_to_a_green_card_and_to_the_example(workshop: Workshop, tmp_path: Path) -> None:
    folder, ran = tmp_path, []
    for what, content in steps():
        if what != "run":
            assert (folder / what).parent.is_dir(), what
            (folder / what).write_text(content, encoding="utf-8")
        elif content.startswith("cd "):
            folder /= content.removeprefix("cd ")
        else:
            command, _, remark = content.partition("   #")
            done = workshop.run(command, folder)
            ran.append(command)
            assert (done.returncode != 0) is ("fails" in remark), f"{command}\n{done.stdout}{done.stderr}"
    assert "17 done, 0 failed, 1 exempt" in done.stdout
    assert {"pytest", "bankgate banks score acme"} <= set(ran)
    assert files_of(folder) == files_of(EXAMPLE), "docs/examples/bankgate-acme is not what the guide makes"


def test_the_example_is_found_and_scored_through_its_entry_point_once_installed(tmp_path: Path) -> None:
    """As a customer's package would be: a wheel, its samples in it, nothing but an entry point to find it by."""
    shutil.copytree(EXAMPLE, tmp_path / "source")
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet"]
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), str(tmp_path / "source")], check=True
    )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("bankgate")), "banks", "score", "acme", "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (card,) = json.loads(done.stdout)
    assert card["samples"] == "installed/bankgate_acme/samples"
    assert {rule["rule"]: rule["verdict"] for rule in card["rules"]} == {
        **{rule.id: "done" for rule in RULES},
        "samples-read": "exempt",
    }


# -- from the scaffold to green, by nothing but what the tests say -------------------------------------------------------------

CAPABILITIES = {
    "sends": '{"pain.001.001.09": ALWAYS}',
    "reads": '("pain.002", "camt.053")',
    "currencies": 'frozenset({"EUR", "CHF"})',
    "time_zone": '"Europe/Luxembourg"',
}
SAMPLES = EXAMPLE / "bankgate_acme" / "samples"
FROM_THE_BANK = {"pain.002": "status.xml", "camt.053": "statement.xml"}


def followed(place: str, told: str, project: Path, workshop: Workshop) -> bool:
    """Does what one message of a failing test says; False if it says nothing that can be done."""
    samples = project / "bankgate_moon" / "samples"
    if place == "bankgate_moon/__init__.py":
        named = [field for field in CAPABILITIES if f"capabilities.{field}" in told]
        plugin = project / place
        text = plugin.read_text(encoding="utf-8")
        for field in named:
            text = re.sub(rf"^(\s+{field}=).*$", rf"\1{CAPABILITIES[field]},", text, flags=re.MULTILINE)
        plugin.write_text(text, encoding="utf-8")
        return bool(named) or "Fill in its capabilities first" in told
    if "`bankgate banks propose moon`" in told:
        if kind := re.search(r"no sample shows (\S+) as this bank sends it", told):
            shutil.copy(SAMPLES / "inbound" / FROM_THE_BANK[kind[1]], samples / "inbound")
        assert workshop.run("bankgate banks propose moon", project).returncode == 0
        return True
    if rename := re.search(r"rename it to (\S+)\.$", told):
        (samples / place).rename(samples / rename[1])
        return True
    if "Write requests/plain.json" in told:
        shutil.copy(SAMPLES / "requests" / "plain.json", samples / "requests")
        return True
    if place == "bad/" and "Write bad/NAME.json" in told:
        text = (SAMPLES / "bad" / "long_id.json").read_text(encoding="utf-8")
        (samples / "bad" / "dollars.json").write_text(text, encoding="utf-8")
        return True
    if found := re.search(r"Write into (\S+\.rules), .* the plugin finds: (.+)\.$", told):
        (samples / found[1]).write_text(found[2].replace(", ", "\n") + "\n", encoding="utf-8")
        return True
    return "(samples-sent" in told or "golden-bytes tells first" in told


def test_a_fresh_scaffold_fails_with_directions_and_following_them_leads_to_green(workshop: Workshop, tmp_path: Path) -> None:
    assert workshop.run("bankgate banks new moon", tmp_path).returncode == 0
    project = tmp_path / "bankgate-moon"
    assert workshop.run("pip install --no-deps -e .", project).returncode == 0
    failing = []
    while (done := workshop.run("pytest -q -p no:cacheprovider", project)).returncode != 0:
        told = re.findall(r"^- (\S+): (.+)$", done.stdout, re.MULTILINE)
        failing.append(len(re.findall(r"^FAILED ", done.stdout, re.MULTILINE)))
        assert told, done.stdout + done.stderr
        assert len(failing) < 8, f"going in circles: {failing}\n{done.stdout}"
        for place, words in dict.fromkeys(told):
            assert followed(place, words, project, workshop), f"no direction that can be followed: {place}: {words}"
    assert failing[0] >= 10, "a fresh scaffold must not look nearly done"
    assert "skipped" not in done.stdout
