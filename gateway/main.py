"""The command `bankgate`.

Exit codes: 0 ok; 1 the input has problems; 2 usage; 3 a service cannot be reached. Bad input never gives a traceback.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import typer.core
import typer.main

from gateway.cli.output import OK, PROBLEMS, USAGE, CommandFailed, print_error

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "demo": ("gateway.main", "demo"),
    "serve": ("gateway.cli.serve", "serve"),
    "worker": ("gateway.cli.serve", "worker"),
    "submit": ("gateway.cli.submit", "submit"),
    "watch": ("gateway.cli.watch", "watch"),
    "parse": ("gateway.cli.parse", "parse"),
    "render": ("gateway.cli.render", "render"),
    "check": ("gateway.cli.check", "check"),
    "explain": ("gateway.cli.explain", "explain"),
    "replay": ("gateway.cli.replay", "replay"),
    "keys": ("gateway.cli.keys", "app"),
    "banks": ("gateway.cli.banks", "app"),
    "screening": ("gateway.cli.screening", "app"),
    "connections": ("gateway.cli.operations", "connections"),
    "ebics": ("gateway.cli.ebics", "app"),
    "deliveries": ("gateway.cli.operations", "deliveries"),
    "approvals": ("gateway.cli.approvals", "app"),
    "discrepancies": ("gateway.cli.operations", "discrepancies"),
    "inbound": ("gateway.cli.inbound", "app"),
    "policies": ("gateway.cli.policies", "app"),
    "audit": ("gateway.cli.audit", "app"),
    "plans": ("gateway.cli.plans", "app"),
    "groups": ("gateway.cli.groups", "app"),
    "recall": ("gateway.cli.recall", "recall"),
    "config": ("gateway.cli.serve", "app"),
    "store": ("gateway.cli.store", "app"),
    "people": ("gateway.cli.people", "app"),
    "session": ("gateway.cli.session", "app"),
    "bench": ("gateway.main", "bench"),
}
"""Every command: the module it stands in, and the function or group of commands there."""


class ReaderGone(Exception):
    """Whoever read our standard output has seen enough (`bankgate parse … | head`)."""


class Commands(typer.core.TyperGroup):
    """The commands by name, each imported when it is asked for: a command starts without waiting for the others' libraries."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command and writes out what it printed while errors can still be told."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:  # typer would end with exit code 1 here, as if the input had problems
            raise ReaderGone from None

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the same whoever asks
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            extra = {"allow_extra_args": True, "ignore_unknown_options": True} if cmd_name == "bench" else None
            single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
            single.command(cmd_name, context_settings=extra)(found)
            found = single
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(name="bankgate", cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"bankgate {version('bankgate')}")
        except PackageNotFoundError:
            typer.echo("bankgate, from a source tree")
        raise typer.Exit


@app.callback(
    no_args_is_help=True,
    epilog="Exit status: 0 good; 1 the input has problems; 2 usage; 3 a service cannot be reached. Guides: docs/ of the sources.",
)
def bankgate(
    show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    """The gateway between ERP systems and their banks: gRPC in, ISO 20022 out, every answer explained."""


def demo(
    directory: Annotated[
        Path | None, typer.Option(help="Where to play. Absent: a temporary directory.", show_default=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the directory for a look afterwards.")] = False,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where to keep everything: an empty database, postgresql://USER@HOST/NAME. Absent: a file.", show_default=False
        ),
    ] = None,
    bank: Annotated[
        str | None,
        typer.Option(help="A Chinese bank's front machine instead: cib, cmb_cloud, cmb, icbc, spdb, pingan, boc, bocom, ccb, …"),
    ] = None,
) -> None:
    """Play the whole journey against a bank on this machine, and show what became of every payment."""
    from gateway.cli.demo import run_demo
    from gateway.demo.scenery import SQLITE

    if bank is not None:
        from gateway.cli.demo_front import run_front_demo

        raise typer.Exit(run_front_demo(bank, directory, keep=keep, store=store or SQLITE))
    raise typer.Exit(run_demo(directory, keep=keep, store=store or SQLITE))


def bench(context: typer.Context) -> None:
    """Measure on this machine. The measurements are part of the source tree: `python -m bench` there."""
    if find_spec("bench") is None or find_spec("bench.__main__") is None:
        raise CommandFailed(
            "the measurements are in the source tree, which is not where this runs: use `make bench` there", USAGE
        )
    os.execv(sys.executable, [sys.executable, "-m", "bench", *context.args])  # noqa: S606 - ourselves, with the same arguments


def main() -> None:
    """Runs the command line and exits with its code."""
    _ready_streams()
    try:
        app()
    except CommandFailed as error:
        print_error(str(error))
        raise SystemExit(error.code) from None
    except ReaderGone:
        _drop_output()
        raise SystemExit(OK) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except OSError as error:  # commands explain those of the files they were given; what is left is the output's
        _drop_output()
        place = f"{error.filename}: " if error.filename else ""
        print_error(f"{place}cannot be read or written: {error.strerror or error}")
        raise SystemExit(PROBLEMS) from None
    except Exception as error:
        if not isinstance(error, _named_errors()):
            raise
        print_error(str(error))
        raise SystemExit(PROBLEMS) from None


def _ready_streams() -> None:
    """Standard streams that take any text: a closed one is opened on nothing, and its number no file's by accident; characters
    that the terminal's encoding does not have are written as escapes."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open as long as we run
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still to be written goes nowhere, so that the end of the process does not fail on it again."""
    with suppress(OSError):  # an output that is no file does not fail at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _named_errors() -> tuple[type[Exception], ...]:
    """Every room's own errors: they say in words what is wrong. Anything else is a fault of ours and shows where it is."""
    from channels.channel import ChannelError
    from formats.errors import FormatError
    from gateway.config_load import ConfigurationProblems
    from gateway.errors import GatewayError
    from gateway.rpc.server import CannotListen
    from gateway.screening_lists import ScreeningProblems
    from gateway.store.store import StoreUnavailable
    from keys.seal import SealError

    return (
        ChannelError,
        FormatError,
        GatewayError,
        SealError,
        ConfigurationProblems,
        CannotListen,
        StoreUnavailable,
        ScreeningProblems,
    )


if __name__ == "__main__":
    main()
