"""Makes the checkout ready to run: `.venv` with the locked packages, and the programs the tests drive.

python deploy/scripts/setup.py run      what `bankgate` and the simulator need
python deploy/scripts/setup.py dev      that, and what tests and checks need
python deploy/scripts/setup.py bench    that, and the peers that benches measure against

Called through `setup.sh`, which finds the interpreter; standard library only, since nothing else is there yet. Safe to run
twice at once, to interrupt and to repeat: a file lock lets one set-up work at a time, a mark tells the next one that it was cut
short (then `.venv` is made anew), and a stamp of everything it rests on lets a repeated run end at once, without a network.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]

# Which locks make a profile. requirements-dev.lock contains everything of requirements.lock, at the same versions.
LOCKS = {
    "run": ("requirements-build.lock", "requirements.lock"),
    "dev": ("requirements-dev.lock",),
    "bench": ("requirements-dev.lock", "requirements-bench.lock"),
}
INCLUDES = {"run": {"run"}, "dev": {"run", "dev"}, "bench": {"run", "dev", "bench"}}

Run = Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Tool:
    """A program the tests drive because we did not write it: the other end of a format or protocol."""

    program: str
    debian: str
    brew: str
    proves: str
    service: str = ""  # what the Debian package would start; the tests start their own, so it is kept from starting
    apart: bool = False  # installed by itself: some systems have no such package, and the others' must come all the same


TOOLS = (
    Tool("gpg", "gnupg", "gnupg", "OpenPGP seals"),
    Tool("xmlsec1", "xmlsec1", "libxmlsec1", "XML signatures"),
    Tool("xmllint", "libxml2-utils", "libxml2", "XML validity"),
    Tool("openssl", "openssl", "openssl@3", "CMS seals"),
    Tool("softhsm2-util", "softhsm2", "softhsm", "keys in a token"),
    Tool("pdftotext", "poppler-utils", "poppler", "letters as PDF"),
    Tool("sftp", "openssh-client", "openssh", "SFTP, as a client"),
    Tool("sshd", "openssh-server", "openssh", "SFTP, as a server", service="ssh"),
    Tool("nginx", "nginx-light", "nginx", "HTTPS, as a server", service="nginx"),
    Tool("node", "nodejs", "node", "EBICS, as a client"),
    Tool("npm", "npm", "node", "EBICS, as a client"),
    Tool("chromium", "chromium", "chromium", "passkeys, as a browser", apart=True),
    Tool("initdb", "postgresql", "postgresql@17", "the store of several replicas", service="postgresql"),
)

# Packages for node by their lock, integrity hashes included; installed into .cache, where tests look for them.
NODE_LOCK = ("tests/ebics/node/package.json", "tests/ebics/node/package-lock.json")

# Servers stand outside the PATH of an ordinary person, and each version of PostgreSQL in a directory of its own.
SERVER_PLACES = ("usr/sbin", "usr/local/sbin", "sbin", "usr/lib/postgresql/*/bin", "opt/homebrew/opt/postgresql@*/bin")

# Installs Debian packages as root. Packages of servers start them on installation; a machine that only wanted to run tests must
# not find an SSH or web server listening, so starting is forbidden meanwhile (policy-rc.d(8)) and later boots are told no.
# PostgreSQL's also makes a database cluster, unless postgresql-common, which comes first, says otherwise (pg_createcluster(1)).
APT_SCRIPT = """
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.conf
made= kept=
undo() {
    [ -z "$made" ] || rm -f "$policy"
    [ -z "$kept" ] || mv -f "$kept" "$clusters"
}
trap undo EXIT
trap 'exit 1' INT TERM
if [ ! -e "$policy" ]; then
    made=yes
    printf '#!/bin/sh\\nexit 101\\n' > "$policy"
    chmod 755 "$policy"
fi
services=$1
shift
get() { apt-get -qq -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"; }
apt-get -qq update
case " $* " in
*" postgresql "*)
    get postgresql-common
    if [ -e "$clusters" ]; then
        cp -p "$clusters" "$clusters.before"
        kept=$clusters.before
        printf '\\ncreate_main_cluster = false\\n' >> "$clusters"
    fi
    ;;
esac
get "$@"
if [ -n "$services" ] && command -v systemctl > /dev/null; then
    systemctl disable $services || true
fi
"""


def say(text: str) -> None:
    """One line to the person who waits."""
    print(f"set-up: {text}", flush=True)


def fail(text: str) -> NoReturn:
    """Ends the set-up: what is wrong and the way out."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)
    raise SystemExit(1)


def run_visibly(command: Sequence[str]) -> int:
    """Runs a program that talks to the person itself (pip names what it cannot install). It holds the lock with us: a pip that
    outlives a killed set-up is still writing, and the next set-up waits for it."""
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, close_fds=False).returncode


def run_silently(command: Sequence[str]) -> int:
    """Runs a program whose exit status says enough."""
    quiet = subprocess.DEVNULL
    return subprocess.run(command, check=False, stdin=quiet, stdout=quiet, stderr=quiet).returncode


@contextmanager
def alone(cache: Path) -> Iterator[None]:
    """Holds the lock of this checkout's set-up; it falls when the last process of it has ended, however that ends."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "setup.lock").open("w") as handle:
        os.set_inheritable(handle.fileno(), True)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this checkout is at work; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def fingerprint(root: Path, profile: str) -> str:
    """What the installed packages rest on: the locks and what pyproject.toml says about the package (not about the tools)."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    package = [pyproject.get("build-system"), pyproject.get("project"), pyproject.get("tool", {}).get("hatch")]
    digest = hashlib.sha256(json.dumps(package, sort_keys=True).encode())
    for name in LOCKS[profile]:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Environment:
    """The `.venv` of one checkout."""

    root: Path
    run: Run = run_visibly
    probe: Run = run_silently

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def stamp(self) -> Path:
        return self.venv / "bankgate-setup.json"

    @property
    def cut_short(self) -> Path:
        """Stands while packages are being written; found by the next set-up, it says that the last one was killed."""
        return self.root / ".cache" / "setup.incomplete"

    def basis(self) -> dict[str, str]:
        """What makes a whole environment useless when it changes: scripts in it name their own place and Python."""
        return {"root": str(self.root), "python": f"{sys.version_info.major}.{sys.version_info.minor}"}

    def stamped(self) -> dict[str, object]:
        """The stamp of the last set-up that ended well; empty if there is none."""
        try:
            content = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def ready(self, profile: str) -> bool:
        """Whether nothing has to be done. A larger profile that is ready serves for a smaller one."""
        stamp = self.stamped()
        if self.cut_short.exists() or not self.usable(stamp):
            return False
        larger = [name for name, parts in INCLUDES.items() if profile in parts]
        return any(stamp.get(name) == fingerprint(self.root, name) for name in larger)

    def usable(self, stamp: dict[str, object]) -> bool:
        """Whether packages can be put into what is there: it runs, by this Python, and was not made elsewhere.

        An environment without a stamp, made by hand, is taken over rather than thrown away.
        """
        minor = self.basis()["python"]
        check = f"import sys, pip; sys.exit('%d.%d' % sys.version_info[:2] != {minor!r})"
        in_place = stamp.get("basis", self.basis()) == self.basis()
        return in_place and self.python.exists() and self.probe([str(self.python), "-c", check]) == 0

    def create(self) -> None:
        """Makes `.venv` anew."""
        ensure_venv_module()
        if self.venv.exists():
            say("removing a .venv that is incomplete, was made elsewhere or by another Python")
            shutil.rmtree(self.venv)
        say(f"making .venv with Python {sys.version.split()[0]}")
        # The interpreter below any virtual environment that happens to be active.
        base = getattr(sys, "_base_executable", None) or sys.executable
        if self.run([base, "-m", "venv", str(self.venv)]) != 0:
            fail("python -m venv failed; its own words are above")

    def install(self, profile: str) -> None:
        """Brings `.venv` to the locked versions of the profile."""
        self.cut_short.parent.mkdir(parents=True, exist_ok=True)
        keep = not self.cut_short.exists() and self.usable(self.stamped())
        self.cut_short.touch()
        self.stamp.unlink(missing_ok=True)
        if not keep:
            self.create()
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "-qq"]
        for name in LOCKS[profile]:
            count = sum("==" in line for line in (self.root / name).read_text(encoding="utf-8").splitlines())
            say(f"installing {count} packages of {name}, each checked against its hash")
            if self.run([*pip, "--require-hashes", "-r", str(self.root / name)]) != 0:
                self.gave_up(keep)
        say("installing bankgate itself, linked to this checkout")
        if self.run([*pip, "--no-build-isolation", "--no-deps", "-e", str(self.root)]) != 0:
            self.gave_up(keep)
        marks = {name: fingerprint(self.root, name) for name in INCLUDES[profile]}
        self.stamp.write_text(json.dumps({"basis": self.basis(), **marks}, indent=1), encoding="utf-8")
        self.cut_short.unlink()
        say("ready")

    def gave_up(self, keep: bool) -> NoReturn:
        """pip said no. It fetches everything before it writes anything, so an environment that was whole is still whole."""
        if keep:
            self.stamp.write_text(json.dumps({"basis": self.basis()}), encoding="utf-8")
            self.cut_short.unlink()
        fail("pip could not install the locked packages; its own words are above. Is the package index within reach?")


def as_root() -> list[str] | None:
    """The words that make a command run as root without asking anybody; None if that is not possible."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and run_silently(["sudo", "-n", "true"]) == 0:
        return ["sudo", "-n"]
    return None


def apt_install(packages: Sequence[str], services: Sequence[str] = ()) -> bool:
    """Installs Debian packages if we may; False if we may not or it failed."""
    prefix = as_root()
    if prefix is None or not shutil.which("apt-get") or os.environ.get("BANKGATE_SYSTEM_PACKAGES") == "no":
        return False
    say(f"installing Debian packages: {' '.join(packages)}")
    return run_silently([*prefix, "sh", "-c", APT_SCRIPT, "sh", " ".join(services), *packages]) == 0


def ensure_venv_module() -> None:
    """Debian ships Python without what `python -m venv` needs."""
    probe = [sys.executable, "-c", "import venv, ensurepip"]
    if run_silently(probe) == 0:
        return
    package = f"python{sysconfig.get_python_version()}-venv"
    if not apt_install([package]) or run_silently(probe) != 0:
        fail(f"this Python cannot make virtual environments. Do `sudo apt-get install {package}` and repeat")


def missing_tools() -> list[Tool]:
    """Programs of `TOOLS` that are not there."""
    places = [str(place) for pattern in SERVER_PLACES for place in sorted(Path("/").glob(pattern))]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *places])
    return [tool for tool in TOOLS if shutil.which(tool.program, path=path) is None]


def ensure_tools() -> None:
    """Installs the programs the tests drive where that is allowed; else names them, and the tests that need them skip."""
    wanted = missing_tools()
    if not wanted:
        return
    if shutil.which("apt-get"):
        together = [tool for tool in wanted if not tool.apart]
        for group in (together, *([tool] for tool in wanted if tool.apart)):
            if group:
                apt_install([tool.debian for tool in group], [tool.service for tool in group if tool.service])
        command = "sudo apt-get install " + " ".join(tool.debian for tool in wanted)
    elif shutil.which("brew") and os.environ.get("BANKGATE_SYSTEM_PACKAGES") != "no":
        formulas = list(dict.fromkeys(tool.brew for tool in wanted))
        say(f"installing with brew: {' '.join(formulas)}")
        for group in ([tool for tool in wanted if not tool.apart], *([tool] for tool in wanted if tool.apart)):
            if group:
                run_silently(["brew", "install", "-q", *dict.fromkeys(tool.brew for tool in group)])
        command = "brew install " + " ".join(formulas)
    else:
        command = "this system's own package manager; Debian's names: " + " ".join(tool.debian for tool in wanted)
    for tool in missing_tools():
        say(f"{tool.program} is missing: tests of {tool.proves} against it will be skipped")
    if missing_tools():
        say(f"to have them: {command}")


def ensure_node_packages(root: Path, run: Run = run_silently) -> None:
    """Installs what tests drive with node, unless the same lock was installed before; without it those tests skip."""
    if shutil.which("npm") is None:
        return
    digest = hashlib.sha256(b"".join((root / name).read_bytes() for name in NODE_LOCK)).hexdigest()
    place = root / ".cache" / "node"
    stamp = place / "bankgate-setup"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for name in NODE_LOCK:
        shutil.copy(root / name, place)
    say("installing packages for node, each checked against its hash")
    # Without a network nobody waits for npm's own patience of several minutes.
    bounds = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000", "--fetch-timeout=30000"]
    if run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", *bounds, "--prefix", str(place)]) == 0:
        stamp.write_text(digest, encoding="utf-8")
    else:
        say("npm could not install them: tests of EBICS with a client for node will be skipped")


def main() -> None:
    profiles = sys.argv[1:]
    if len(profiles) != 1 or profiles[0] not in LOCKS:
        raise SystemExit(f"usage: setup.py {'|'.join(LOCKS)}")
    (profile,) = profiles
    with alone(ROOT / ".cache"):
        environment = Environment(ROOT)
        if not environment.ready(profile):
            environment.install(profile)
        if profile != "run":
            ensure_tools()
            ensure_node_packages(ROOT)


if __name__ == "__main__":
    main()
