"""`bankgate ebics waiting | show | sign | cancel`: orders that wait at an EBICS bank for signatures (EDS).

A group of its own beside `connections`: it is about orders, and what it does pays. Nothing is signed blindly: `sign` wants the
digest and the totals that `show` told, typed or given as options, and the bank is asked once more for both.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from gateway.cli.keys_told import told
from gateway.cli.onboarding import Id, access_channel, ebics_profile, open_service_store
from gateway.cli.output import PROBLEMS, CommandFailed, Json, out, print_json, print_table, run
from gateway.cli.serve import Config, loaded
from gateway.config import Configuration

if TYPE_CHECKING:  # imported by the command that needs them
    from channels.ebics.order_data import ParkedOrder
    from channels.ebics.parked import Content
    from gateway.parked_orders import Origin, Pays

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Orders at an EBICS bank that wait for signatures.")
OrderId = Annotated[str, typer.Argument(help="The number that the bank gave the order.", show_default=False)]
Digest = Annotated[str | None, typer.Option(help="The digest that `show` told, in hex. Absent: asked for.", show_default=False)]
Totals = Annotated[
    str | None,
    typer.Option(help='What it pays as `show` told it, such as "2 payments, 3.30 EUR". Absent: asked for.', show_default=False),
]

_DONE: Final = {
    "sign": {
        "done": ("signed", "已签署"),
        "already": ("our signature was there already", "此前已签署"),
        "open": (
            "the signature went out and was not answered: run this again; it counts once at the bank",
            "签名已发出但未得到答复：请再次运行，银行只计一次",
        ),
    },
    "cancel": {
        "done": ("cancelled", "已撤销"),
        "already": ("was cancelled already", "此前已撤销"),
        "open": ("the cancellation went out and was not answered: look again", "撤销已发出但未得到答复：请再次查看"),
    },
}


@app.command()
def waiting(connection: Id, *, config: Config, as_json: Json = False) -> None:
    """List the orders that wait for signatures (HVZ, or HVU)."""
    configuration = loaded(config)
    ebics_profile(configuration, connection)

    async def go() -> "tuple[ParkedOrder, ...]":
        async with access_channel(configuration, connection) as channel:
            return await channel.parked.waiting()

    rows = [_row(order) for order in _asked(go)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        out().print("no order waits for signatures / 没有待签署的指令", markup=False)
        return
    columns = ("order", "kind", "by", "signatures", "mine to sign", "bytes", "digest")
    print_table(
        columns,
        [
            (
                r["order"],
                r["kind"],
                r["by"],
                f"{r['done']} of {r['required']}",
                "yes" if r["ready"] else "no",
                r["bytes"],
                r["digest"],
            )
            for r in rows
        ],
    )


@app.command()
def show(connection: Id, order: OrderId, *, config: Config, as_json: Json = False) -> None:
    """Show what an order pays, who signed it, and the digest that a signature is over (HVD, HVT)."""
    configuration = loaded(config)
    content, found, known = _looked_at(configuration, connection, order)
    _print(content, found, known, as_json=as_json)
    if content.data is not None and not content.proved:
        raise typer.Exit(PROBLEMS)


@app.command()
def sign(
    connection: Id, order: OrderId, *, config: Config, digest: Digest = None, totals: Totals = None, as_json: Json = False
) -> None:
    """Sign an order (HVE). With enough signatures the bank executes it."""
    _do("sign", loaded(config), connection, order, digest=digest, totals=totals, as_json=as_json)


@app.command()
def cancel(
    connection: Id, order: OrderId, *, config: Config, digest: Digest = None, totals: Totals = None, as_json: Json = False
) -> None:
    """Cancel an order that waits (HVS): it is not executed."""
    _do("cancel", loaded(config), connection, order, digest=digest, totals=totals, as_json=as_json)


# ---- parts --------------------------------------------------------------------------------------------------------------


def _do(
    what: str,
    configuration: Configuration,
    connection: str,
    order: str,
    *,
    digest: str | None,
    totals: str | None,
    as_json: bool,
) -> None:
    content, found, known = _looked_at(configuration, connection, order)
    if digest is None or totals is None:
        _print(content, found, known, as_json=False)
    if found is None and what == "sign":
        raise CommandFailed("what this order pays cannot be seen: it is not signed here / 无法查看金额，不予签署")
    if known.ours and not known.matches:
        raise CommandFailed("we sent this order, and what we noted has another digest: sign nothing, ask the bank")
    expected = found.words if found else ""
    typed = digest or typer.prompt("Digest that you have seen / 请输入所核对的摘要")
    counted = totals or (typer.prompt("What it pays, as shown / 请输入所示金额合计") if expected else "")
    if "".join(typed.split()).lower() != content.digest.hex():
        raise CommandFailed("the digest is not that of the order as the bank has it: nothing was done")
    if " ".join(counted.split()) != expected:
        raise CommandFailed(f"the order pays {expected}, not {counted}: nothing was done")

    async def go() -> str:
        async with access_channel(configuration, connection) as channel:
            act = channel.parked.sign if what == "sign" else channel.parked.cancel
            return (await act(order, content.digest)).value

    home = configuration.directory
    facts: dict[str, Any] = {"connection": connection, "digest": content.digest.hex(), "pays": expected}
    with told("bank_order.signed" if what == "sign" else "bank_order.cancelled", order, near=home, config=home, **facts) as line:
        done = _asked(go)
        line["result"] = done
    english, chinese = _DONE[what][done]
    if as_json:
        shown = {"connection": connection, "order": order, "digest": content.digest.hex(), "result": done}
        print_json({**shown, "text_en": english, "text_zh": chinese})
    else:
        out().print(f"{order}: {english} / {chinese}", markup=False)
    if done == "open":
        raise typer.Exit(PROBLEMS)


def _looked_at(configuration: Configuration, connection: str, order: str) -> "tuple[Content, Pays | None, Origin]":
    from gateway.parked_orders import origin, pays

    profile = ebics_profile(configuration, connection)

    async def go() -> "tuple[Content, Pays | None, Origin]":
        async with access_channel(configuration, connection) as channel:
            content = await channel.parked.content(order)
        async with open_service_store(configuration) as store:
            return content, pays(content), await origin(store, profile, connection, content)

    return _asked(go)


def _asked(go: "Callable[[], Coroutine[Any, Any, T]]") -> "T":
    from channels.channel import ChannelError

    try:
        return run(go)
    except ChannelError as problem:
        raise CommandFailed(str(problem)) from None


def _row(order: "ParkedOrder") -> dict[str, Any]:
    service = order.service.words() if order.service else None
    return {
        "order": order.order_id,
        "kind": service or " ".join(part for part in (order.order_type, order.file_format) if part),
        "by": f"{order.partner_id}/{order.user_id}",
        "done": order.done,
        "required": order.required,
        "ready": order.ready,
        "bytes": order.size,
        "digest": None if order.digest is None else order.digest.hex(),
        "signers": [f"{signer.user_id} ({signer.level or '-'})" for signer in order.signers],
    }


def _print(content: "Content", found: "Pays | None", known: "Origin", *, as_json: bool) -> None:
    facts = {
        **_row(content.order),
        "digest": content.digest.hex(),
        "signers": [f"{signer.user_id} ({signer.level or '-'})" for signer in content.state.signers],
        "pays": found.words if found else None,
        "from_the_data_that_is_signed": content.proved,
        "sent_by_this_gateway": known.ours,
        "matches_what_was_sent": known.matches if known.ours else None,
        "note_of_the_bank": content.state.display.decode("utf-8", "replace"),
    }
    if as_json:
        print_json(facts)
        return
    lines = [f"order {facts['order']}: {facts['kind']}, by {facts['by']}, {facts['done']} of {facts['required']} signatures"]
    lines.append(f"  pays / 金额: {facts['pays'] or 'cannot be seen / 无法查看'}")
    if content.data is None:
        lines.append("  this is what the bank tells; it gave no order data to prove it / 仅为银行告知，未提供原始数据可核实")
    elif content.proved:
        lines.append("  read from the order data, whose digest is the one to be signed / 读自原始数据，其摘要即待签摘要")
    else:
        lines.append("  THE ORDER DATA HAS ANOTHER DIGEST: sign nothing, ask the bank / 原始数据摘要不符：请勿签署，联系银行")
    if known.ours:
        same = "with this very digest / 摘要一致" if known.matches else "WITH ANOTHER DIGEST: sign nothing / 摘要不一致，请勿签署"
        lines.append(f"  this gateway sent it, {same}")
    else:
        lines.append("  this gateway did not send it / 非本系统发送")
    lines.append(f"  signed by / 已签署: {', '.join(facts['signers']) or '-'}")
    lines.append(f"  the bank's note / 银行说明: {facts['note_of_the_bank']}")
    lines.append(f"  digest / 摘要: {facts['digest']}")
    for line in lines:
        out().print(line, markup=False)
