"""`bankgate connections change-keys | lock | begin-anew`: an access to a bank (EBICS) that stands, and what becomes of it.

They stand beside `init`, `letter` and `confirm-bank-keys`: all of them are about the access, one connection at a time. What is
about orders that wait for signatures is `bankgate ebics`.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.keys_told import told
from gateway.cli.onboarding import CERTIFICATE_DAYS, Id, access_channel, ebics_profile, tell
from gateway.cli.output import PROBLEMS, USAGE, CommandFailed, Json, out, print_json, run
from gateway.cli.serve import Config, loaded

if TYPE_CHECKING:  # imported by the command that needs them
    from channels.ebics.key_change import ChangeOrder, InForce

By = Annotated[str | None, typer.Option(help="Who does this, for the key store's history.", show_default=False)]

_IN_FORCE = {
    "new": (
        "The bank has the new keys, and they are in use. The old ones stay in the key store.",
        "银行已接受新密钥，新密钥已启用。旧密钥保留在密钥库中。",
    ),
    "old": (
        (
            "The bank took nothing of it: the old keys are in force and at work. Run this again to send the same new keys, or "
            "--give-up."
        ),
        "银行未接受新密钥：旧密钥仍然有效并在使用。可再次运行以发送相同的新密钥，或使用 --give-up 放弃。",
    ),
}
_LOCKED = (
    (
        "The bank has locked the access. Nothing is sent or fetched any more. Tell the bank why; when it has reset the access: "
        "bankgate connections begin-anew, then init, letter and confirm-bank-keys as at the beginning (new keys, INI and HIA)."
    ),
    (
        "银行已锁定该用户，不再发送或接收任何内容。请告知银行原因；银行重置后运行 bankgate connections begin-anew，"
        "然后如初次一样运行 init、letter、confirm-bank-keys（新密钥，INI 与 HIA）。"
    ),
)
_LOCK_OPEN = (
    (
        "The order to lock went out and was not answered. Here nothing goes out any more. Run this again, and call the bank: "
        "do not rely on it."
    ),
    "锁定指令已发出但未得到答复。本系统不再发送任何内容。请再次运行本命令，并电话联系银行确认，不要仅依赖本指令。",
)


def register(app: typer.Typer) -> None:
    """Adds the commands of this file."""
    app.command("change-keys")(change_keys)
    app.command("lock")(lock)
    app.command("begin-anew")(begin_anew)


def change_keys(
    connection: Id,
    *,
    config: Config,
    order: Annotated[
        str, typer.Option(help="PUB: the signature key. HCA: authentication and encryption. HCS: all three.")
    ] = "HCS",
    bank_has: Annotated[
        str | None,
        typer.Option(
            help="old or new: which keys the bank has, as a person there said. Only where its word is missing.",
            show_default=False,
        ),
    ] = None,
    give_up: Annotated[bool, typer.Option("--give-up", help="End a change that the bank did not take.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Make new keys, send them to the bank signed with the old ones, and put them in use once the bank has them.

    Run it again after anything went wrong: it goes on where it stopped, with the same keys. The old ones are at work until the
    bank has the new ones, and stay in the key store."""
    from channels.channel import ChannelError
    from gateway.cli.onboarding_keys import next_versions, own_keys, put_in_use

    kind: ChangeOrder | None = next((known for known in _orders() if known == order), None)
    if kind is None or bank_has not in {None, "old", "new"}:
        raise CommandFailed("--order is PUB, HCA or HCS; --bank-has is old or new", USAGE)
    configuration = loaded(config)
    profile = ebics_profile(configuration, connection)

    async def go() -> "InForce":
        from channels.ebics.key_change import InForce, KeyChange

        async with access_channel(configuration, connection) as channel:
            changing = channel.changing
            found = await changing.found()
            if found is None and not (give_up or bank_has):
                old, new = next_versions(
                    profile,
                    configuration.directory,
                    KeyChange(order=kind).replaces,
                    organisation=configuration.connections[connection].initiating_party,
                    by=by,
                    days=CERTIFICATE_DAYS,
                )
                found = await changing.begin(kind, old=old, new=new)
            if found is None:
                raise CommandFailed(f"{connection}: no change of keys is under way")
            if bank_has:
                in_force = await changing.told(InForce(bank_has))
            else:
                in_force = found.change.in_force if give_up else await changing.run()
            if in_force is InForce.NEW:
                put_in_use(found.stands.new, configuration.directory, by=by)
            if in_force is InForce.NEW or give_up:
                await changing.close()
            return in_force

    asked: dict[str, Any] = {"order": kind, "bank_has": bank_has, "give_up": give_up}
    with told("connection.keys_changed", connection, near=config, config=config, by=by, **asked) as line:
        try:
            in_force = run(go).value
        except ChannelError as problem:
            raise CommandFailed(f"{problem}. Nothing is lost: run this again, and it goes on with the same keys") from None
        line.update(in_force=in_force, keys=own_keys(profile, configuration.directory))
    english, chinese = _IN_FORCE[in_force]
    _say(connection, {"in_force": in_force, "given_up": give_up}, english, chinese, as_json=as_json)
    if in_force == "old" and not give_up:
        raise typer.Exit(PROBLEMS)


def lock(
    connection: Id,
    *,
    config: Config,
    user: Annotated[
        str | None,
        typer.Option("--user", help="The EBICS UserID that is locked, as confirmation. Absent: asked for.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Lock our own access at the bank at once (SPR). Only the bank unlocks it, and then new keys are due."""
    from channels.channel import ChannelError

    configuration = loaded(config)
    profile = ebics_profile(configuration, connection)
    if user is None:
        out().print(f"{profile.user_id} at {profile.host_id} can give no orders until the bank has reset it.", markup=False)
        out().print(f"{profile.user_id} 在银行重置之前将无法再提交任何指令。", markup=False)
    typed = user or typer.prompt("Type the UserID to lock it / 请输入用户号以确认锁定")
    if typed != profile.user_id:
        raise CommandFailed(f"{typed}: is not the user of {connection}; nothing was sent", USAGE)

    async def go() -> bool:
        async with access_channel(configuration, connection) as channel:
            return await channel.locking.lock()

    with told("connection.locked", connection, near=config, config=config) as line:
        try:
            locked = run(go)
        except ChannelError as problem:
            raise CommandFailed(f"{problem}. Telephone the bank if the access must be locked at once") from None
        line["locked_at_bank"] = locked
    english, chinese = _LOCKED if locked else _LOCK_OPEN
    _say(connection, {"locked_at_bank": locked}, english, chinese, as_json=as_json)
    if not locked:
        raise typer.Exit(PROBLEMS)


def begin_anew(
    connection: Id,
    *,
    config: Config,
    reset: Annotated[bool, typer.Option("--bank-has-reset", help="The bank said that it has reset the access.")] = False,
    by: By = None,
    as_json: Json = False,
) -> None:
    """After the bank has reset a locked access: new keys, and onboarding from its beginning."""
    from channels.channel import ChannelError
    from channels.ebics.key_change import KeyChange
    from gateway.cli.onboarding_keys import next_versions, own_keys, put_in_use

    configuration = loaded(config)
    profile = ebics_profile(configuration, connection)
    if not reset:
        raise CommandFailed("give --bank-has-reset once the bank has said so: until then it knows the present keys", USAGE)

    async def go() -> None:
        async with access_channel(configuration, connection) as channel:
            await channel.locking.begin_anew()

    with told("connection.begun_anew", connection, near=config, config=config, by=by) as line:
        _, new = next_versions(
            profile,
            configuration.directory,
            KeyChange(order="HCS").replaces,
            organisation=configuration.connections[connection].initiating_party,
            by=by,
            days=CERTIFICATE_DAYS,
        )
        put_in_use(new, configuration.directory, by=by)
        line["keys"] = own_keys(profile, configuration.directory)
        try:
            run(go)
        except ChannelError as problem:
            raise CommandFailed(str(problem)) from None
    tell(configuration, connection, as_json=as_json)


def _orders() -> tuple[Literal["PUB", "HCA", "HCS"], ...]:
    return ("PUB", "HCA", "HCS")


def _say(connection: str, facts: dict[str, Any], english: str, chinese: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"connection": connection, **facts, "text_en": english, "text_zh": chinese})
        return
    for line in (f"{connection}:", f"  {english}", f"  {chinese}"):
        out().print(line, markup=False)
