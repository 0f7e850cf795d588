"""Reading the configuration directory: once, whole, and every problem at once, named with its file and key.

    bankgate.toml              store, [listen], [[callers]], [telemetry]
    connections/<id>.toml      one bank connection each; the file's stem is its id

Values are never repeated in a problem's text: one may be a secret that was pasted where a reference belongs.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from gateway import config_rules
from gateway.config import Configuration, ConnectionSettings
from gateway.config_mend import Mended
from gateway.config_words import explained

MAIN_FILE: Final = "bankgate.toml"
CONNECTIONS: Final = "connections"
FILE_BYTES_MAX: Final = 1024 * 1024

_NOT_IN_MAIN: Final = ("directory", "connections")  # fields of Configuration that do not come from its file


M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. `file` is relative to the directory, `key` a dotted path in it (empty: the file as a whole)."""

    file: str
    key: str
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        return f"{place}: {self.problem}" + (f" ({self.hint})" if self.hint else "")


class ConfigurationProblems(Exception):
    """The operator's: the configuration is not usable. Carries every problem found, in the order of files and keys."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load(directory: Path) -> Configuration:
    """The configuration of a directory. Raises `ConfigurationProblems`."""
    directory = directory.absolute()
    if not directory.is_dir():
        raise ConfigurationProblems([Problem(str(directory), "", "there is no such directory")])
    problems: list[Problem] = []
    main = _main(directory, problems)
    connections = _connections(directory, problems)
    if main is not None:
        told = (Problem(*one) for one in config_rules.of_main(main.model, MAIN_FILE, set(_stems(directory))))
        problems += (problem for problem in told if not main.covers(problem.key))
    for name, settings in connections.items():
        told = (Problem(*one) for one in config_rules.of_connection(settings.model, _file_of(name), directory))
        problems += (problem for problem in told if not settings.covers(problem.key))
    if problems or main is None:
        raise ConfigurationProblems(problems)
    return main.model.model_copy(update={"connections": {name: settings.model for name, settings in connections.items()}})


@dataclass(frozen=True, slots=True)
class _Read(Generic[M]):
    """A table as a model: as it stands (`mended` None), or mended to look at the rest of it."""

    model: M
    mended: Mended | None = None

    def covers(self, key: str) -> bool:
        """Whether a rule's problem there only follows from a mistake that has been told."""
        return self.mended is not None and self.mended.covers(key)


def _main(directory: Path, problems: list[Problem]) -> _Read[Configuration] | None:
    table = _table(directory, MAIN_FILE, problems)
    if table is None:
        return None
    for name in _NOT_IN_MAIN:
        if name in table:
            hint = f"one file a connection under {CONNECTIONS}/" if name == "connections" else "it is where this file stands"
            problems.append(Problem(MAIN_FILE, name, "does not belong here", hint))
    content = {name: value for name, value in table.items() if name not in _NOT_IN_MAIN}
    return _validated(Configuration, {**content, "directory": directory}, MAIN_FILE, problems)


def _connections(directory: Path, problems: list[Problem]) -> dict[str, _Read[ConnectionSettings]]:
    found: dict[str, _Read[ConnectionSettings]] = {}
    stems = _stems(directory)
    if not stems:
        problems.append(Problem(CONNECTIONS, "", "there is no connection", f"put one into {CONNECTIONS}/<id>.toml"))
    for stem in stems:
        file = _file_of(stem)
        table = _table(directory, file, problems)
        if table is None:
            continue
        if table.get("id", stem) != stem:
            problems.append(Problem(file, "id", "differs from the name of the file", "leave it out: the file's name is the id"))
        settings = _validated(ConnectionSettings, {**table, "id": stem}, file, problems)
        if settings is not None:
            found[stem] = settings
    return found


def _stems(directory: Path) -> list[str]:
    return sorted(path.stem for path in (directory / CONNECTIONS).glob("*.toml") if not path.name.startswith("."))


def _file_of(stem: str) -> str:
    return f"{CONNECTIONS}/{stem}.toml"


def _table(directory: Path, file: str, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        with (directory / file).open("rb") as source:
            content = source.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        problems.append(Problem(file, "", f"cannot be read: {error.strerror}"))
        return None
    if len(content) > FILE_BYTES_MAX:
        problems.append(Problem(file, "", "is too large to be a configuration file"))
        return None
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        problems.append(Problem(file, "", f"is not UTF-8 text (at byte {error.start})"))
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(file, "", f"is not TOML: {error}"))  # the text ends in "(at line 3, column 7)"
    return None


def _validated(model: type[M], content: Mapping[str, Any], file: str, problems: list[Problem]) -> _Read[M] | None:
    """The table as a model. One with mistakes is told of, and mended so that the rules can be put to the rest of it."""
    try:
        return _Read(model.model_validate(content))
    except ValidationError as error:
        problems += (Problem(file, *one) for one in explained(error, model))
        mended = Mended(content)
        found = mended.model(model, error)
        return None if found is None else _Read(found, mended)
