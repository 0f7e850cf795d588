"""`bankgate watch`: what becomes of the payments, as it happens."""

import asyncio
from typing import Annotated, Any, Final

import typer

from gateway.cli import connect
from gateway.cli.output import Json, Language, err, out, print_json, reason_words, run, state_word
from gateway.rpc.client import CallFailed, Client, Target

RECONNECTS_MAX: Final = 30
LONGEST_PAUSE_SECONDS: Final = 10.0
OURSELVES: Final = frozenset({"", "caller", "gateway"})  # sources that the reason has named already


@connect.calls_a_service
def watch(
    *,
    service: connect.Service,
    after: Annotated[str, typer.Option(help="Resume token: only what came after it.")] = "",
    connection: Annotated[list[str] | None, typer.Option(help="Only this connection; may be repeated.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Stop once everything up to now has been shown.")] = False,
    language: Annotated[Language, typer.Option(help="In which language reasons are told; --json has both.")] = Language.EN,
    as_json: Json = False,
) -> None:
    """Show every state change of your payments, in order, without gaps. Survives a restart of the service."""
    where = service.as_target()
    try:
        run(lambda: _follow(where, after, connection or [], until_idle=until_idle, as_json=as_json, language=language))
    except CallFailed as error:
        raise connect.explained(error, where.address) from None


async def _follow(
    where: Target, token: str, connections: list[str], *, until_idle: bool, as_json: bool, language: Language
) -> None:
    failures = 0
    while True:
        try:
            async with Client(where) as client:
                async for event in client.watch(token, connections, stop_at_end=until_idle):
                    token = str(event["resume_token"])
                    failures = 0
                    _show(event, as_json=as_json, language=language)
        except CallFailed as error:
            failures += 1
            if not error.again or until_idle or failures > RECONNECTS_MAX:
                raise
            err().print(f"{where.address}: {error.text}; trying again")
            await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, 0.25 * 2 ** min(failures, 10)))
        else:
            return


def _show(event: dict[str, Any], *, as_json: bool, language: Language = Language.EN) -> None:
    if as_json:
        print_json(event, indent=None)
        return
    out().print(_line(event, language), markup=False)


def _line(event: dict[str, Any], language: Language) -> str:
    """One event in a line: when, which payment, its state, why, and the bank's file that says so."""
    moment = str(event.get("occurred_at", ""))[:19].replace("T", " ")
    source = str(event.get("source", ""))
    proof = "" if source in OURSELVES else f"  [{source}]"
    state = f"{state_word(event.get('state')):<9}"
    return f"{moment}  {event.get('payment_reference', '')}  {state}  {reason_words(event.get('reason'), language)}{proof}"
