"""Builds the image's file system by the Dockerfile's own steps, for machines without a Docker engine, and tries what comes out.

python deploy/scripts/image_steps.py

Reads the Dockerfile and carries out every instruction of every stage: an instruction it does not know ends it, so the two cannot
drift apart. A stage starts as an overlay over this machine's own file system, in a mount namespace of its own, with the checkout
and the home directory hidden: commands run as written, under the paths and users they name, and nothing of it is seen or
left outside. What is not covered is the base image itself; this machine's Debian and its Python stand in for it.

Then the image is used as a careful operator would: root file system read-only, /data writable, its own user, no new privileges.
Linux and root only.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# How pip reaches its index is this machine's business.
PASSED_ON = re.compile(r"^(PIP_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(https?|no)_proxy)$", re.IGNORECASE)
# They say how an engine runs the image and change nothing in it.
ABOUT_RUNNING = frozenset({"EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD", "VOLUME", "LABEL"})

# The smallest gateway there is, for trying the image: one connection to a folder.
SETTINGS = """
store = "sqlite:////data/bankgate.db"
listen = {{ address = "127.0.0.1:{port}" }}
callers = [{{ name = "somebody", plaintext = true }}]
"""
CONNECTION = """
initiating_party = "Somebody"
accounts = [{ iban = "DE89370400440532013000", holder = "Somebody" }]
channel = { kind = "folder", upload = "/data/outbox" }
"""
# Starts a process, waits until the health check says yes, stops it as an engine does and hands its exit status on.
UNTIL_WELL = """
{process} > /tmp/log 2>&1 &
for _ in $(seq 120); do
    if BANKGATE_HEALTH={address} {health} > /dev/null; then
        kill -TERM $! && wait $! && exit 0
        break
    fi
    sleep 0.25
done
cat /tmp/log
exit 1
"""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, its continued lines joined."""

    word: str
    rest: str


@dataclass(slots=True)
class Stage:
    """What a stage has come to: where its file system is mounted, and what holds for its next command."""

    root: Path
    directory: str = "/"
    user: str = "0:0"
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})

    def inside(self, path: str) -> Path:
        """The place of a path of the stage, seen from outside; relative ones start at WORKDIR."""
        return self.root / os.path.join(self.directory, path).lstrip("/")  # noqa: PTH118  a path of another file system

    def run(self, command: str, *, check: bool = True) -> int:
        """Runs a shell command in the stage, as its user."""
        uid, gid = self.user.split(":")
        passed_on = {name: value for name, value in os.environ.items() if PASSED_ON.match(name)}
        words = [f"{name}={value}" for name, value in (passed_on | self.environment).items()]
        privileges = ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--no-new-privs"]
        shell = ["sh", "-c", f"cd {shlex.quote(self.directory)} || exit\n{command}"]
        status = subprocess.run(["chroot", str(self.root), *privileges, "env", "-i", *words, *shell], check=False).returncode
        if check and status != 0:
            raise SystemExit(f"image-steps: exit status {status} from: {command}")
        return status


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, in order."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [Instruction(word.upper(), rest.strip()) for word, _, rest in pairs]


def sent_to_engine(dockerignore: str) -> set[str]:
    """The paths that .dockerignore lets through; it starts by shutting everything out."""
    return {line[1:] for line in dockerignore.splitlines() if line.startswith("!")}


def health_command(instructions: list[Instruction]) -> str:
    """What HEALTHCHECK runs, as a shell command."""
    (health,) = [instruction.rest for instruction in instructions if instruction.word == "HEALTHCHECK"]
    return shlex.join(re.findall(r'"([^"]*)"', health.partition(" CMD ")[2]))


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def base_python() -> str:
    """The system's own Python: one under a home directory would be out of reach of the image's user."""
    for folder in ("/usr/local/bin", "/usr/bin"):
        for name in ("python3.13", "python3.12", "python3.11", "python3"):
            path = f"{folder}/{name}"
            fits = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
            if Path(path).exists() and subprocess.run([path, "-c", fits], check=False, capture_output=True).returncode == 0:
                return path
    raise SystemExit("image-steps: needs a Python of at least 3.11 with its venv module in /usr/bin or /usr/local/bin")


def begin(scratch: Path, number: int) -> Stage:
    """A stage on a fresh base: this machine's file system, copied on write, without the checkout and the home directory."""
    upper, work, root = (scratch / f"{number}-{part}" for part in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir()
    upper.chmod(0o755)
    mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", str(root))
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    for hidden in (ROOT, Path.home(), Path("/tmp")):  # noqa: S108  the stage's /tmp is emptied, not used
        mount("-t", "tmpfs", "-o", f"mode={1777 if hidden.name == 'tmp' else 755}", "tmpfs", f"{root}{hidden}")
    stage = Stage(root)
    link = stage.inside("/usr/local/bin/python")
    link.unlink(missing_ok=True)
    link.symlink_to(base_python())
    for taken in ("/opt/bankgate", "/opt/build", "/opt/wheel", "/src", "/data"):
        if stage.inside(taken).exists():
            raise SystemExit(f"image-steps: {taken} exists on this machine; the steps would not start clean")
    return stage


def copy(stage: Stage, rest: str, stages: dict[str, Stage], allowed: set[str]) -> None:
    """COPY: files into a folder or to a name; of a folder, its content."""
    words = shlex.split(rest)
    origin = None
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).removeprefix("--from=")]
    elif any(word.startswith("--") for word in words):
        raise SystemExit(f"image-steps: this form of COPY is not known here: {rest}")
    *sources, target = words
    for source in sources:
        if origin is None and source not in allowed:
            raise SystemExit(f"image-steps: COPY {source}: .dockerignore does not let it through")
        path = origin.inside(source) if origin else ROOT / source
        place = stage.inside(target)
        if path.is_dir():
            skipped = None if origin else shutil.ignore_patterns("__pycache__", "*.db")
            shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True, ignore=skipped)
        else:
            place = place / path.name if target.endswith("/") else place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def carry_out(instructions: list[Instruction], scratch: Path, allowed: set[str]) -> Stage:
    """Every instruction of every stage; the last stage is the image."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for instruction in instructions:
        print(f"image-steps: {instruction.word} {instruction.rest[:110]}", flush=True)
        match instruction:
            case Instruction("ARG", _) if stage is None:
                continue
            case Instruction("FROM", rest):
                stage = begin(scratch, len(stages))
                stages[rest.split()[-1]] = stage
                continue
        if stage is None:
            raise SystemExit(f"image-steps: {instruction.word} before FROM")
        match instruction:
            case Instruction("ENV", rest):
                stage.environment |= {name: value for name, _, value in (word.partition("=") for word in shlex.split(rest))}
            case Instruction("WORKDIR", rest):
                stage.inside(rest).mkdir(parents=True, exist_ok=True)
                stage.directory = rest
            case Instruction("USER", rest):
                stage.user = rest
            case Instruction("COPY", rest):
                copy(stage, rest, stages, allowed)
            case Instruction("RUN", rest):
                stage.run(rest)
            case Instruction(word, _) if word not in ABOUT_RUNNING:
                raise SystemExit(f"image-steps: {word} is not known here; teach deploy/scripts/image_steps.py")
    if stage is None:
        raise SystemExit("image-steps: the Dockerfile has no stage")
    return stage


def lock_down(image: Stage) -> None:
    """What `docker run --read-only --tmpfs /tmp -v data:/data` gives."""
    mount("-o", "remount,ro,bind", str(image.root))
    uid, gid = image.user.split(":")
    mount("-t", "tmpfs", "-o", f"mode=0700,uid={uid},gid={gid}", "tmpfs", f"{image.root}/data")


def try_out(image: Stage, health: str) -> None:
    """Uses the image: both programs start, it can write where it may and nowhere else, and its health check can say no."""
    lock_down(image)
    for command in ("bankgate --help", "bankgate-simulator --help"):
        image.run(f"{command} > /dev/null")
        print(f"image-steps: ok: {command}", flush=True)
    image.run("touch /data/probe /tmp/probe")
    for expected, command in (
        ("the root file system is read-only", "touch /opt/bankgate/probe 2> /dev/null"),
        ("the user is not root", 'test "$(id -u)" -eq 0'),
        ("no pip is left to install with", "python -m pip --version > /dev/null 2>&1"),
        ("the health check says no while nothing runs", f"{health} > /dev/null"),
    ):
        if image.run(command, check=False) == 0:
            raise SystemExit(f"image-steps: not so: {expected}")
        print(f"image-steps: ok: {expected}", flush=True)
    start_up(image, health)


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_up(image: Stage, health: str) -> None:
    """Starts `serve` and `worker`, waits until the health check says yes, and stops them in peace."""
    port, metrics = free_port(), free_port()
    connections = image.inside("/data/config/connections")
    for folder in (connections, image.inside("/data/outbox")):
        folder.mkdir(parents=True)
        os.chown(folder, *map(int, image.user.split(":")))
    (connections.parent / "bankgate.toml").write_text(SETTINGS.format(port=port), encoding="utf-8")
    (connections / "house.toml").write_text(CONNECTION, encoding="utf-8")
    for process, address in (
        ("bankgate serve --config /data/config", f"grpc://127.0.0.1:{port}"),
        (f"bankgate worker --config /data/config --metrics-address 127.0.0.1:{metrics}", f"http://127.0.0.1:{metrics}/metrics"),
    ):
        image.run(UNTIL_WELL.format(process=process, address=address, health=health))
        print(f"image-steps: ok: {process.split()[1]} is well on a read-only root and stops when told to", flush=True)


def within(scratch: Path) -> None:
    """The work itself, inside the mount namespace."""
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(scratch))
    instructions = parse((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    allowed = sent_to_engine((ROOT / ".dockerignore").read_text(encoding="utf-8"))
    image = carry_out(instructions, scratch, allowed)
    try_out(image, health_command(instructions))


def main() -> None:
    match sys.argv[1:]:
        case ["--within", scratch]:
            within(Path(scratch))
            return
        case []:
            pass
        case _:
            raise SystemExit("usage: image_steps.py")
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SystemExit("image-steps: needs Linux and root (mount namespaces); elsewhere, build with an engine: docker build .")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, __file__, "--within", scratch]
        status = subprocess.run(command, check=False).returncode
    if status != 0:
        raise SystemExit(status)
    print(f"image-steps: every step of the Dockerfile went through in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
