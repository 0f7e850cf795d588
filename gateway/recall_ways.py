"""Whether a connection's bank takes requests for cancellation at all, and over which way: said before one is stored.

A recall travels the route of the payments where that is files. Over EBICS it is an order of its own, named in the bank's table.
The interfaces of the Chinese banks have none (`formats.dialects.recalling`), and a bank without one is asked by a person.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from formats.dialects.recalling import ask_by
from formats.request_versions import CAMT055
from gateway.config import ConnectionSettings
from gateway.config_words import did_you_mean

_ASK_EBICS = (
    "the parameter sheet of the bank says how it takes camt.055: an order type (H004) or the parts of its BTF (H005). No such"
    " order is the same at all banks. If it names none, take [recalls] out, and ask this bank by its own means"
)


def no_way(settings: ConnectionSettings | None, connection_id: str) -> str | None:
    """Why no recall can be sent over a connection, and whom to ask instead, in words for the caller; None where it can."""
    if settings is None:
        return f"there is no connection {connection_id!r} any more: ask the bank by its own means"
    if settings.channel.get("kind") == "frontend":
        english, chinese = ask_by(settings.bank)
        return (
            f"bank {settings.bank!r} takes no recalls over its interface: {english} / 该行接口不支持撤销已提交的付款：{chinese}"
        )
    if settings.recalls.message is None:
        return f"connection {connection_id!r} sends no recalls ([recalls] message is not set): ask the bank by its own means"
    return None


def recall_problems(settings: ConnectionSettings) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a connection's settings for recalls: key, problem, hint."""
    kind, message = settings.channel.get("kind"), settings.recalls.message
    ordered = settings.channel.get("recalls") if kind == "ebics" else None
    if message is None:
        if ordered is not None:
            hint = 'the version that the bank takes, such as message = "camt.055.001.09"'
            yield "recalls.message", "is missing, and [channel.recalls] says how to send it", hint
        return
    if message not in CAMT055:
        yield "recalls.message", f"there is no writer of {message!r}", did_you_mean(message, CAMT055)
    if kind == "frontend":
        english, _ = ask_by(settings.bank)
        yield "recalls.message", "recalls are not sent over a channel of kind 'frontend'", f"take the setting out, and {english}"
    if kind == "ebics":
        if ordered is None:
            yield "channel.recalls", "is missing: over EBICS a recall is an order of its own", _ASK_EBICS
        elif not _answers_fetched(settings.channel):
            hint = 'add the BTF by which the bank gives its answers, with message = "camt.029", as its parameter sheet has it'
            yield "channel.downloads", "no order fetches the bank's answers to recalls (camt.029)", hint


def _answers_fetched(channel: Mapping[str, Any]) -> bool:
    """A BTF names its message, so that it can be seen; an order type of H004 does not. Of several connections over one
    subscriber only one fetches: of the others nothing can be said here."""
    found = channel.get("downloads")
    listed = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []
    services = [one.get("service") for one in listed]
    named = [str(service.get("message", "")) for service in services if isinstance(service, Mapping)]
    return channel.get("version", "H005") != "H005" or not listed or any(message.startswith("camt.029") for message in named)
