"""The project as a whole: checks, locks, commands and papers agree with each other."""

import os
import re
import runpy
import stat
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHECK = runpy.run_path(str(ROOT / "deploy" / "scripts" / "check.py"))
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock", "requirements-bench.lock")
GROUPS = PYPROJECT["dependency-groups"]
RUN_TIME = [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["simulator"]]
ASKED_FOR = {
    "requirements.lock": RUN_TIME,
    "requirements-build.lock": GROUPS["build"],
    "requirements-dev.lock": [*RUN_TIME, *GROUPS["build"], *(entry for entry in GROUPS["dev"] if isinstance(entry, str))],
    "requirements-bench.lock": GROUPS["bench"],
}
TARGETS = {
    "demo",
    "chaos",
    "model",
    "test",
    "sim",
    "check",
    "format",
    "stubs",
    "diagrams",
    "rules",
    "banks",
    "lock",
    "bench",
    "image-steps",
    "setup",
    "clean",
    "help",
}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def locked(name: str) -> dict[str, str]:
    """Package → version of a lock file."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text_of(name), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pins}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CHECK["CHECKS"])
def test_check(name: str) -> None:
    """The same list as `make check`: format, style, types, import directions, stubs."""
    complaint = CHECK["check"](name)
    assert not complaint, f"{CHECK['HINTS'][name]}\n{complaint}"


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_locked_at_a_version_that_fits(name: str) -> None:
    pins = locked(name)
    for requirement in map(Requirement, ASKED_FOR[name]):
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in {name}: run `make lock`"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{name} has {requirement.name} {version}: run `make lock`"
        )


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes_and_an_exact_version(name: str) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", text_of(name), flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+==[^\s;]+ (;[^\\]+ )?\\\n", entry), entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry.splitlines()[0]


@pytest.mark.parametrize("name", LOCKS)
def test_locks_name_no_place_to_fetch_from(name: str) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links", text_of(name))


def test_the_development_lock_holds_the_run_time_at_the_same_versions() -> None:
    development = locked("requirements-dev.lock")
    for name in ("requirements.lock", "requirements-build.lock"):
        assert not {package: version for package, version in locked(name).items() if development.get(package) != version}


def test_the_bench_lock_goes_with_the_development_lock() -> None:
    bench, development = locked("requirements-bench.lock"), locked("requirements-dev.lock")
    assert not {package for package in bench.keys() & development.keys() if bench[package] != development[package]}


def test_what_is_installed_here_is_what_is_locked() -> None:
    markers = default_environment()
    assert tuple(map(int, markers["python_version"].split("."))) >= (3, 11)
    installed = {canonicalize_name(found.name): found.version for found in metadata.distributions()}
    for name in map(canonicalize_name, (Requirement(entry).name for entry in ASKED_FOR["requirements-dev.lock"])):
        assert installed.get(name) == locked("requirements-dev.lock")[name], f"{name}: run `make setup`"


def test_one_version_everywhere() -> None:
    version = PYPROJECT["project"]["version"]
    assert metadata.version("bankgate") == version
    assert f"image: bankgate:{version}" in text_of("deploy/compose.yaml")
    headings = re.findall(r"^## \[([^\]]+)\]", text_of("CHANGELOG.md"), re.MULTILINE)
    assert headings, "CHANGELOG.md has no section"
    assert headings[0] in {"Unreleased", version}


def test_the_licence_is_apache_2() -> None:
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert re.match(r"\s*Apache License\s+Version 2\.0, January 2004", text_of("LICENSE"))


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make ([a-z-]+) ", done.stdout, re.MULTILINE)) == TARGETS
    declared = re.search(r"^\.PHONY: (.+)$", text_of("Makefile"), re.MULTILINE)
    assert declared is not None
    assert set(declared[1].split()) == TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS - {"help", "clean"}))
def test_every_target_sets_itself_up_first(target: str) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}  # as if not called by make itself
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.startswith("sh deploy/scripts/setup.sh ")


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    subprocess.run(["bash", "-n", str(script)], check=True)
    commands = [line for line in text_of(".ci/run").splitlines() if line and not line.startswith("#")]
    assert commands[0] == "set -euo pipefail"
    assert re.search(r"\bmake .*\btest$", commands[-1]), "its last words must be pytest's"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_between_the_papers_lead_somewhere(page: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))
    assert not [target for target in targets if not (ROOT / target).exists()]


@pytest.mark.parametrize("command", re.findall(r"\bmake ([a-z-]+)", text_of("CONTRIBUTING.md")))
def test_contributing_names_only_commands_that_exist(command: str) -> None:
    assert command in TARGETS


def bare(path: Path, **more: str) -> dict[str, str]:
    """An environment in which only what is under `path` can be run."""
    return {"PATH": str(path), "HOME": os.environ.get("HOME", "/"), **more}


def test_without_a_python_the_set_up_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    (tmp_path / "cat").symlink_to("/bin/cat")
    script = str(ROOT / "deploy" / "scripts" / "setup.sh")
    done = subprocess.run(["/bin/sh", script, "run"], env=bare(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no Python of at least 3.11" in done.stderr
    for way_out in ("apt-get install", "brew install", "BANKGATE_PYTHON="):
        assert way_out in done.stderr


def test_a_python_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    for name, answer in (("python3.13", "exit 1"), ("python3", 'case "$1" in -c) exit 0;; *) echo "chosen: $0";; esac')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    script = str(ROOT / "deploy" / "scripts" / "setup.sh")
    done = subprocess.run(["/bin/sh", script, "run"], env=bare(tmp_path), capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("/python3"), done.stderr


def test_a_python_that_was_named_but_does_not_fit_is_an_error_and_not_replaced(tmp_path: Path) -> None:
    script = str(ROOT / "deploy" / "scripts" / "setup.sh")
    environment = bare(Path("/usr/bin"), BANKGATE_PYTHON=str(tmp_path / "none"))
    done = subprocess.run(["/bin/sh", script, "run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "BANKGATE_PYTHON" in done.stderr
