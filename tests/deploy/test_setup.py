"""The set-up's decisions, with pip and venv played by a recorder: when it works, when it does not, what it leaves behind."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PYPROJECT = '[build-system]\nrequires = []\n[project]\nname = "x"\nversion = "{version}"\n[tool.ruff]\nline-length = {width}\n'


@dataclass
class Recorder:
    """Stands for the programs the set-up runs: makes a `.venv` that looks right and remembers what was asked."""

    root: Path
    fails_on: str = ""
    dies_on: str = ""
    commands: list[str] = field(default_factory=list)

    def __call__(self, command: Sequence[str]) -> int:
        line = " ".join(command)
        self.commands.append(line)
        if self.dies_on and self.dies_on in line:
            raise KeyboardInterrupt
        if "-m venv" in line:
            (self.root / ".venv" / "bin").mkdir(parents=True)
            (self.root / ".venv" / "bin" / "python").touch()
        return 1 if self.fails_on and self.fails_on in line else 0

    @property
    def made_anew(self) -> bool:
        return any("-m venv" in line for line in self.commands)

    @property
    def locks(self) -> list[str]:
        return [Path(line.rpartition("-r ")[2]).name for line in self.commands if "--require-hashes" in line]


@pytest.fixture(scope="module")
def setup(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("setup")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(version=1, width=100), encoding="utf-8")
    for name in ("requirements.lock", "requirements-build.lock", "requirements-dev.lock", "requirements-bench.lock"):
        (tmp_path / name).write_text("a==1 \\\n    --hash=sha256:0\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def set_up(setup: ModuleType, root: Path) -> Callable[..., Recorder]:
    """Runs one set-up as `main` does and gives back what it asked for."""

    def run(profile: str, *, runs: bool = True, **behaviour: Any) -> Recorder:
        recorder = Recorder(root, **behaviour)
        environment = setup.Environment(root, run=recorder, probe=lambda _command: 0 if runs else 1)
        if not environment.ready(profile):
            environment.install(profile)
        return recorder

    return run


def test_the_first_run_makes_an_environment_from_the_locks_by_their_hashes(set_up: Callable[..., Recorder]) -> None:
    first = set_up("run")
    assert first.made_anew
    assert first.locks == ["requirements-build.lock", "requirements.lock"]
    assert "--no-build-isolation --no-deps -e" in first.commands[-1]


def test_the_second_run_does_nothing(set_up: Callable[..., Recorder]) -> None:
    set_up("dev")
    assert set_up("dev").commands == []


def test_what_is_ready_for_tests_is_ready_for_the_demo_but_not_the_other_way_round(set_up: Callable[..., Recorder]) -> None:
    set_up("run")
    assert set_up("dev").locks == ["requirements-dev.lock"]
    assert set_up("run").commands == []
    assert set_up("bench").locks == ["requirements-dev.lock", "requirements-bench.lock"]
    assert set_up("dev").commands == []


def test_a_changed_lock_is_installed_into_the_same_environment(set_up: Callable[..., Recorder], root: Path) -> None:
    set_up("dev")
    (root / "requirements-dev.lock").write_text("a==2 \\\n    --hash=sha256:1\n", encoding="utf-8")
    again = set_up("dev")
    assert again.locks == ["requirements-dev.lock"]
    assert not again.made_anew


def test_a_changed_package_table_counts_and_a_changed_tool_table_does_not(set_up: Callable[..., Recorder], root: Path) -> None:
    set_up("dev")
    (root / "pyproject.toml").write_text(PYPROJECT.format(version=1, width=130), encoding="utf-8")
    assert set_up("dev").commands == []
    (root / "pyproject.toml").write_text(PYPROJECT.format(version=2, width=130), encoding="utf-8")
    assert set_up("dev").commands != []


def test_a_run_that_was_killed_is_made_anew(set_up: Callable[..., Recorder]) -> None:
    with pytest.raises(KeyboardInterrupt):
        set_up("dev", dies_on="--require-hashes")
    again = set_up("dev")
    assert again.made_anew
    assert set_up("dev").commands == []


def test_an_environment_whose_python_is_gone_is_made_anew(set_up: Callable[..., Recorder]) -> None:
    set_up("dev")
    assert set_up("dev", runs=False).made_anew


def test_an_environment_of_another_python_is_made_anew(
    set_up: Callable[..., Recorder], setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up("dev")
    monkeypatch.setattr(setup.Environment, "basis", lambda self: {"root": str(self.root), "python": "3.99"})
    assert set_up("dev").made_anew


def test_a_moved_checkout_is_set_up_anew(set_up: Callable[..., Recorder], setup: ModuleType, root: Path) -> None:
    set_up("dev")
    moved = root.with_name(f"{root.name}-moved")
    root.rename(moved)
    recorder = Recorder(moved)
    environment = setup.Environment(moved, run=recorder, probe=lambda _command: 0)
    assert not environment.ready("dev")
    environment.install("dev")
    assert recorder.made_anew


def test_an_environment_made_by_hand_is_taken_over_and_not_thrown_away(set_up: Callable[..., Recorder], root: Path) -> None:
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").touch()
    first = set_up("dev")
    assert not first.made_anew
    assert first.locks == ["requirements-dev.lock"]


def test_without_a_network_the_working_environment_stays(
    set_up: Callable[..., Recorder], root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up("dev")
    (root / "requirements-dev.lock").write_text("a==2 \\\n    --hash=sha256:1\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        set_up("dev", fails_on="--require-hashes")
    assert ended.value.code == 1
    assert "package index" in capsys.readouterr().err
    assert not set_up("dev").made_anew


def test_two_set_ups_at_once_wait_for_each_other(setup: ModuleType, tmp_path: Path) -> None:
    holder = (
        "import fcntl, sys, time\n"
        "handle = open(sys.argv[1], 'w')\n"
        "fcntl.flock(handle, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "setup.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        waiter = (
            "import sys, runpy, pathlib\n"
            "module = runpy.run_path(sys.argv[1])\n"
            "with module['alone'](pathlib.Path(sys.argv[2])):\n"
            "    print('mine', flush=True)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", waiter, setup.__file__, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as second:
            assert second.stdout is not None
            assert "waiting" in second.stdout.readline()
            assert second.poll() is None
            other.stdin.close()
            assert second.stdout.readline() == "mine\n"


def test_missing_programs_are_named_with_what_is_not_tested_and_the_way_to_have_them(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = {"xmlsec1", "sudo"}
    monkeypatch.setattr(setup.shutil, "which", lambda program, path=None: None if program in absent else f"/usr/bin/{program}")
    monkeypatch.setattr(setup, "as_root", lambda: None)
    setup.ensure_tools()
    said = capsys.readouterr().out
    assert "xmlsec1 is missing: tests of XML signatures against it will be skipped" in said
    assert "sudo apt-get install xmlsec1\n" in said


def test_a_program_that_some_systems_do_not_have_keeps_no_other_one_away(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {"xmlsec1", "nginx", "chromium"}
    asked: list[tuple[list[str], list[str]]] = []
    monkeypatch.setattr(setup.shutil, "which", lambda program, path=None: None if program in absent else f"/usr/bin/{program}")
    monkeypatch.setattr(setup, "apt_install", lambda packages, services=(): asked.append((list(packages), list(services))))
    setup.ensure_tools()
    assert asked == [(["xmlsec1", "nginx-light"], ["nginx"]), (["chromium"], [])]


def test_nothing_is_installed_on_the_system_without_the_right_to(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(command: Sequence[str]) -> int:
        pytest.fail(f"ran {command}")

    monkeypatch.setattr(setup, "run_silently", never)
    monkeypatch.setattr(setup, "as_root", lambda: None)
    assert not setup.apt_install(["xmlsec1"])
    monkeypatch.setattr(setup, "as_root", list)
    monkeypatch.setenv("BANKGATE_SYSTEM_PACKAGES", "no")
    assert not setup.apt_install(["xmlsec1"])


def test_servers_that_tests_drive_are_not_left_running_on_the_machine(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[str]] = []
    monkeypatch.setattr(setup, "run_silently", lambda command: asked.append(command) or 0)
    monkeypatch.setattr(setup, "as_root", list)
    monkeypatch.setattr(setup.shutil, "which", lambda program, path=None: f"/usr/bin/{program}")
    monkeypatch.delenv("BANKGATE_SYSTEM_PACKAGES", raising=False)
    assert setup.apt_install(["openssh-server"], ["ssh"])
    (command,) = asked
    assert list(command[-2:]) == ["ssh", "openssh-server"]
    assert "exit 101" in command[2]
    subprocess.run(["sh", "-n", "-c", command[2]], check=True)


@pytest.mark.parametrize("works", [True, False], ids=["it installs", "it fails"])
def test_postgresql_comes_without_a_cluster_and_what_the_machine_says_of_clusters_stays(
    setup: ModuleType, tmp_path: Path, works: bool
) -> None:
    (tmp_path / "policy").mkdir()
    clusters = tmp_path / "createcluster.conf"
    said = "#create_main_cluster = true\n"
    # apt-get as the script meets it: postgresql-common brings the file, postgresql reads it.
    apt = tmp_path / "apt-get"
    apt.write_text(
        f"""#!/bin/sh
case "$*" in
*"recommends postgresql-common") printf '{said.strip()}\\n' > {clusters} ;;
*recommends*)
    tail -n 1 {clusters} > {tmp_path}/read
    cp {tmp_path}/policy/policy-rc.d {tmp_path}/forbidden
    exit {0 if works else 1} ;;
esac
""",
        encoding="utf-8",
    )
    apt.chmod(0o755)
    script = setup.APT_SCRIPT.replace("/usr/sbin/policy-rc.d", f"{tmp_path}/policy/policy-rc.d")
    script = script.replace("/etc/postgresql-common/createcluster.conf", str(clusters))
    done = subprocess.run(
        ["sh", "-c", script, "sh", "", "xmlsec1", "postgresql"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == works, done.stderr
    assert (tmp_path / "read").read_text(encoding="utf-8") == "create_main_cluster = false\n"
    assert (tmp_path / "forbidden").read_text(encoding="utf-8") == "#!/bin/sh\nexit 101\n"
    assert clusters.read_text(encoding="utf-8") == said
    assert list((tmp_path / "policy").iterdir()) == []


def test_a_server_that_debian_hides_from_the_path_is_found(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hidden = tmp_path / "lib" / "17" / "bin"
    hidden.mkdir(parents=True)
    monkeypatch.setattr(setup, "SERVER_PLACES", (f"{str(tmp_path)[1:]}/lib/*/bin",))
    monkeypatch.setattr(setup, "TOOLS", (setup.Tool("bankgate-test-server", "x", "x", "x"),))
    assert [tool.program for tool in setup.missing_tools()] == ["bankgate-test-server"]
    (hidden / "bankgate-test-server").write_text("#!/bin/sh\n", encoding="utf-8")
    (hidden / "bankgate-test-server").chmod(0o755)
    assert setup.missing_tools() == []


@pytest.fixture
def node(setup: ModuleType, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a lock of node's packages, on a machine that has npm."""
    monkeypatch.setattr(setup.shutil, "which", lambda program: f"/usr/bin/{program}")
    for name in setup.NODE_LOCK:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}", encoding="utf-8")
    return root


def test_packages_for_node_are_installed_once_from_their_lock_without_running_their_scripts(
    setup: ModuleType, node: Path
) -> None:
    recorder = Recorder(node)
    setup.ensure_node_packages(node, recorder)
    setup.ensure_node_packages(node, recorder)
    (command,) = recorder.commands
    assert command.startswith("npm ci --ignore-scripts")
    assert (node / ".cache" / "node" / "package-lock.json").exists()
    (node / setup.NODE_LOCK[1]).write_text('{"changed": true}', encoding="utf-8")
    setup.ensure_node_packages(node, recorder)
    assert len(recorder.commands) == 2


def test_where_npm_fails_or_is_absent_the_set_up_goes_on_and_tries_again_next_time(
    setup: ModuleType, node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Recorder(node, fails_on="npm")
    setup.ensure_node_packages(node, failing)
    setup.ensure_node_packages(node, failing)
    assert len(failing.commands) == 2
    monkeypatch.setattr(setup.shutil, "which", lambda _program: None)
    setup.ensure_node_packages(node, failing)
    assert len(failing.commands) == 2


def test_an_unknown_profile_is_a_usage_error(setup: ModuleType) -> None:
    done = subprocess.run([sys.executable, setup.__file__, "everything"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "usage:" in done.stderr
