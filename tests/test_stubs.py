"""The Python stubs of proto/bankgate/v1: complete, importable, and noticed when they drift."""

import importlib
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROTOS = sorted((ROOT / "proto" / "bankgate" / "v1").glob("*.proto"))


@pytest.fixture
def stubs() -> ModuleType:
    """deploy/scripts/stubs.py, which is a script and not a module of ours."""
    specification = importlib.util.spec_from_file_location("stubs_script", ROOT / "deploy" / "scripts" / "stubs.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_there_is_something_to_check() -> None:
    assert {path.stem for path in PROTOS} >= {"payments", "statements", "operations", "replay", "types"}


@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
def test_the_stubs_import_as_bankgate_v1(proto: Path) -> None:
    messages = importlib.import_module(f"bankgate.v1.{proto.stem}_pb2")
    services = importlib.import_module(f"bankgate.v1.{proto.stem}_pb2_grpc")
    assert messages.DESCRIPTOR.package == "bankgate.v1"
    for service in messages.DESCRIPTOR.services_by_name:
        assert hasattr(services, f"{service}Stub")
        assert hasattr(services, f"{service}Servicer")


@pytest.mark.parametrize("suffix", ["_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi"])
@pytest.mark.parametrize("proto", PROTOS, ids=lambda path: path.stem)
def test_every_proto_has_its_stubs_and_their_types(proto: Path, suffix: str) -> None:
    assert proto.with_name(f"{proto.stem}{suffix}").is_file()


def test_type_checkers_are_told_to_read_them() -> None:
    assert (ROOT / "proto" / "bankgate" / "v1" / "py.typed").is_file()


def test_a_changed_proto_is_noticed(stubs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(stubs, "PROTO", copy)
    assert stubs.drifted() == []
    types = copy / "bankgate" / "v1" / "types.proto"
    types.write_text(types.read_text(encoding="utf-8") + "\nmessage Stray { string text = 1; }\n", encoding="utf-8")
    assert "bankgate/v1/types_pb2.py" in stubs.drifted()


def test_a_left_over_stub_is_noticed(stubs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "bankgate" / "v1" / "gone_pb2.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(stubs, "PROTO", copy)
    assert stubs.drifted() == ["bankgate/v1/gone_pb2.py"]
