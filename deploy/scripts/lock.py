"""Writes the lock files from pyproject.toml: every package that can be installed, at one version, with its hashes.

python deploy/scripts/lock.py              keep locked versions that still fit (after editing pyproject.toml)
python deploy/scripts/lock.py --upgrade    take the newest that fit

requirements.lock         run time and simulator: what the image holds
requirements-build.lock   the build backend
requirements-dev.lock     all of these, and tests and checks: what `make test` installs
requirements-bench.lock   the peers of the benches, on top of requirements-dev.lock

The development lock is made first and the others within its versions, so that one environment can hold any of them together.
The locks hold for every platform and for Python 3.11 on, and name no package index.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "pyproject.toml"
DEV = "requirements-dev.lock"
LOCKS: dict[str, tuple[str, ...]] = {
    DEV: (PROJECT, "--extra", "simulator", "--group", "dev"),
    "requirements.lock": (PROJECT, "--extra", "simulator", "--constraints", DEV),
    "requirements-build.lock": ("--group", "build", "--constraints", DEV),
    "requirements-bench.lock": ("--group", "bench", "--constraints", DEV),
}
OPTIONS = ("--universal", "--generate-hashes", "--python-version", "3.11", "--no-emit-index-url", "--no-header", "--quiet")


def uv() -> str:
    """The resolver's path. It is big and wanted here only, so it is installed at its first use."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        print("installing uv, which resolves the locks")
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "uv"], check=True)
        found = str(beside)
    return found


def main() -> None:
    resolver = uv()
    upgrade = ("--upgrade",) if "--upgrade" in sys.argv[1:] else ()
    for name, sources in LOCKS.items():
        print(f"resolving {name}")
        command = [resolver, "pip", "compile", *sources, *OPTIONS, *upgrade, "--output-file", name]
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            raise SystemExit(f"{name} could not be resolved; the resolver's words are above")


if __name__ == "__main__":
    main()
