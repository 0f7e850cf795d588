"""The checks that need no test: format, rules of style, types, import directions, stubs.

python deploy/scripts/check.py           run them all; exit 1 and name those that failed
python deploy/scripts/check.py types     run one

`make check` runs this; `make test` runs the same list inside pytest (tests/test_project.py), so nothing is checked in one of
them only.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

CHECKS: dict[str, tuple[str, ...]] = {
    "format": (str(BIN / "ruff"), "format", "--check", "--quiet", "."),
    "style": (str(BIN / "ruff"), "check", "--quiet", "."),
    "types": (str(BIN / "mypy"), "--no-error-summary"),
    "imports": (str(BIN / "lint-imports"), "--no-logo"),
    "stubs": (sys.executable, "deploy/scripts/stubs.py", "--check"),
}
HINTS = {
    "format": "`make format` mends this",
    "style": "`make format` mends a part of this",
    "types": "mypy runs in strict mode",
    "imports": "the directions stand in pyproject.toml, [tool.importlinter]",
    "stubs": "`make stubs` mends this",
}


def check(name: str) -> str:
    """What the check complains about; empty if nothing."""
    done = subprocess.run(CHECKS[name], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    return f"{done.stdout}{done.stderr}".strip() or f"exit status {done.returncode}"


def main() -> None:
    names = sys.argv[1:] or list(CHECKS)
    unknown = sorted(set(names) - CHECKS.keys())
    if unknown:
        raise SystemExit(f"no such check: {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    failed = []
    for name in names:
        complaint = check(name)
        print(f"{name:<8} {'failed: ' + HINTS[name] if complaint else 'ok'}", flush=True)
        if complaint:
            failed.append(name)
            print(complaint, flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
