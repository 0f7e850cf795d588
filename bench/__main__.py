"""`make bench`: every measurement, one after the other; or those named.

python -m bench [messages|reading|seals|xml_signing|ingest|latency|journey|replicas|screening|habits|hints|limits …] [--quick]
"""

import subprocess
import sys

ALL = (
    "messages",
    "reading",
    "seals",
    "xml_signing",
    "ingest",
    "latency",
    "journey",
    "replicas",
    "screening",
    "habits",
    "hints",
    "limits",
)
QUICK = {
    "messages": ["--count", "2000", "--rounds", "1", "--streamed", "100000"],
    "reading": ["--count", "5000", "--rounds", "1"],
    "seals": ["--megabytes", "5", "--rounds", "1"],
    "xml_signing": ["--megabytes", "5", "--rounds", "1"],
    "ingest": ["--payments", "10000", "--unary", "1000"],
    "latency": ["--payments", "40"],
    "journey": ["--payments", "5000"],
    "replicas": ["--payments", "2000", "--rounds", "1"],
    "screening": ["--names", "5000", "--payments", "1000", "--each", "50"],
    "habits": ["--scale", "0.2", "--plantings", "8"],
    "hints": ["--beneficiaries", "2000"],
    "limits": ["--past", "2000", "--judged", "100"],
}


def main() -> int:
    """Runs them as processes of their own, so that none warms up or crowds another. The first failure ends it."""
    quick = "--quick" in sys.argv[1:]
    wanted = [name for name in sys.argv[1:] if not name.startswith("-")] or list(ALL)
    unknown = [name for name in wanted if name not in ALL]
    if unknown:
        print(f"no such measurement: {', '.join(unknown)}; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in wanted:
        extra = QUICK[name] if quick else []
        code = subprocess.run([sys.executable, "-m", f"bench.{name}", *extra], check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
