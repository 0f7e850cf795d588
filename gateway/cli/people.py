"""`bankgate people`: people with accounts, by somebody at the machine, straight in the store. What is done here is in the audit
log.

Whoever can run this has the configuration and the database already; so one person is enough here, where over gRPC a second
security officer has to confirm. No password and no secret stands among the arguments.
"""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway import clock
from gateway.cli.output import USAGE, CommandFailed, Json, out, print_json, print_table
from gateway.cli.serve import Config, loaded
from gateway.config import Configuration
from gateway.store.factory import open_store

if TYPE_CHECKING:  # imported by the command that needs them
    from gateway.people.officers import Outcome
    from gateway.people.people import People
    from gateway.people.records import Account

app = typer.Typer(no_args_is_help=True, add_completion=False, help="People with accounts: the first officer, and emergencies.")

T = TypeVar("T")
Name = Annotated[str, typer.Argument(help="The name of the account: small letters, digits and . _ - @, such as li.wei.")]
Roles = Annotated[
    list[str], typer.Option("--role", help="viewer, submitter, approver, operator, security_officer or auditor; repeatable.")
]
Groups = Annotated[list[str] | None, typer.Option("--group", help="A group that approval chains name; repeatable.")]
Connections = Annotated[
    list[str] | None, typer.Option("--connection", help="The id of a connection; repeatable. Absent: all there are.")
]


def at_machine() -> str:
    """Who stands in the audit log for what is done here: the user of the operating system."""
    try:
        return f"machine: {getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "machine: unknown user"


@app.command()
def init(name: Name, config: Config, *, as_json: Json = False) -> None:
    """Make the first account, a security officer, and print the code by which that person begins. Only while there is nobody."""
    code = _with_people(config, lambda people: people.first_officer(name, at_machine()))
    _tell_code(name, code, as_json=as_json)


@app.command()
def add(
    name: Name,
    config: Config,
    *,
    role: Roles,
    group: Groups = None,
    connection: Connections = None,
    sealed: Annotated[
        bool,
        typer.Option(
            "--sealed", help="An account for emergencies. Its password is read from the terminal, or one line of input."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a person and print the code by which they begin; or, with --sealed, an account for the safe and its recovery codes."""
    from gateway.people.officers import wanted
    from gateway.people.passwords import problem

    change = wanted(name, role, group or [], ["*"] if connection is None else connection)
    if not sealed:

        async def put(people: "People") -> "Outcome":
            if await people.account(name) is not None:
                raise CommandFailed(f"{name}: there is such an account; `bankgate people roles` changes it")
            return await people.put_person(at_machine(), change)

        _tell_code(name, _with_people(config, put).enrolment_code, as_json=as_json)
        return
    password = _password(f"Password of {name} / 密码")
    if text := problem(password, name):
        raise CommandFailed(f"this password is refused: {text}", USAGE)
    codes = _with_people(config, lambda people: people.seal_account(change, password, at_machine()))
    if as_json:
        print_json({"name": name, "recovery_codes": codes})
        return
    out().print(
        f"{name} is sealed: write these codes down, put them and the password into an envelope, and that into a safe. Each"
        " code signs in once, while the account is open (`bankgate people break-glass`).\n"
        "请将以下恢复码与密码一并封存。账户仅在开启期间可用，每个恢复码只能使用一次。",
        markup=False,
    )
    for code in codes:
        out().print(f"  {code}", markup=False)


@app.command()
def roles(
    name: Name, config: Config, *, role: Roles, group: Groups = None, connection: Connections = None, as_json: Json = False
) -> None:
    """Give a person other roles, groups and connections instead of those they have; a disabled account is enabled by it."""
    from gateway.people.officers import wanted

    change = wanted(name, role, group or [], ["*"] if connection is None else connection)

    async def put(people: "People") -> "Outcome":
        if await people.account(name) is None:
            raise CommandFailed(f"{name}: there is no such account; `bankgate people add` makes one")
        return await people.put_person(at_machine(), change)

    _with_people(config, put)
    _done({"name": name, "roles": sorted(change.roles)}, f"{name}: {', '.join(sorted(change.roles))}", as_json=as_json)


@app.command("list")
def list_all(config: Config, *, as_json: Json = False) -> None:
    """Show everybody: roles, factors, whether they have begun, are disabled or paused, and emergencies that wait for a review."""
    views, proposals = _with_people(config, lambda people: people.list_people(at_machine()))
    rows = [
        {
            "name": view.account.name,
            "roles": sorted(view.account.roles),
            "groups": sorted(view.account.groups),
            "connections": list(view.account.connections),
            "standing": _standing(view.account),
            "factors": sorted({str(one.kind) for one in view.factors}),
            "sessions": len(view.sessions),
            "emergencies_to_review": [one.opening_id for one in view.openings if one.reviewed_at is None],
        }
        for view in views
    ]
    waiting = [
        {"proposal_id": one.proposal_id, "kind": one.kind, "name": one.name, "asked_by": one.asked_by} for one in proposals
    ]
    if as_json:
        print_json({"people": rows, "proposals": waiting})
        return
    columns = ("name", "roles", "groups", "connections", "standing", "factors", "sessions", "emergencies_to_review")
    shown = [[", ".join(cell) if isinstance(cell, list) else cell for cell in (row[name] for name in columns)] for row in rows]
    print_table(columns, shown)
    for one in proposals:
        out().print(f"proposal {one.proposal_id}: {one.kind} {one.name}, asked by {one.asked_by}", markup=False)


@app.command()
def disable(name: Name, config: Config, *, as_json: Json = False) -> None:
    """Disable an account at once; its sessions end with the next request. `bankgate people roles` enables it again."""
    _with_people(config, lambda people: people.disable_person(at_machine(), name))
    _done({"name": name, "disabled": True}, f"{name}: disabled", as_json=as_json)


@app.command("reset-factors")
def reset_factors(name: Name, config: Config, *, as_json: Json = False) -> None:
    """For somebody who lost everything: take factors, password and sessions away, and print a code to begin anew with."""
    done = _with_people(config, lambda people: people.reset_factors(at_machine(), name))
    _tell_code(name, done.enrolment_code, as_json=as_json)


@app.command()
def sessions(
    name: Name,
    config: Config,
    *,
    end: Annotated[bool, typer.Option("--end", help="End all of them.")] = False,
    as_json: Json = False,
) -> None:
    """Show where a person is signed in, or sign them out everywhere."""
    if end:
        ended = _with_people(config, lambda people: people.end_sessions(at_machine(), name))
        _done({"name": name, "ended": ended}, f"{name}: {ended} sessions ended", as_json=as_json)
        return
    views, _ = _with_people(config, lambda people: people.list_people(at_machine()))
    if all(view.account.name != name for view in views):
        raise CommandFailed(f"{name}: there is no such account; `bankgate people list` shows those there are")
    found = [one for view in views if view.account.name == name for one in view.sessions]
    rows = [
        {
            "session_id": one.session_id,
            "caller": one.caller,
            "address": one.address,
            "seen_at": one.seen_at.isoformat(),
            "expires_at": one.expires_at.isoformat(),
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
        return
    print_table(("session", "caller", "address", "seen", "until"), [tuple(row.values()) for row in rows])


@app.command("break-glass")
def break_glass(
    name: Name,
    config: Config,
    *,
    reason: Annotated[str, typer.Option(help="What happened: it stands in the audit log, and somebody will ask.")],
    minutes: Annotated[int | None, typer.Option(help="How long. Absent: [people] emergency_minutes.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Open an account that is sealed for emergencies, for a while. A security officer has to look at it afterwards."""
    opening = _with_people(config, lambda people: people.open_sealed(name, reason, minutes, at_machine()))
    facts = {"name": name, "opening_id": opening.opening_id, "open_until": opening.open_until.isoformat()}
    _done(
        facts, f"{name} is open until {opening.open_until.isoformat()}; review {opening.opening_id} afterwards", as_json=as_json
    )


def _with_people(config: Any, work: "Callable[[People], Awaitable[T]]") -> T:
    """Runs something over the people of a configuration's store."""
    from gateway.people.people import People
    from gateway.store.store import Stale
    from gateway.telemetry import configure_logging, metrics

    configuration: Configuration = loaded(config)
    configure_logging(configuration.telemetry)

    async def go() -> T:
        store = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
        await store.open()
        try:
            people = People(configuration.people, store, directory=configuration.directory, clock=clock.now, metrics=metrics())
            people.must_be_set_up()
            return await work(people)
        except Stale:
            raise CommandFailed("somebody changed it meanwhile; look at it and run this again") from None
        finally:
            await store.close()

    return asyncio.run(go())


def _password(prompt: str) -> str:
    """From the terminal, twice and unseen; else one line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
    line = sys.stdin.readline()
    if not line.strip("\r\n"):
        raise CommandFailed("the password is read from the terminal, or as one line from standard input; there was none", USAGE)
    return line.rstrip("\r\n")


def _standing(account: "Account") -> str:
    if account.disabled:
        return "disabled"
    if account.sealed:
        return "sealed"
    if account.enrolment_until is not None:
        return "begins" if account.enrolment_until > clock.now() else "code expired"
    return "identity provider" if account.subject else "active"


def _tell_code(name: str, code: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "enrolment_code": code})
        return
    out().print(
        f"{name} begins with this code, which is told once; hand it over by a way of its own:\n"
        f"请将此一次性注册码单独交给 {name}：",
        markup=False,
    )
    out().print(f"  {code}", markup=False)


def _done(facts: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        out().print(text, markup=False)
