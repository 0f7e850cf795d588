"""`bankgate connections describe`: what an EBICS bank says about itself and our access, in plain words."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.onboarding import Id, access_channel, ebics_profile
from gateway.cli.output import CommandFailed, Json, out, print_json, run
from gateway.cli.serve import Config, loaded

if TYPE_CHECKING:  # imported by the command that needs them
    from channels.ebics.describing import Description
    from channels.ebics.order_data import CustomerData, OrderRight
    from channels.ebics.protocol import Step


def register(app: typer.Typer) -> None:
    """Adds the command of this file."""
    app.command("describe")(describe)


def describe(
    connection: Id,
    *,
    config: Config,
    days: Annotated[int, typer.Option(help="So many days of the bank's protocols.", min=0, max=90)] = 7,
    as_json: Json = False,
) -> None:
    """Ask the bank about itself, its users, what may be ordered and fetched, and what happened (HPD, HTD, HKD, HAA, HAC, PTK)."""
    from channels.channel import ChannelError

    configuration = loaded(config)
    ebics_profile(configuration, connection)

    async def go() -> "Description":
        async with access_channel(configuration, connection) as channel:
            return await channel.describe(days)

    try:
        found = run(go)
    except ChannelError as problem:
        raise CommandFailed(str(problem)) from None
    if as_json:
        print_json({"connection": connection, **asdict(found)})
        return
    for line in lines(found):
        out().print(line, markup=False)


def lines(found: "Description") -> list[str]:
    """In English and Chinese."""
    told: list[str] = []
    bank = found.bank
    if bank is not None:
        told.append(f"bank / 银行: {bank.institute} ({bank.host_id or '-'}), {', '.join(bank.urls)}")
        told.append(f"  versions / 版本: {', '.join(bank.protocols)}; signatures / 签名: {', '.join(bank.signatures)}")
        told.append(f"  broken uploads can be recovered / 支持断点续传: {_yes(bank.recovery)}")
    if found.user is not None:
        told.append("our user / 我方用户 (HTD):")
        told += _customer(found.user)
    if found.customer is not None:
        told.append("all users of the customer / 客户全部用户 (HKD):")
        told += _customer(found.customer)
    if found.available is not None:
        told.append(f"to be fetched now / 当前可下载 (HAA): {', '.join(map(_right, found.available)) or '-'}")
    if found.protocol is not None:
        told.append("what happened / 处理记录 (HAC):")
        told += [f"  {_step(step)}" for step in found.protocol] or ["  -"]
    if found.text:
        told.append("the bank's text protocol / 银行文本记录 (PTK):")
        told += [f"  {line}" for line in found.text.splitlines()]
    told += [f"not told / 银行未提供: {words}" for _, words in found.refused]
    return told


def _customer(data: "CustomerData") -> list[str]:
    told = [f"  accounts / 账户数: {data.accounts}"]
    for user in data.users:
        told.append(f"  {user.user_id} {user.name or ''} (status / 状态 {user.status or '-'})")
        told += [f"    {right.level or '-'}: {_right(right)}" for right in user.permissions]
    return told


def _right(right: "OrderRight") -> str:
    service = right.service.words() if right.service else ""
    return " ".join(part for part in (*right.order_types, service) if part)


def _step(step: "Step") -> str:
    parts: tuple[Any, ...] = (step.at, step.order_id, step.order_type, step.user_id, step.action, step.reason, *step.additional)
    return " ".join(str(part) for part in parts if part)


def _yes(value: bool) -> str:
    return "yes / 是" if value else "no / 否"
