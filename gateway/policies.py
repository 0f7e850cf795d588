"""Reading `policies/*.toml` of the configuration directory: whole, and every problem at once, named with its file and key.

Account numbers may stand in policies, so values are never repeated in a problem's text.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from formats.model import Account
from gateway.banks import bank_of
from gateway.config import Configuration
from gateway.config_load import FILE_BYTES_MAX, ConfigurationProblems, Problem
from gateway.config_mend import Mended
from gateway.config_words import explained
from gateway.policy.document import Document, Policies
from gateway.policy.document_rules import changed_unsaid, of_all, of_document, of_names
from gateway.policy.subject import account_key

POLICIES: Final = "policies"
_NONE_EARLIER: Final[Mapping[tuple[str, int], bytes]] = MappingProxyType({})


def load_policies(
    directory: Path,
    configuration: Configuration | None = None,
    earlier: Mapping[tuple[str, int], bytes] = _NONE_EARLIER,
) -> Policies:
    """The policies under a configuration directory; none if it has no folder `policies`. Raises `ConfigurationProblems`.

    `configuration`: gives the time zones of connections and our own accounts, and says which names exist. `earlier`: the
    fingerprints (`gateway.policy.document_rules.fingerprint`) of what was in use before, by id and version; none of it may say
    otherwise now.
    """
    problems: list[Problem] = []
    documents = _documents(directory, problems)
    named = [(file, document) for file, document in documents.items()]
    problems += (Problem(*one) for one in of_all(named))
    problems += (Problem(*one) for one in changed_unsaid(named, earlier))
    if configuration is not None:
        problems += _unknown_names(documents, configuration)
    if problems:
        raise ConfigurationProblems(problems)
    unique = {(document.id, document.version): document for document in documents.values()}
    return Policies(
        documents=tuple(unique[name] for name in sorted(unique)),
        zones=MappingProxyType({} if configuration is None else _zones(configuration)),
        own_accounts=frozenset() if configuration is None else _own_accounts(configuration),
    )


def _documents(directory: Path, problems: list[Problem]) -> dict[str, Document]:
    """The documents that can be had, by file; what is wrong with each goes to `problems`."""
    found = {}
    folder = directory / POLICIES
    if folder.exists() and not folder.is_dir():
        problems.append(Problem(POLICIES, "", "is not a folder", f"one file a policy: {POLICIES}/<any name>.toml"))
        return {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        file = f"{POLICIES}/{path.name}"
        if path.name.startswith("."):
            continue
        if path.suffix != ".toml":
            if path.suffix.lower() == ".toml":  # on purpose not read over: a rule that nobody reads protects nobody
                problems.append(Problem(file, "", "is not read under this name", f"call it {path.stem}.toml"))
            continue
        table = _table(path, file, problems)
        document = None if table is None else _document(table, file, problems)
        if document is not None:
            found[file] = document
    return found


def _table(path: Path, file: str, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        with path.open("rb") as source:
            content = source.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        problems.append(Problem(file, "", f"cannot be read: {error.strerror}"))
        return None
    if len(content) > FILE_BYTES_MAX:
        problems.append(Problem(file, "", "is too large to be a policy"))
        return None
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        problems.append(Problem(file, "", f"is not UTF-8 text (at byte {error.start})"))
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(file, "", f"is not TOML: {error}"))  # the text ends in "(at line 3, column 7)"
    return None


def _document(table: dict[str, Any], file: str, problems: list[Problem]) -> Document | None:
    """The document, if it has no mistake of its own. One of a wrong shape is mended, so that the rest of it is looked at too."""
    try:
        document, mended = Document.model_validate(table), None
    except ValidationError as error:
        problems += (Problem(file, *one) for one in explained(error, Document))
        mended = Mended(table)
        if (found := mended.model(Document, error)) is None:
            return None
        document = found
    told = [Problem(file, *one) for one in of_document(document)]
    problems += (problem for problem in told if mended is None or not mended.covers(problem.key))
    return document if mended is None else None


def _unknown_names(documents: Mapping[str, Document], configuration: Configuration) -> list[Problem]:
    """Names that do not exist, in the newest version of each document; older ones are kept as they were."""
    newest = {document.id: file for file, document in sorted(documents.items(), key=lambda one: one[1].version)}
    callers = [caller.name for caller in configuration.callers]
    return [
        Problem(file, *one) for file in newest.values() for one in of_names(documents[file], configuration.connections, callers)
    ]


def _zones(configuration: Configuration) -> dict[str, ZoneInfo]:
    return {
        name: ZoneInfo(settings.time_zone or bank_of(settings).capabilities.time_zone)
        for name, settings in configuration.connections.items()
    }


def _own_accounts(configuration: Configuration) -> frozenset[str]:
    accounts = (account for settings in configuration.connections.values() for account in settings.accounts)
    return frozenset(account_key(Account(iban=account.iban, other_id=account.other_id)) for account in accounts) - {""}
