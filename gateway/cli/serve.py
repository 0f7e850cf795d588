"""`bankgate serve`, `bankgate worker`, `bankgate config check`: the two processes of the gateway, and what they read."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from gateway.cli.output import PROBLEMS, CommandFailed, Json, out, print_error, print_json, print_warning, run
from gateway.config import Configuration, TokenIssuerSettings
from gateway.config_load import ConfigurationProblems, load
from gateway.shielding import close_to_neighbours

if TYPE_CHECKING:
    from gateway.tokens import TokenVerifier

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The configuration directory.")


@app.callback()
def _group() -> None:
    """The configuration directory."""


Config = Annotated[
    Path, typer.Option("--config", help="Configuration directory: bankgate.toml and connections/.", envvar="BANKGATE_CONFIG")
]

log = structlog.get_logger("bankgate")


def loaded(directory: Path) -> Configuration:
    """The configuration. Raises `CommandFailed` naming every problem."""
    try:
        return load(directory)
    except ConfigurationProblems as error:
        count = len(error.problems)
        heading = f"{directory}: {count} problem{'s' if count > 1 else ''} in the configuration"
        raise CommandFailed("\n  ".join([heading, *map(str, error.problems)])) from None


def serve(config: Config) -> None:
    """Answer callers over gRPC, until SIGTERM or SIGINT; then finish what is under way. Opens no private key of a bank."""
    close_to_neighbours()
    configuration = loaded(config)
    with telemetry_of(configuration, "bankgate-serve", configuration.listen.metrics_address):
        run(lambda: _until_signal(lambda stop: _serve(configuration, stop)))


def worker(
    config: Config,
    metrics_address: Annotated[
        str | None,
        typer.Option(help="Where to offer metrics. Absent: the port after listen.metrics_address.", show_default=False),
    ] = None,
) -> None:
    """Talk to the banks: form, seal and send messages, fetch and read answers, until SIGTERM or SIGINT."""
    from gateway.worker import run_worker

    close_to_neighbours()
    configuration = loaded(config)
    address = metrics_address or _following(configuration.listen.metrics_address)
    with telemetry_of(configuration, "bankgate-worker", address):
        run(lambda: _until_signal(lambda stop: run_worker(configuration, stop)))


@app.command("check")
def check(
    directory: Annotated[Path, typer.Argument(help="Configuration directory.", envvar="BANKGATE_CONFIG")],
    as_json: Json = False,
) -> None:
    """Say everything that is wrong with a configuration directory. Connects to nothing and opens no key."""
    problems = []
    names: list[str] = []
    warnings: list[str] = []
    try:
        configuration = load(directory)
        names = sorted(configuration.connections)
        warnings = _check_rules(configuration)
    except ConfigurationProblems as error:
        problems = error.problems
    if as_json:
        rows = [{"file": p.file, "key": p.key, "problem": p.problem, "hint": p.hint} for p in problems]
        print_json({"ok": not problems, "connections": names, "problems": rows, "warnings": warnings})
    elif problems:
        for problem in problems:
            print_error(str(problem))
    else:
        for warning in warnings:
            print_warning(warning)
        out().print(f"good: {len(names)} connections ({', '.join(names)})", markup=False)
    if problems:
        raise typer.Exit(PROBLEMS)


def _check_rules(configuration: Configuration) -> list[str]:
    """Warnings about approvals that nobody can give. Raises `ConfigurationProblems` for policies that cannot be used,
    `ScreeningProblems` for lists."""
    from gateway import clock
    from gateway.approvers import groups_asked, without_people
    from gateway.policies import load_policies
    from gateway.screening_lists import load_screen

    policies = load_policies(configuration.directory, configuration)
    if configuration.screening.lists:
        load_screen(configuration.directory, configuration.screening)
    return list(without_people(configuration, groups_asked(configuration, policies, clock.now())))


async def _serve(configuration: Configuration, stop: asyncio.Event) -> None:
    from gateway import clock
    from gateway.approvers import warn_at_start
    from gateway.in_force import InForce, process_name
    from gateway.key_watch import KeyWatch
    from gateway.memory import calm_collector
    from gateway.rpc.server import RpcServer
    from gateway.service import Gateway
    from gateway.started import tell_start
    from gateway.store.factory import open_store
    from gateway.telemetry import metrics

    store = open_store(configuration.store, configuration.directory, clock.now, database=configuration.database)
    await store.open()
    try:
        in_force = InForce(store, process_name("serve"))
        await tell_start(store, configuration, "serve", in_force)
        id_tokens = _id_tokens(configuration, clock.now)
        gateway = Gateway(configuration, store, clock=clock.now, metrics=metrics(), id_tokens=id_tokens)
        calm_collector()
        watch = KeyWatch(configuration, store, in_force)
        await watch.look()
        await warn_at_start(configuration, store, clock.now())
        server = RpcServer(configuration, gateway, metrics=metrics(), clock=clock.now, reload=load, tell=watch.read_again)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.reread)
        async with watch.running():
            await server.run_until(stop)
    finally:
        await store.close()


def _id_tokens(configuration: Configuration, now: Callable[[], datetime]) -> "TokenVerifier | None":
    """What checks the tokens by which people sign in; None where no identity provider is configured."""
    from gateway.tokens import verifier_of

    oidc = configuration.people.oidc
    if oidc is None:
        return None
    issuer = TokenIssuerSettings(issuer=oidc.issuer, audience=(oidc.audience,), keys=oidc.jwks, types=("JWT", ""))
    return verifier_of(issuer, configuration.directory, now)


async def _until_signal(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Runs with an event that SIGTERM and SIGINT set. A second signal does not wait any more."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopping(name: str) -> None:
        if stop.is_set():
            log.warning("stopping.at-once", signal=name)
            os._exit(128 + signal.Signals[name])
        log.info("stopping", signal=name)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping, number.name)
    try:
        await main(stop)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextmanager
def telemetry_of(configuration: Configuration, service: str, metrics_address: str | None) -> Iterator[None]:
    """Logs, metrics and traces of one process, for as long as it runs."""
    from gateway.telemetry import configure_logging, configure_tracing, metrics, serve_metrics

    configure_logging(configuration.telemetry)
    stop_tracing = configure_tracing(configuration.telemetry, service)
    stop_metrics: Callable[[], None] | None = None
    try:
        if metrics_address is not None:
            try:
                port, stop_metrics = serve_metrics(metrics_address, metrics())
            except (OSError, ValueError) as error:
                raise CommandFailed(f"metrics address {metrics_address}: {error}") from None
            log.info("metrics.listening", port=port)
        yield
    finally:
        if stop_metrics is not None:
            stop_metrics()
        stop_tracing()


def _following(address: str | None) -> str | None:
    """The same host, one port on: `serve` and `worker` share a configuration and usually a machine."""
    if address is None:
        return None
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + 1}" if host else str(int(port) + 1)
