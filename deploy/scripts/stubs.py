"""Makes the Python stubs of proto/bankgate/v1, or checks that the committed ones are current.

python deploy/scripts/stubs.py            write them beside the .proto files
python deploy/scripts/stubs.py --check    exit 1 and name the files that drifted
"""

import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"


def generate(into: Path) -> None:
    """Runs protoc with the mypy plugins over every .proto file; the stubs land under `into`/bankgate/v1."""
    sources = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("bankgate/v1/*.proto"))
    bundled = str(files("grpc_tools") / "_proto")
    # The mypy plugins are programs beside the interpreter; protoc is told their paths so that no PATH is needed.
    scripts = Path(sys.executable).parent
    arguments = [
        "protoc",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"-I{PROTO}",
        f"-I{bundled}",
        f"--python_out={into}",
        f"--grpc_python_out={into}",
        f"--mypy_out=quiet:{into}",
        f"--mypy_grpc_out=quiet:{into}",
        *sources,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; see above")


def drifted() -> list[str]:
    """Names of stub files that differ from what the .proto files give now."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh = {p.relative_to(scratch): p.read_bytes() for p in Path(scratch).rglob("*_pb2*")}
    committed = {p.relative_to(PROTO): p.read_bytes() for p in PROTO.glob("bankgate/v1/*_pb2*")}
    return sorted(str(name) for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))


def main() -> None:
    if "--check" in sys.argv[1:]:
        stale = drifted()
        if stale:
            raise SystemExit("stubs differ from the .proto files (run `make stubs`): " + ", ".join(stale))
        print("stubs are current")
    else:
        generate(PROTO)
        print("stubs written to proto/bankgate/v1")


if __name__ == "__main__":
    main()
