"""What the writers of requests to a bank (camt.055, camt.060) share: the head, optional elements, and checks of their parts."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from formats.errors import Unrenderable, Violation
from formats.model import Account, Agent, Party
from formats.pain001_parts import account, agent, escape, party
from formats.request_versions import RequestVersion
from formats.rules import unsupported_message
from formats.rules.common import COMMON
from formats.rules.rule import Inspection, RuleBook, Setting
from formats.rules.walk import walk_account, walk_agent, walk_party, walk_text


def head(version: RequestVersion, root: str) -> str:
    """The document's start, up to and with the root element of the message."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{version.namespace}"><{root}>'


def moment(when: datetime) -> str:
    """A moment in UTC, with its zone ("2026-11-25T13:00:00Z")."""
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def optional(tag: str, value: object) -> str:
    """``<tag>value</tag>``, or nothing for None."""
    return "" if value is None else f"<{tag}>{escape(str(value))}</{tag}>"


def party_choice(tag: str, who: Party, version: RequestVersion) -> str:
    """A party where the message asks for "party or agent"."""
    return f"<{tag}>{party('Pty', who, version.parts)}</{tag}>"


def agent_choice(tag: str, bank: Agent, version: RequestVersion) -> str:
    """An agent where the message asks for "party or agent"."""
    return f"<{tag}>{agent('Agt', bank, version.parts)}</{tag}>"


def optional_agent(tag: str, bank: Agent | None, version: RequestVersion) -> str:
    """An agent, or nothing."""
    return "" if bank is None else agent(tag, bank, version.parts)


def optional_account(tag: str, held: Account | None) -> str:
    """An account, or nothing."""
    return "" if held is None else account(tag, held)


class RequestCheck:
    """Collects what is wrong with a request: the common rules on its parts, and the message's own."""

    def __init__(self, version: RequestVersion, source: str) -> None:
        self._source = source
        setting = Setting(on=date.min, version=version.parts, horizon_days=0, currencies=None)
        self._inspection = Inspection(RuleBook((COMMON,), date.min), setting)

    @property
    def found(self) -> tuple[Violation, ...]:
        """Everything that was found, in the order of looking."""
        return tuple(self._inspection.found)

    def say(self, field: str, rule: str, message_en: str, message_zh: str) -> None:
        """Notes a broken rule of the message."""
        self._inspection.found.append(
            Violation(field=field, rule=rule, source=self._source, message_en=message_en, message_zh=message_zh)
        )

    def text(self, value: object, path: str, limit: int = 35, kind: str = "identifier") -> None:
        """Looks at a text; None is absent and fine."""
        if value is not None:
            walk_text(value, kind, limit, path, self._inspection)

    def party(self, who: Party | None, path: str) -> None:
        """Looks at a party."""
        if who is not None:
            walk_party(who, path, self._inspection)

    def agent(self, bank: Agent | None, path: str) -> None:
        """Looks at an agent."""
        if bank is not None:
            walk_agent(bank, path, self._inspection)

    def account(self, held: Account | None, path: str) -> None:
        """Looks at an account."""
        if held is not None:
            walk_account(held, path, self._inspection)


@contextmanager
def explained(version: RequestVersion) -> Iterator[None]:
    """Turns what a value can do to the writer although no check found fault with it into `Unrenderable`."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, ArithmeticError) as failure:  # IllegalText is a ValueError
        raise Unrenderable(
            (
                Violation(
                    field="",
                    rule="message.unrenderable",
                    source=f"{version.name}, XML schema",
                    message_en=f"This request cannot be written as {version.name} ({type(failure).__name__}).",
                    message_zh=f"该请求无法写成 {version.name}（{type(failure).__name__}）。",
                ),
            )
        ) from failure


def version_of(message_name: str, versions: dict[str, RequestVersion]) -> RequestVersion:
    """The version of that name. Raises `Unrenderable` naming those there are."""
    version = versions.get(message_name)
    if version is None:
        raise Unrenderable((unsupported_message(message_name, tuple(versions)),))
    return version
