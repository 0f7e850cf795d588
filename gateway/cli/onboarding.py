"""`bankgate connections init | letter | confirm-bank-keys`: a person sets up the access to a bank (EBICS), step by step.

Each command goes on where the last one ended, on any machine that has the configuration, the keys and the store.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway import clock
from gateway.cli.keys_told import told
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed, Json, out, print_json, run
from gateway.cli.serve import Config, loaded
from gateway.config import Configuration
from gateway.onboarding import Onboarding, onboarding_of
from gateway.store.store import Store

if TYPE_CHECKING:  # imported by the command that needs them: the others start without waiting
    from channels.ebics.channel import EbicsChannel
    from channels.ebics.profile import EbicsProfile

Id = Annotated[str, typer.Argument(help="The connection.", show_default=False)]
CERTIFICATE_DAYS: Final = 5 * 365


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("init")(init)
    app.command("letter")(letter)
    app.command("confirm-bank-keys")(confirm_bank_keys)


def init(
    connection: Id,
    *,
    config: Config,
    organisation: Annotated[
        str | None,
        typer.Option(help="Who we are, in new certificates. Absent: the initiating party.", show_default=False),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who does this, for the key store's history.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Make the keys that are missing in the key store, and send to the bank what it does not have of them."""
    from channels.channel import ChannelError
    from gateway.cli.onboarding_keys import make_missing_keys, own_keys

    configuration = loaded(config)
    profile = ebics_profile(configuration, connection)
    before = run(lambda: stored_onboarding(configuration, connection))
    made: tuple[str, ...] = ()

    async def go() -> None:
        async with access_channel(configuration, connection) as channel:
            try:
                await channel.onboarding.initialise()
            except ChannelError as problem:
                raise CommandFailed(f"{problem}. Run this again: it goes on where it stopped, with the same keys") from None

    with told("connection.keys_sent", connection, near=config, config=config, by=by) as line:
        if before is not None and before.standing == "new":  # later on the bank has our keys, and others would be of no use
            made = make_missing_keys(
                profile,
                configuration.directory,
                organisation=organisation or configuration.connections[connection].initiating_party,
                by=by,
                days=CERTIFICATE_DAYS,
            )
        line.update(made=list(made), keys=own_keys(profile, configuration.directory))
        if not as_json:
            for name in made:
                out().print(f"made {name}", markup=False)
        run(go)
    tell(configuration, connection, as_json=as_json, more={"made": list(made)})


def letter(
    connection: Id,
    *,
    config: Config,
    to: Annotated[Path | None, typer.Option("--out", help="A PDF file. Absent: the text, here.", show_default=False)] = None,
    language: Annotated[str, typer.Option(help="zh, de, fr or en.")] = "en",
) -> None:
    """Write the letter that proves our keys to the bank: to be signed by hand and sent."""
    from channels.channel import ChannelError
    from channels.ebics.letters import LANGUAGES, LetterFacts
    from gateway.cli.onboarding_keys import own_keys
    from keys.store import write_new

    configuration = loaded(config)
    profile = ebics_profile(configuration, connection)
    tongue = next((word for word in LANGUAGES if word == language), None)
    if tongue is None:
        raise CommandFailed(f"--language {language}: there are {', '.join(LANGUAGES)}", USAGE)
    facts = LetterFacts(
        bank_name=profile.letter.bank,
        customer_name=profile.letter.customer,
        subscriber_name=profile.letter.subscriber,
        on=_local(configuration, connection),
    )

    async def go() -> tuple[str, bytes]:
        async with access_channel(configuration, connection) as channel:
            try:
                return await channel.onboarding.letter(facts, tongue)
            except ChannelError as problem:
                raise CommandFailed(str(problem)) from None

    with told("connection.letter_written", connection, near=config, config=config) as line:
        text, pdf = run(go)
        line.update(keys=own_keys(profile, configuration.directory), file=None if to is None else str(to.absolute()))
    if to is None:
        typer.echo(text, nl=False)
        return
    write_new(to, pdf, private=False)
    out().print(f"{to}: print it, have it signed, and send it to the bank", markup=False)


def confirm_bank_keys(
    connection: Id,
    *,
    config: Config,
    authentication: Annotated[
        str | None,
        typer.Option(help="The bank's fingerprint for X002, as the bank printed it. Absent: asked for.", show_default=False),
    ] = None,
    encryption: Annotated[
        str | None,
        typer.Option(help="The bank's fingerprint for E002, as the bank printed it. Absent: asked for.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the bank's keys with the fingerprints that the bank gave on another way; only then they count.

    Type them from the bank's letter or its web page, never from what this program shows."""
    from channels.channel import ChannelError
    from channels.ebics.subscriber import Standing

    configuration = loaded(config)
    ebics_profile(configuration, connection)

    async def fetch() -> None:
        async with access_channel(configuration, connection) as channel:
            try:
                if (await channel.onboarding.standing()).standing is Standing.WAITING:
                    await channel.onboarding.fetch_bank_keys()
            except ChannelError as problem:
                raise CommandFailed(str(problem)) from None

    run(fetch)
    x002 = authentication or typer.prompt("Fingerprint for X002 (authentication), from the bank's letter")
    e002 = encryption or typer.prompt("Fingerprint for E002 (encryption), from the bank's letter")

    async def go() -> None:
        async with access_channel(configuration, connection) as channel:
            try:
                await channel.onboarding.confirm(authentication=x002, encryption=e002)
            except ChannelError as problem:
                raise CommandFailed(str(problem)) from None

    typed: dict[str, Any] = {"authentication": x002, "encryption": e002}
    with told("connection.bank_keys_confirmed", connection, near=config, config=config, **typed):
        run(go)
    tell(configuration, connection, as_json=as_json)


# ---- parts --------------------------------------------------------------------------------------------------------------


def ebics_profile(configuration: Configuration, connection: str) -> "EbicsProfile":
    from channels.ebics.profile import EbicsProfile
    from channels.profiles import parse_profile

    settings = configuration.connections.get(connection)
    if settings is None:
        there = ", ".join(sorted(configuration.connections))
        raise CommandFailed(f"there is no connection {connection!r}; there are {there}", USAGE)
    profile = parse_profile(settings.channel)
    if not isinstance(profile, EbicsProfile):
        raise CommandFailed(f"{connection}: a channel of kind {profile.kind!r} needs no onboarding; see connections check", USAGE)
    return profile


def _local(configuration: Configuration, connection: str) -> datetime:
    """Now, as it is printed where the bank is."""
    from zoneinfo import ZoneInfo

    from gateway.banks import bank_of

    settings = configuration.connections[connection]
    zone = settings.time_zone or bank_of(settings).capabilities.time_zone
    return clock.now().astimezone(ZoneInfo(zone))


@asynccontextmanager
async def access_channel(configuration: Configuration, connection: str) -> "AsyncIterator[EbicsChannel]":
    """The channel of an EBICS connection, with its notes in the store that the worker uses."""
    from channels.ebics.channel import EbicsChannel
    from gateway.connection import open_connection

    async with open_service_store(configuration) as store:
        settings = configuration.connections[connection]
        channel = open_connection(settings, configuration.directory, clock.now).channel(store)
        assert isinstance(channel, EbicsChannel)  # noqa: S101 - the callers have looked at the profile
        try:
            yield channel
        finally:
            await channel.close()


@asynccontextmanager
async def open_service_store(configuration: Configuration) -> AsyncIterator[Store]:
    from gateway.store.factory import open_store

    store = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def stored_onboarding(configuration: Configuration, connection: str) -> Onboarding | None:
    """As stored; None for a channel that needs no onboarding."""
    async with open_service_store(configuration) as store:
        return await onboarding_of(store, configuration.connections[connection])


def tell(configuration: Configuration, connection: str, *, as_json: bool, more: dict[str, object] | None = None) -> None:
    """Where onboarding stands, and the next step."""
    found = run(lambda: stored_onboarding(configuration, connection))
    assert found is not None  # noqa: S101 - the callers have looked at the profile
    if as_json:
        print_json({"connection": connection, "standing": found.standing, "next_step": found.english, **(more or {})})
    else:
        out().print(f"{connection}: {found.standing}", markup=False)
        out().print(f"  {found.english}", markup=False)
        out().print(f"  {found.chinese}", markup=False)
    if found.standing == "locked":
        raise typer.Exit(PROBLEMS)
