"""Dockerfile, compose, units, alerts, dashboard: what they name exists, and the replay of the Dockerfile knows every step."""

import json
import re
import tomllib
from collections.abc import Callable
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from gateway.store.address import postgres_address
from gateway.telemetry import Metrics

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def steps(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("image_steps")


@pytest.fixture(scope="module")
def instructions(steps: ModuleType) -> list[Any]:
    return list(steps.parse(DOCKERFILE))


def rests(instructions: list[Any], word: str) -> list[str]:
    return [instruction.rest for instruction in instructions if instruction.word == word]


def test_continued_lines_and_comments_are_read_as_an_engine_reads_them(steps: ModuleType) -> None:
    parsed = steps.parse("# a comment\nFROM base AS one\nRUN first \\\n    # inside\n    && second\n\nuser 1:1\n")
    assert [(step.word, step.rest) for step in parsed] == [("FROM", "base AS one"), ("RUN", "first && second"), ("USER", "1:1")]


def test_the_replay_knows_every_instruction_of_the_dockerfile(steps: ModuleType, instructions: list[Any]) -> None:
    carried_out = {"ARG", "FROM", "ENV", "WORKDIR", "USER", "COPY", "RUN"}
    assert {instruction.word for instruction in instructions} <= carried_out | steps.ABOUT_RUNNING
    assert len(rests(instructions, "RUN")) == len(re.findall(r"^RUN ", DOCKERFILE, re.MULTILINE))


def test_an_instruction_the_replay_does_not_know_ends_it(
    steps: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "begin", lambda _scratch, _number: steps.Stage(tmp_path))
    with pytest.raises(SystemExit, match="ONBUILD is not known"):
        steps.carry_out(steps.parse("FROM base AS one\nONBUILD RUN true"), tmp_path, set())


def test_everything_copied_is_there_and_sent_to_the_engine(steps: ModuleType, instructions: list[Any]) -> None:
    allowed = steps.sent_to_engine((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    copied = {word for rest in rests(instructions, "COPY") if "--from" not in rest for word in rest.split()[:-1]}
    assert copied == allowed
    assert not [name for name in allowed if not (ROOT / name).exists()]


def test_every_package_of_the_wheel_is_copied(instructions: list[Any]) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = {word for rest in rests(instructions, "COPY") for word in rest.split()[:-1]}
    assert {package.partition("/")[0] for package in wheel["packages"]} <= copied


def test_the_image_is_built_from_hashes_and_runs_as_nobody_special(instructions: list[Any]) -> None:
    installs = [rest for rest in rests(instructions, "RUN") if "pip install" in rest]
    assert all("--require-hashes" in rest or "--no-index" in rest for rest in installs)
    assert rests(instructions, "USER") == ["10001:10001"]
    assert len(rests(instructions, "FROM")) == 2, "builder and runtime"


def test_the_health_check_of_the_image_is_the_script_that_is_tested(steps: ModuleType, instructions: list[Any]) -> None:
    command = steps.health_command(instructions)
    assert command == "python /opt/bankgate/healthcheck.py"
    assert "deploy/scripts/healthcheck.py /opt/bankgate/healthcheck.py" in rests(instructions, "COPY")


def test_compose_runs_every_process_locked_down() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("bankgate:")}
    assert {name: service["command"][0] for name, service in ours.items()} == {
        "serve": "bankgate",
        "worker": "bankgate",
        "simulator": "bankgate-simulator",
    }
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    with_keys = {name for name, service in ours.items() if any("keys" in volume for volume in service["volumes"])}
    assert with_keys == {"worker"}, "serve must not reach private keys"


def test_compose_with_postgresql_adds_to_the_services_there_are_and_shows_the_database_to_nobody_else() -> None:
    base = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    over = yaml.safe_load((DEPLOY / "compose.postgres.yaml").read_text(encoding="utf-8"))
    services = over["services"]
    assert set(services) - set(base) == {"postgres"}
    assert "listen_addresses=" in services["postgres"]["command"], "reached by its socket alone"
    assert "ports" not in services["postgres"]
    sockets = {volume.partition(":")[0] for name in ("serve", "worker") for volume in services[name]["volumes"]}
    assert sockets == {"postgres-socket"}
    assert {volume.partition(":")[0] for volume in services["postgres"]["volumes"]} == set(over["volumes"])
    text = (DEPLOY / "compose.postgres.yaml").read_text(encoding="utf-8")
    (store,) = re.findall(r'store = "([^"]+)"', text)
    assert postgres_address(store).by_socket


def test_every_file_that_compose_mounts_is_there() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    sources = {volume.partition(":")[0] for service in services.values() for volume in service["volumes"]}
    made_by_the_operator = {"./config", "./keys", "./simulator"}
    assert not [source for source in sources - made_by_the_operator if source.startswith("./") and not (DEPLOY / source).exists()]


@pytest.mark.parametrize("role", ["serve", "worker"])
def test_units_start_their_process_with_nothing_writable_but_the_store(role: str) -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd" / f"bankgate-{role}.service")
    service = unit["Service"]
    assert service["ExecStart"].startswith(f"/opt/bankgate/bin/bankgate {role} ")
    assert service["User"] == "bankgate", "the store's files are one user's alone"
    assert service["ReadWritePaths"] == "/var/lib/bankgate"
    for setting, value in {
        "ProtectSystem": "strict",
        "ProtectHome": "true",
        "NoNewPrivileges": "true",
        "CapabilityBoundingSet": "",
    }.items():
        assert service[setting] == value, setting


def test_only_the_worker_reaches_private_keys_under_systemd() -> None:
    serve, worker = (
        (DEPLOY / "systemd" / f"bankgate-{role}.service").read_text(encoding="utf-8") for role in ("serve", "worker")
    )
    assert "\nInaccessiblePaths=-/etc/bankgate-keys\n" in serve
    assert "\nPrivateUsers=true\n" in serve, (
        "processes of one user can read each other's environment and files by /proc otherwise"
    )
    assert "bankgate-keys" not in worker


@pytest.mark.parametrize("role", ["serve", "worker"])
def test_each_process_gets_its_own_passphrases_and_not_the_other_ones(role: str) -> None:
    unit = (DEPLOY / "systemd" / f"bankgate-{role}.service").read_text(encoding="utf-8")
    assert re.findall(r"^EnvironmentFile=(.+)$", unit, re.MULTILINE) == [f"-/etc/bankgate-{role}.env"]
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"][role]
    assert service["env_file"] == [f"{role}.env"]


@pytest.mark.parametrize("name", ["prometheus/alerts.yml", "grafana/dashboards/bankgate.json"])
def test_alerts_and_dashboard_ask_only_for_metrics_and_labels_that_exist(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    known = {}
    for collector in vars(Metrics()).values():
        for family in collector.describe() if hasattr(collector, "describe") else ():
            for suffix in ("", "_total", "_bucket", "_count", "_sum"):
                known[f"{family.name}{suffix}"] = {*collector._labelnames, "le", "process"}
    expressions = re.findall(r'(?:expr: |"expr": )"?(.+)', text) if name.endswith(".yml") else expressions_of(json.loads(text))
    asked = {metric for expression in [*expressions, text] for metric in re.findall(r"\bbankgate_[a-z_]+", expression)}
    assert asked, "nothing is asked for at all"
    assert not asked - known.keys()
    for expression in expressions:
        allowed = set().union(*(known[metric] for metric in re.findall(r"\bbankgate_[a-z_]+", expression)))
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            assert {label.strip() for label in grouped.split(",")} <= allowed, expression


def expressions_of(dashboard: dict[str, Any]) -> list[str]:
    """Every query of a dashboard."""
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


def test_every_alert_says_what_to_do() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {"DeliveryInDoubt", "PaymentsWaiting", "CertificateExpires"} <= {rule["alert"] for rule in rules}
    for rule in rules:
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["action"], rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
