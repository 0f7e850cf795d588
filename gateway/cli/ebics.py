"""`bankgate ebics waiting | show | sign | cancel`: orders that wait at an EBICS bank for signatures (EDS).

A group of its own beside `connections`: it is about orders, and what it does pays. Nothing is signed blindly: `sign` wants the
digest and the totals that `show` told, typed or given as options, and the bank is asked once more for both; of an order whose
payees the bank verified it wants the result too.
"""

from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
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
    from gateway.parked_payees import Payees

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Orders at an EBICS bank that wait for signatures.")
OrderId = Annotated[str, typer.Argument(help="The number that the bank gave the order.", show_default=False)]
Digest = Annotated[str | None, typer.Option(help="The digest that `show` told, in hex. Absent: asked for.", show_default=False)]
Totals = Annotated[
    str | None,
    typer.Option(help='What it pays as `show` told it, such as "2 payments, 3.30 EUR". Absent: asked for.', show_default=False),
]

PayeesSeen = Annotated[
    str | None,
    typer.Option(
        "--payees",
        help='What the bank found of the payees as `show` told it, such as "2 match, 1 no match". Absent: asked for.',
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of an order before anything is done about it. `payees`: None where they are not known here; `verified`:
    whether the bank verifies them before the release."""

    content: "Content"
    pays: "Pays | None"
    origin: "Origin"
    verified: bool
    payees: "Payees | None"

    @property
    def payees_words(self) -> str:
        """What a person confirms of the payees; "" where there is nothing to confirm."""
        if not self.verified:
            return ""
        return self.payees.words if self.payees else "not known here"


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
    seen = _looked_at(configuration, connection, order)
    _print(seen, as_json=as_json)
    if seen.content.data is not None and not seen.content.proved:
        raise typer.Exit(PROBLEMS)


@app.command()
def sign(
    connection: Id,
    order: OrderId,
    *,
    config: Config,
    digest: Digest = None,
    totals: Totals = None,
    payees: PayeesSeen = None,
    as_json: Json = False,
) -> None:
    """Sign an order (HVE). With enough signatures the bank executes it; so an order whose payees were verified is released."""
    _do("sign", loaded(config), connection, order, typed=(digest, totals, payees), as_json=as_json)


@app.command()
def cancel(
    connection: Id, order: OrderId, *, config: Config, digest: Digest = None, totals: Totals = None, as_json: Json = False
) -> None:
    """Cancel an order that waits (HVS): it is not executed."""
    _do("cancel", loaded(config), connection, order, typed=(digest, totals, None), as_json=as_json)


# ---- parts --------------------------------------------------------------------------------------------------------------


def _do(
    what: str,
    configuration: Configuration,
    connection: str,
    order: str,
    *,
    typed: tuple[str | None, str | None, str | None],
    as_json: bool,
) -> None:
    """`typed`: digest, totals and the result of the payees' verification, as far as they came as options."""
    seen = _looked_at(configuration, connection, order)
    digest, totals, payees = typed
    content, signs = seen.content, what == "sign"
    if digest is None or totals is None or (signs and seen.verified and payees is None):
        _print(seen, as_json=False)
    _must_be_seen(seen, signs=signs)
    expected = seen.pays.words if seen.pays else ""
    given = digest or typer.prompt("Digest that you have seen / 请输入所核对的摘要")
    counted = totals or (typer.prompt("What it pays, as shown / 请输入所示金额合计") if expected else "")
    if "".join(given.split()).lower() != content.digest.hex():
        raise CommandFailed("the digest is not that of the order as the bank has it: nothing was done")
    if " ".join(counted.split()) != expected:
        raise CommandFailed(f"the order pays {expected}, not {counted}: nothing was done")
    if signs and seen.verified:
        found = payees or typer.prompt("What the bank found of the payees, as shown / 请输入所示收款人核验结果")
        if " ".join(found.split()) != seen.payees_words:
            raise CommandFailed(f"the bank found of the payees: {seen.payees_words}, not {found}: nothing was done")

    async def go() -> str:
        async with access_channel(configuration, connection) as channel:
            act = channel.parked.sign if signs else channel.parked.cancel
            return (await act(order, content.digest)).value

    home = configuration.directory
    facts: dict[str, Any] = {"connection": connection, "digest": content.digest.hex(), "pays": expected}
    if signs and seen.verified:
        facts["payees"] = seen.payees_words
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


def _must_be_seen(seen: Seen, *, signs: bool) -> None:
    """Raises `CommandFailed` for what nobody can have looked at."""
    if signs and seen.pays is None:
        raise CommandFailed("what this order pays cannot be seen: it is not signed here / 无法查看金额，不予签署")
    if seen.origin.ours and not seen.origin.matches:
        raise CommandFailed("we sent this order, and what we noted has another digest: sign nothing, ask the bank")
    if signs and seen.verified and seen.payees is not None and not seen.payees.complete:
        raise CommandFailed(
            "the bank has not told here yet what it found of all payees: wait for its report (pain.002), or release the order in"
            " the bank's own application / 银行尚未返回全部收款人核验结果，请等待报告，或在银行端放行"
        )


def _looked_at(configuration: Configuration, connection: str, order: str) -> Seen:
    from gateway.parked_orders import origin, pays
    from gateway.parked_payees import asks_for_payees, payees_of

    profile = ebics_profile(configuration, connection)

    async def go() -> Seen:
        async with access_channel(configuration, connection) as channel:
            content = await channel.parked.content(order)
        async with open_service_store(configuration) as store:
            known = await origin(store, profile, connection, content)
            verified = asks_for_payees(content)
            payees = await payees_of(store, known) if verified else None
            return Seen(content, pays(content), known, verified, payees)

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


def _print(seen: Seen, *, as_json: bool) -> None:
    content, known = seen.content, seen.origin
    facts = {
        **_row(content.order),
        "digest": content.digest.hex(),
        "signers": [f"{signer.user_id} ({signer.level or '-'})" for signer in content.state.signers],
        "pays": seen.pays.words if seen.pays else None,
        "from_the_data_that_is_signed": content.proved,
        "sent_by_this_gateway": known.ours,
        "matches_what_was_sent": known.matches if known.ours else None,
        "payees": seen.payees_words or None,
        "doubtful_payees": [asdict(one) for one in seen.payees.doubtful] if seen.payees else [],
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
    lines += _payees_lines(seen)
    lines.append(f"  signed by / 已签署: {', '.join(facts['signers']) or '-'}")
    lines.append(f"  the bank's note / 银行说明: {facts['note_of_the_bank']}")
    lines.append(f"  digest / 摘要: {facts['digest']}")
    for line in lines:
        out().print(line, markup=False)


def _payees_lines(seen: Seen) -> list[str]:
    """What the bank found of the payees, where it verifies them; those that are no plain match one by one."""
    if not seen.verified:
        return []
    lines = [f"  payees / 收款人核验: {seen.payees_words}"]
    for one in seen.payees.doubtful if seen.payees else ():
        said = f" ({one.bank_text})" if one.bank_text else ""
        lines.append(f"    {one.payment_reference}: {one.status} {one.text_en}{said} / {one.text_zh}")
    return lines
