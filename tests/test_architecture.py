"""The rules of the house that no tool knows: which files are pure, where SQL may stand, how long things may grow.

Every rule reads the syntax tree, not the text, and every rule is shown to bite: `test_the_rules_bite` feeds each one a line that
breaks it. Import directions between rooms stand in pyproject.toml ([tool.importlinter]); that they bite is shown here too.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("formats", "keys", "channels", "gateway", "simulator")
SKIPPED = {
    ".git",
    ".venv",
    ".cache",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".import_linter_cache",
}

# Rooms and files that compute and do nothing else: no file, network, clock or chance. The same input gives the same output.
PURE = (
    *("formats", "keys", "gateway/lifecycle.py", "gateway/batching.py", "gateway/matching.py"),
    *("gateway/continuity.py", "gateway/place.py", "gateway/replay_outcome.py", "channels/ebics", "gateway/policy"),
    *("gateway/audit", "gateway/review_standing.py", "gateway/habits_settings.py", "gateway/payee/check.py"),
    *(
        f"gateway/people/{name}.py"
        for name in ("person", "permissions", "records", "names", "totp", "pauses", "passwords", "passkeys", "oidc")
    ),
)
IMPURE_BY_PURPOSE = {
    "channels/ebics/line.py": "carries one message over HTTPS",
    "channels/ebics/own.py": "opens our keys, off the event loop",
    "channels/ebics/spool.py": "holds the ciphertext of an order, in a file where it is much",
    "formats/bank.py": "finds plugins among installed packages",
    "formats/conformance/folder.py": "reads the samples of a bank",
    "formats/conformance/guards.py": "watches for the outside world, and so has to know it",
    "formats/conformance/suite.py": "takes the path of the samples",
    "formats/schemas.py": "reads the XSD files of installed packages, once",
    "keys/hsm_session.py": "opens a token's library and its sessions",
    "keys/keymaterial.py": "makes keys, and gives the ciphers their unpredictable bytes",
    "keys/keystore_backup.py": "writes and reads backups of a key store",
    "keys/keystore_files.py": "reads and writes the files of a key store",
    "keys/layers_spool.py": "holds what is between two layers, encrypted where it does not fit into memory",
    "keys/openpgp_program.py": "runs gpg in a home of its own",
    "keys/secrets.py": "resolves references to key material",
    "keys/store.py": "reads and makes key files",
    "keys/trust_pending.py": "keeps bank keys that nobody has compared yet",
}
OUTSIDE_WORLD = (
    *("socket", "ssl", "http", "urllib.request", "aiohttp", "asyncssh", "grpc", "sqlite3", "asyncpg"),
    *(
        "os",
        "pathlib",
        "shutil",
        "tempfile",
        "subprocess",
        "io.open",
        "io.FileIO",
        "open",
        "input",
        "print",
        "logging",
        "structlog",
    ),
    *("asyncio", "threading.Thread", "threading.Timer", "multiprocessing", "signal"),
    *("time", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    *("importlib.metadata", "importlib.resources", "pkgutil"),
    *("random", "secrets", "uuid.uuid1", "uuid.uuid4"),
)

LINES_PER_FILE = 500
LINES_PER_FUNCTION = 70
# Longer on purpose: path and why. Empty is right.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[tuple[str, str], str] = {}

SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|INDEX|UNIQUE|VIEW)\b"
    r"|ALTER\s+TABLE\s|DROP\s+TABLE\s|PRAGMA\s|BEGIN\s+IMMEDIATE)",
    re.DOTALL,
)
# Each word has a letter in brackets, so that this file does not break its own rules. (The currency code XXX is an honest word.)
UNFINISHED = re.compile(r"\b(TOD[O]|FIXM[E]|HAC[K])\b|NotImplementedErro[r]|pragma: no cove[r]")
MACHINE_PATH = re.compile(r"(?:^|[^A-Za-z0-9_.])/(?:work|farm|root)/")
INDEX_HOST = re.compile(r"pypi[.]org|pythonhosted[.]|npmjs[.]|deb[.]debian[.]|index-url[ =]http")


def python_files(*tops: str) -> Iterator[Path]:
    """Our own Python files below these folders (or these files themselves); stubs that protoc made are not ours."""
    for top in tops:
        path = ROOT / top
        found = [path] if path.is_file() else sorted(path.rglob("*.py"))
        yield from (file for file in found if "_pb2" not in file.name and not SKIPPED & set(file.relative_to(ROOT).parts))


def every_python_file() -> Iterator[Path]:
    """All of them, tests and scripts too."""
    return python_files(*ROOMS, "tests", "bench", "deploy", "docs")


def project_files() -> list[Path]:
    """What belongs to the project: known to git, or about to be; in an unpacked archive without git, everything."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not SKIPPED & set(path.relative_to(ROOT).parts)]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name of a module stands for: {"now": "datetime.datetime.now"}."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    """The full name that an expression like `datetime.now` stands for; None for anything but names."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return before and f"{before}.{node.attr}"
    read = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    return names.get(node.id, node.id) if read else None


def outside_world(tree: ast.Module) -> set[tuple[int, str]]:
    """Where a module imports or names something of the outside world."""
    names = imported_names(tree)
    used = {(node.lineno, full) for node in ast.walk(tree) if isinstance(node, ast.expr) and (full := dotted(node, names))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            used |= {(node.lineno, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            used |= {(node.lineno, f"{node.module}.{alias.name}") for alias in node.names}
    found = {(line, name) for line, name in used if any(f"{name}.".startswith(f"{word}.") for word in OUTSIDE_WORLD)}
    # `import os` and then `os.urandom`: the use says more than the import.
    return {(line, name) for line, name in found if not any(longer.startswith(f"{name}.") for _, longer in found)}


def docstrings(tree: ast.Module) -> set[int]:
    """Ids of the nodes that are docstrings or stand alone as comments on a value."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}


def sql(tree: ast.Module) -> set[int]:
    """Lines with SQL in a string."""
    apart = docstrings(tree)
    texts = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in apart
    )
    return {node.lineno for node in texts if SQL.match(str(node.value))}


def swallowing(tree: ast.Module) -> set[int]:
    """Lines of handlers that catch everything and neither raise nor look at what they caught."""
    lines = set()
    for handler in (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)):
        caught = [handler.type] if not isinstance(handler.type, ast.Tuple) else handler.type.elts
        wide = any(kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}) for kind in caught)
        inside = [node for statement in handler.body for node in ast.walk(statement)]
        raises = any(isinstance(node, ast.Raise) for node in inside)
        looks = handler.name is not None and any(isinstance(node, ast.Name) and node.id == handler.name for node in inside)
        if handler.type is None or (wide and not raises and not looks):
            lines.add(handler.lineno)
    return lines


def prints(tree: ast.Module) -> set[int]:
    """Lines that call print."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"}


def long_functions(tree: ast.Module) -> dict[str, int]:
    """Functions past the limit, with their length."""
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    return {name: length for name, length in lengths.items() if length > LINES_PER_FUNCTION}


def found_by(rule: Callable[[ast.Module], set[int]], files: Iterator[Path]) -> list[str]:
    """path:line of everything a rule finds."""
    return [f"{name_of(path)}:{line}" for path in files for line in sorted(rule(tree_of(path)))]


def test_pure_files_touch_no_file_network_clock_or_chance() -> None:
    tops = [top for top in PURE if (ROOT / top).exists()]
    files = [path for path in python_files(*tops) if name_of(path) not in IMPURE_BY_PURPOSE]
    assert not [f"{name_of(path)}:{line} {name}" for path in files for line, name in sorted(outside_world(tree_of(path)))]


def test_what_may_touch_the_outside_world_really_does() -> None:
    idle = [name for name in IMPURE_BY_PURPOSE if (ROOT / name).exists() and not outside_world(tree_of(ROOT / name))]
    assert not idle, "pure by now: take it off the list"


def test_sql_stands_in_the_store_alone() -> None:
    files = [
        path for path in python_files("formats", "keys", "channels", "gateway") if not name_of(path).startswith("gateway/store/")
    ]
    assert not found_by(sql, iter(files))


def test_database_drivers_are_imported_in_the_store_alone() -> None:
    """And in the engine on procrastinate, which speaks through psycopg; the two are known to nobody else."""
    drivers = {"sqlite3", "asyncpg", "psycopg", "psycopg_pool", "procrastinate"}
    users = {
        name_of(path)
        for path in python_files("formats", "keys", "channels", "gateway")
        if {full.partition(".")[0] for full in imported_names(tree_of(path)).values()} & drivers
    }
    assert {name for name in users if not name.startswith("gateway/store/")} == {"gateway/engine/procrastinate.py"}


def test_no_error_is_swallowed() -> None:
    assert not found_by(swallowing, every_python_file())


def test_rooms_print_nothing_but_through_commands() -> None:
    talkers = ("gateway/cli/", "gateway/main.py", "simulator/main.py")
    assert not found_by(prints, (path for path in python_files(*ROOMS) if not name_of(path).startswith(talkers)))


def test_files_stay_short() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in every_python_file()}
    assert not {name: length for name, length in lengths.items() if length > LINES_PER_FILE and name not in LONG_FILES}
    assert not [name for name in LONG_FILES if lengths.get(name, 0) <= LINES_PER_FILE], "no longer long: take it off the list"


def test_functions_stay_short() -> None:
    long = {
        (name_of(path), name): length for path in every_python_file() for name, length in long_functions(tree_of(path)).items()
    }
    assert not {where: length for where, length in long.items() if where not in LONG_FUNCTIONS}
    assert not LONG_FUNCTIONS.keys() - long.keys(), "no longer long: take it off the list"


def test_every_module_says_what_it_is_for() -> None:
    modules = [path for path in python_files(*ROOMS) if path.read_text(encoding="utf-8").strip()]
    assert not [name_of(path) for path in modules if not ast.get_docstring(tree_of(path))]


def test_nothing_is_marked_unfinished() -> None:
    assert not [name_of(path) for path in every_python_file() if UNFINISHED.search(path.read_text(encoding="utf-8"))]


def test_no_file_names_a_machine_or_a_package_index() -> None:
    found = []
    for path in project_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{name_of(path)}: {hit[0]}" for rule in (MACHINE_PATH, INDEX_HOST) if (hit := rule.search(text))]
    assert not found


@pytest.mark.parametrize(
    ("rule", "breach"),
    [
        (outside_world, "import socket"),
        (outside_world, "from os import urandom"),
        (outside_world, "import os\nkey = os.urandom(16)"),
        (outside_world, "from datetime import datetime\nnow = datetime.now()"),
        (outside_world, "import datetime as d\nnow = d.date.today()"),
        (outside_world, "from uuid import uuid4 as chance"),
        (outside_world, "content = open('file').read()"),
        (outside_world, "def late():\n    import random"),
        (sql, "query = 'SELECT id FROM payment WHERE 1'"),
        (sql, "query = f'UPDATE payment SET state = {x}'"),
        (sql, "query = '''\n  INSERT OR IGNORE INTO payment VALUES (1)'''"),
        (swallowing, "try:\n    x()\nexcept:\n    raise"),
        (swallowing, "try:\n    x()\nexcept Exception:\n    pass"),
        (swallowing, "try:\n    x()\nexcept (ValueError, Exception) as error:\n    y()"),
        (prints, "print('hello')"),
        (long_functions, "def long():\n" + "    x()\n" * LINES_PER_FUNCTION),
    ],
)
def test_the_rules_bite(rule: Callable[[ast.Module], object], breach: str) -> None:
    assert rule(ast.parse(breach))


@pytest.mark.parametrize(
    ("rule", "fine"),
    [
        (outside_world, "from datetime import datetime, time\nnoon = datetime(2026, 1, 1, 12)\nat = time(12)"),
        (outside_world, "class Seal:\n    def open(self): ...\nseal.open(source)"),
        (outside_world, "class Key:\n    open: int"),
        (outside_world, "from uuid import UUID, uuid5"),
        (sql, "def f():\n    '''SELECT this FROM that is only talk'''"),
        (sql, "text = 'Select a bank from the list'"),
        (swallowing, "try:\n    x()\nexcept Exception as error:\n    tell(error)"),
        (swallowing, "try:\n    x()\nexcept Exception:\n    undo()\n    raise"),
        (prints, "console.print('hello')"),
    ],
)
def test_the_rules_leave_honest_code_alone(rule: Callable[[ast.Module], object], fine: str) -> None:
    assert not rule(ast.parse(fine))


def test_the_import_directions_bite(tmp_path: Path) -> None:
    """One forbidden import of every kind, in a copy of the tree: each contract must name its breach."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "proto" / "bankgate", tmp_path / "bankgate")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    breaches = {
        "formats/breach.py": "import keys.seal",
        "channels/breach.py": "import keys.seal",
        "keys/breach.py": "import formats.model",
        "gateway/breach.py": "import bankgate.v1.types_pb2\nimport simulator",
        "simulator/breach.py": "import gateway.clock",
        "simulator/front/breach.py": "import formats.dialogue",
    }
    for name, text in breaches.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="utf-8")
    program = Path(sys.executable).with_name("lint-imports")
    environment = {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    done = subprocess.run(
        [program, "--no-cache", "--no-logo"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    for importer, imported in (
        ("formats.breach", "keys.seal"),
        ("channels.breach", "keys.seal"),
        ("keys.breach", "formats.model"),
        ("gateway.breach", "simulator"),
        ("gateway.breach", "bankgate.v1.types_pb2"),
        ("simulator.breach", "gateway.clock"),
        ("simulator.front.breach", "formats.dialogue"),
    ):
        assert re.search(rf"{re.escape(importer)} -> {re.escape(imported)}\b", done.stdout), (
            f"{importer} -> {imported} was let through"
        )
