"""The table of docs/audit.md has every kind of line that the gateway writes, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.in_force import _ACTIONS
from gateway.store.plans import PlanKind

ROOT = Path(__file__).resolve().parents[2]
WRITERS = {
    "AuditRecord",
    "AuditObject",
    "_act",
    "_apply",
    "_line",
    "_record",
    "_told",
    "by_caller",
    "by_itself",
    "by_operator",
    "told",
}
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
COMPOSED = {
    "plans.py": {f"{kind.value}.changed" for kind in PlanKind},
    "keys_store.py": {"key.created", "key.imported"},  # f"key.{what}"
    "in_force.py": {f"{thing}.changed" for things in _ACTIONS.values() for thing in things.values()}
    | {f"{kind}.in_force" for kind in _ACTIONS},
}


def named(path: Path) -> Iterator[str]:
    """The actions in the calls that make lines, and those that are given a name for such a call."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            parts = [*node.args, *(one.value for one in node.keywords)] if name in WRITERS else []
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            parts = [node.value] if getattr(target, "id", "") in {"action", "ERASED", "PRUNED", "SEALED"} else []
        for part in parts:
            for leaf in ast.walk(part):
                if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str) and ACTION.fullmatch(leaf.value):
                    yield leaf.value


def test_the_table_of_lines_is_complete_and_tells_of_nothing_else() -> None:
    written: set[str] = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        written |= set(named(path)) | COMPOSED.get(path.name, set())
    text = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    told = {word for row in rows for word in re.findall(r"`([a-z_]+\.[a-z_]+)`", row.split("|")[1])}
    assert written - told == set(), "written, and not in docs/audit.md"
    assert told - written == set(), "in docs/audit.md, and never written"
