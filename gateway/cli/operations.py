"""`bankgate deliveries`, `bankgate discrepancies`, `bankgate connections`: what the people who run bankgate see and decide."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import access, connect, describe, onboarding
from gateway.cli.connect import Connection, Limit, ReasonOption, service_call
from gateway.cli.output import (
    PROBLEMS,
    USAGE,
    CommandFailed,
    Json,
    Language,
    out,
    print_json,
    print_table,
    reason_words,
    run,
    state_word,
)
from gateway.cli.serial_lines import serial_lines
from gateway.cli.serve import Config, loaded
from gateway.config import Configuration, ConnectionSettings
from gateway.window_settings import window_lines

if TYPE_CHECKING:
    from channels.channel import Channel

deliveries = typer.Typer(no_args_is_help=True, add_completion=False, help="Messages to the banks, and where they stand.")
discrepancies = typer.Typer(
    no_args_is_help=True, add_completion=False, help="What does not fit together, for a person to look at."
)
connections = typer.Typer(no_args_is_help=True, add_completion=False, help="Connections to the banks.")
onboarding.register(connections)
access.register(connections)
describe.register(connections)

# -- deliveries ------------------------------------------------------------------------------------------------------------


@deliveries.command("list")
@connect.calls_a_service
def list_deliveries(
    *,
    connection: Connection = None,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state, for example in_doubt; may be repeated.")] = None,
    limit: Limit = 100,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show messages to the banks, newest first."""
    known = ("ready", "sending", "sent", "in_doubt", "refused", "abandoned")
    states = [word.replace("-", "_") for word in state or ()]
    for word in states:
        if word not in known:
            raise CommandFailed(f"--state {word}: there are {', '.join(known)}", USAGE)
    where = service.as_target()
    request = {
        "page": {"size": limit},
        "connection_id": connection or "",
        "states": [f"DELIVERY_STATE_{word.upper()}" for word in states],
    }
    found = service_call(where, "OperationsService", "ListDeliveries", request).get("deliveries", [])
    if as_json:
        print_json(found)
        return
    print_table(
        ("delivery", "connection", "message id", "state", "payments", "sum", "attempts", "reason"),
        [
            (
                d["delivery_id"],
                d["connection_id"],
                d["message_id"],
                state_word(d.get("state")),
                d.get("payment_count"),
                d.get("control_sum"),
                d.get("attempts", 0),
                reason_words(d.get("reason")),
            )
            for d in found
        ],
    )


@deliveries.command("show")
@connect.calls_a_service
def show_delivery(
    delivery_id: str,
    *,
    service: connect.Service,
    language: Annotated[Language, typer.Option(help="In which language reasons are told; --json has both.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Show one message and everything that happened to it: every attempt to send it, all evidence, who decided what; and the
    numbers by which a bank that answers at once knows its payments."""
    where = service.as_target()
    answer = service_call(where, "OperationsService", "GetDelivery", {"delivery_id": delivery_id})
    _show_delivery(answer["delivery"], as_json=as_json, language=language)


@deliveries.command("resolve")
@connect.calls_a_service
def resolve_delivery(
    delivery_id: str,
    *,
    arrived: Annotated[
        bool, typer.Option("--arrived/--did-not-arrive", help="What there is proof of. --did-not-arrive sends it again.")
    ],
    reason: ReasonOption,
    attempt: Annotated[
        int, typer.Option(min=0, help="Which attempt did not arrive; needed from the second on. What `deliveries show` names.")
    ] = 0,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Decide about a message in doubt. Only with proof: --did-not-arrive for a message that arrived pays twice."""
    where = service.as_target()
    resolution = "RESOLUTION_ARRIVED" if arrived else "RESOLUTION_DID_NOT_ARRIVE"
    request = {"delivery_id": delivery_id, "resolution": resolution, "reason": reason, "attempt": attempt}
    _show_delivery(service_call(where, "OperationsService", "ResolveDelivery", request)["delivery"], as_json=as_json)


def _show_delivery(delivery: dict[str, Any], *, as_json: bool, language: Language = Language.EN) -> None:
    if as_json:
        print_json(delivery)
        return
    console = out()
    for name in ("delivery_id", "connection_id", "message_id", "message_name", "file_name", "guarantee"):
        console.print(f"{name:15} {delivery.get(name, '')}", markup=False)
    reason = reason_words(delivery.get("reason"), language)
    console.print(f"{'state':15} {state_word(delivery.get('state'))}  {reason}", markup=False)
    console.print(f"{'payments':15} {delivery.get('payment_count', 0)}, sum {delivery.get('control_sum', '')}", markup=False)
    for line in serial_lines(delivery, language):
        console.print(line, markup=False)
    for at, text in _timeline(delivery, language):
        console.print(f"{at[:19]} {text}", markup=False)


def _timeline(delivery: dict[str, Any], language: Language = Language.EN) -> list[tuple[str, str]]:
    """Everything that happened to a message, attempts and evidence among it, in the order of time: (moment, words)."""
    lines: list[tuple[str, str]] = []
    for event in delivery.get("history", ()):
        words = reason_words(event.get("reason"), language)
        told = f"{event.get('event')}, {state_word(event.get('state'))}, by {event.get('source')}{f': {words}' if words else ''}"
        lines.append((event.get("occurred_at", ""), told))
    for attempt in delivery.get("attempt_log", ()):
        outcome = attempt.get("outcome") or "running"
        moment = attempt.get("ended_at") or attempt.get("started_at", "")
        lines.append((moment, f"attempt {attempt.get('number')}: {outcome} {attempt.get('detail', '')}"))
    for item in delivery.get("evidence", ()):
        text = f"evidence, {item.get('source')}: {item.get('verdict')} {item.get('detail', '')}"
        lines.append((item.get("found_at", ""), text))
    return sorted(lines, key=lambda line: line[0][:19])  # to the second; of one second in the order above


# -- discrepancies ---------------------------------------------------------------------------------------------------------


@discrepancies.command("list")
@connect.calls_a_service
def list_discrepancies(
    *,
    connection: Connection = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Those that are resolved, too.")] = False,
    limit: Limit = 100,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show what does not fit together, newest first."""
    where = service.as_target()
    request = {"page": {"size": limit}, "connection_id": connection or "", "include_resolved": resolved}
    found = service_call(where, "OperationsService", "ListDiscrepancies", request).get("discrepancies", [])
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "connection", "kind", "what", "open"),
        [(d["discrepancy_id"], d["connection_id"], d["kind"], d.get("summary_en"), _openness(d)) for d in found],
    )


def _openness(discrepancy: dict[str, Any]) -> str:
    """Whether it is open; if not, who closed it and why."""
    if discrepancy.get("open"):
        return "yes"
    return f"no; {discrepancy.get('resolved_by', '')}: {discrepancy.get('resolution', '')}"


@discrepancies.command("resolve")
@connect.calls_a_service
def resolve_discrepancy(
    discrepancy_id: str,
    *,
    reason: ReasonOption,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Close a discrepancy, with a reason."""
    where = service.as_target()
    request = {"discrepancy_id": discrepancy_id, "reason": reason}
    found = service_call(where, "OperationsService", "ResolveDiscrepancy", request)["discrepancy"]
    if as_json:
        print_json(found)
    else:
        out().print(f"{discrepancy_id}: resolved by {found.get('resolved_by', '')}", markup=False)


# -- connections -----------------------------------------------------------------------------------------------------------


@connections.command("list")
@connect.calls_a_service
def list_connections(
    *,
    service: connect.Service,
    as_json: Json = False,
) -> None:
    """Show the connections of a running service and how they are doing."""
    where = service.as_target()
    found = service_call(where, "OperationsService", "ListConnections", {}).get("connections", [])
    if as_json:
        print_json(found)
        return
    print_table(
        (
            "connection",
            "bank",
            "channel",
            "seal",
            "guarantee",
            "window",
            "waiting",
            "late",
            "in doubt",
            "open",
            "last sent",
            "last problem",
        ),
        [
            (
                c["connection_id"],
                c.get("bank"),
                c.get("channel"),
                c.get("seal"),
                c.get("guarantee"),
                _window_words(c.get("send_windows", ())),
                c.get("payments_waiting", 0),
                ", ".join(f"{q['queue']} since {q['since'][:16]}" for q in c.get("queues", ()) if q.get("late")),
                f"{c.get('deliveries_in_doubt', 0)}{' (sending held back)' if c.get('sending_held_back') else ''}",
                c.get("open_discrepancies", 0),
                str(c.get("last_sent_at", ""))[:19],
                c.get("last_problem"),
            )
            for c in found
        ],
    )


def _window_words(windows: Sequence[dict[str, Any]]) -> str:
    """The window of the payments without hours of their own, in UTC like every time here."""
    if not windows:
        return "always open"
    first = windows[0]
    if not first.get("known"):
        return f"{first.get('calendar')} does not know the year"
    if first.get("open"):
        return f"open until {first.get('closes_at', '')[:16]}"
    return f"closed until {first.get('opens_at', '')[:16]}"


@connections.command("check")
def check_connections(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID…]", help="Connections; absent: all.")] = None,
    *,
    config: Config,
    offline: Annotated[
        bool, typer.Option("--offline", help="Look at settings and certificates only; connect to nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Try connections from this machine without sending anything: settings, keys, certificates, login, directories."""
    configuration = loaded(config)
    wanted = ids or sorted(configuration.connections)
    for name in wanted:
        if name not in configuration.connections:
            raise CommandFailed(
                f"there is no connection {name!r}; there are {', '.join(sorted(configuration.connections))}", USAGE
            )

    async def check_all() -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(_check(configuration, name, offline=offline) for name in wanted)))

    rows = run(check_all)
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            problems = row["problems"]
            out().print(f"{row['connection']}: {'ready' if not problems else f'{len(problems)} problems'}", markup=False)
            for certificate in row["certificates"]:
                out().print(f"  {certificate['certificate']}: {certificate['days_left']} days left", markup=False)
            for schema in row["schemas"]:
                source = f"{schema['file']} (SHA-256 {schema['sha256'][:16]}…)"
                out().print(f"  {schema['message']}: judged by {source}, not by the official schema", markup=False)
            for words in row["send_windows"]:
                out().print(f"  {words}", markup=False)
            for problem in problems:
                out().print(f"  {problem}", markup=False)
    if any(row["problems"] for row in rows):
        raise typer.Exit(PROBLEMS)


async def _check(configuration: Configuration, name: str, *, offline: bool) -> dict[str, Any]:
    from gateway import clock
    from gateway.connection import certificate_ends
    from keys.profiles import check, parse_profile

    settings = configuration.connections[name]
    profile = parse_profile(settings.seal)
    now = clock.now()
    problems = [f"seal.{problem}" for problem in check(profile, configuration.directory, now, open_keys=not offline)]
    found = certificate_ends(settings, configuration.directory)
    if not offline:
        problems += [f"channel: {problem}" for problem in await _try_channel(configuration, settings)]
    days = [{"certificate": reference, "days_left": (not_after - now).days} for reference, not_after in found]
    schemas = _schemas(settings, configuration.directory)
    return {
        "connection": name,
        "problems": problems,
        "certificates": days,
        "schemas": schemas,
        "send_windows": window_lines(settings, now),
    }


def _schemas(settings: ConnectionSettings, directory: Path) -> list[dict[str, str]]:
    """The schemas that the connection brings, by message; for every other message the official one holds."""
    from gateway.own_schemas import read_schemas

    if settings.schemas is None:
        return []
    own = read_schemas(directory / settings.schemas)
    return [
        {"message": schema.message_name, "file": f"{settings.schemas}/{schema.file}", "sha256": schema.sha256} for schema in own
    ]


async def _try_channel(configuration: Configuration, settings: ConnectionSettings) -> tuple[str, ...]:
    from channels.channel import ChannelError
    from gateway import clock
    from gateway.connection import open_connection
    from gateway.dialogue.settings import FRONTEND
    from gateway.store.store import StoreUnavailable
    from keys.seal import KeyUnavailable

    directory = configuration.directory
    if settings.channel.get("kind") == "ebics":
        try:
            async with onboarding.access_channel(configuration, settings.id) as access:
                return await access.check()
        except (ChannelError, StoreUnavailable, KeyUnavailable) as error:
            return (str(error),)
    try:
        if settings.channel.get("kind") == FRONTEND:  # talked to over the store, like EBICS
            async with onboarding.open_service_store(configuration) as store:
                return await _tried(open_connection(settings, directory, clock.now).channel(store))
        return await _tried(open_connection(settings, directory, clock.now).channel())
    except (ChannelError, StoreUnavailable, KeyUnavailable) as error:
        return (str(error),)


async def _tried(channel: "Channel") -> tuple[str, ...]:
    try:
        return await channel.check()
    finally:
        await channel.close()
