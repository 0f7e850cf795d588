"""CIB 兴业银行: what its codes mean, its settings, and its rules.

Source: CIB, interface document of 银企直联 (FOX), V4.0.4: the envelope, XFERTRNRQ, batches; its appendix 1 is
the complete table of XFERPRCCODE.
"""

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field

from formats.dialects.dialect import DialectSettings
from formats.dialects.facts import Facts
from formats.dialects.looks import payment_rule
from formats.dialects.rails import Limits, Rail, rail_of
from formats.dialects.tables import StatusTable
from formats.model import PaymentTerms
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.rule import HERE, NOTHING, Findings, Pack, Rule, Setting
from formats.rules.walk import is_day

BANK_CLASS: Final = "309"
DOCUMENT: Final = "CIB 银企直联 interface document V4.0.4"
BATCH_MAX: Final = 100

TABLE: Final = StatusTable(
    bank="cib",
    settled={"PAYOUT": ("Paid.", "已付款")},
    rejected={
        "FAIL": ("The payment failed.", "交易失败"),
        "CANCEL": ("Cancelled.", "已撤销"),
        "EXPIRED": ("Expired before it was approved or executed.", "已过期"),
    },
    pending={
        "PENDING": ("The bank does not know yet; ask again after 15 minutes.", "结果未知，请 15 分钟后查询"),
        "AUDITING": ("Waits for approval by the customer in the bank's e-banking.", "待企业网银审批"),
        "WAIT_FOR_AUDIT": (
            "Waits for approval by the bank; after half a working day call the branch.",
            "待银行审批，半个工作日后请联系网点",
        ),
        "SEND_BACK": ("Sent back by an approver.", "审批退回"),
        "AUDITED": ("Approved, and runs by itself on its day.", "已审批，到期自动执行"),
        "PROCESSING": ("Being processed.", "处理中"),
        "PART_PAYOUT": (
            "A part of the batch was paid, and the bank does not say which: look at the statement.",
            "批量部分成功，银行未返回明细，请核对对账单",
        ),
    },
    others={
        "0": (
            "The request was processed; what became of the payment stands in XFERPRCCODE.",
            "请求已处理，付款结果以 XFERPRCCODE 为准",
        ),
        "15500": ("The sign-on failed: customer number, user or password.", "登录失败：客户号、用户或密码有误"),
    },
)

Value = Annotated[str, Field(pattern=r"^[^<>&\s]+$")]


class CibSettings(DialectSettings):
    """The `[bank_settings]` of a connection to CIB."""

    customer_id: Annotated[Value, Field(max_length=10)] = Field(
        examples=["1000000000"], description="CID, the customer number of the e-banking | 企业网银客户号（CID）"
    )
    user_id: Annotated[Value, Field(max_length=20)] = Field(
        examples=["gw01"], description="USERID, the user that signs on | 登录用户（USERID）"
    )
    app_version: str = Field(default="0100", pattern=r"^\d{4}$", description="APPVER of the sign-on | 登录报文 APPVER")
    ibps_cap: Decimal = Field(
        default=Decimal(50_000),
        gt=0,
        description="Most yuan of one fast transfer (PMTMODE SUPER); the bank's document says 50000, which is old"
        " | 超级网银单笔上限（元）；银行文档为 50000，请与银行确认",
    )
    name_width: Literal[50, 60] = Field(
        default=50, description="Bytes of the payee's name; the document says 50, and 60 for batches | 收款人名称字节数"
    )
    purpose_width: Literal[30, 60] = Field(
        default=30, description="Bytes of PURPOSE; the document says 60, its appendix 30 | 用途字节数，正文 60、附录 30"
    )
    dashed_dates: bool = Field(default=True, description="DTDUE, DTSTART, DTEND as 2026-01-05; false: 20260105 | 日期是否带横线")
    empty_elements: bool = Field(
        default=False,
        description="Write the payee's elements that have no value as empty ones; false: leave them out"
        " | 收款方无值节点是否以空节点上送",
    )
    transaction_type: Literal["0", "1", "2"] = Field(
        default="0", description="TRNTYPE of statement queries that asks for every line | 明细查询 TRNTYPE（须为全部明细）"
    )
    select_type: Literal["", "0", "1", "2"] = Field(
        default="", description="SELTYPE of statement queries; empty: left out | 明细查询 SELTYPE，空为不上送"
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(),
        description="STATUS/CODE by which the bank says in a status query that it does not know the payment; no failure by itself"
        " | 查询返回“无此交易”的代码，本身不视为失败",
    )
    batch_booking: Literal["0", "1"] = Field(
        default="1", description="BIZTYPE of batches: 0 one booking in all, 1 one a payment | 批量记账方式：0 汇总，1 逐笔"
    )
    batch_purpose: str = Field(
        default="批量付款",
        min_length=1,
        max_length=15,
        pattern=r"^[^<>&|]+$",
        description="PURPOSE of a batch whose payments have several | 批内用途不一致时批次的 PURPOSE",
    )
    batch_size_unit: Literal["lines", "bytes"] = Field(
        default="lines", description="What SIZE of a batch counts | 批量 SIZE 的单位：行数或字节数"
    )


def _later(terms: PaymentTerms, _limit: int, setting: Setting) -> Findings:
    day = terms.requested_execution_date
    return HERE if is_day(day) and day > setting.on else NOTHING


def packs_of(settings: CibSettings) -> tuple[Pack, ...]:
    """The rules as the settings make them."""
    limits = Widths(
        payer_account=18,
        payer_name=50,
        payee_account=32,
        payee_name=settings.name_width,
        bank_name=50,
        purpose=settings.purpose_width,
        remark=50 if settings.batch else 60,
        city=30,
    )
    own = widths("cib", f"{DOCUMENT}, XFERTRNRQ", limits, forbidden="<>&|" if settings.batch else "<>&")
    more = (
        _party_rules()
        + _amount_rules(Limits(beps=settings.beps_cap, ibps=settings.ibps_cap))
        + (_batch_rules() if settings.batch else ())
    )
    return DOMESTIC, Pack(name="cib", rules=(*own.rules, *more))


def _rule(**words: object) -> Rule:
    return payment_rule(BANK_CLASS, f"{DOCUMENT}, XFERTRNRQ", **words)  # type: ignore[arg-type]


def _party_rules() -> tuple[Rule, ...]:
    return (
        _rule(
            id="cib.bank-name",
            field="creditor_agent.name",
            message_en="For a payee at another bank the name of that bank's branch (BANKDESC) is required.",
            message_zh="跨行付款必须填写收款行名称（BANKDESC）。",
            broken=lambda facts, _: not facts.own_bank and not facts.bank_name,
        ),
        _rule(
            id="cib.own-bank",
            field="creditor_agent.name",
            message_en="The payee's bank is called 兴业银行, and the payment says another bank: give its bank code (309…), or"
            " cn.own_bank = yes.",
            message_zh="收款行名称含“兴业银行”但标记为他行；请填写 309 开头的联行号，或 cn.own_bank = yes。",
            broken=lambda facts, _: not facts.own_bank and "兴业银行" in facts.bank_name,
        ),
        _rule(
            id="cib.purpose",
            field="remittance_information.unstructured",
            message_en="The purpose (用途, the first line of the remittance information) is required.",
            message_zh="用途（附言第一行）必填。",
            broken=lambda facts, _: not facts.purpose,
        ),
        _rule(
            id="cib.city",
            field="supplementary.cn.city",
            severity="warning",
            message_en="The document does not call the city of the payee's bank optional; without it the bank may refuse.",
            message_zh="银行文档未将收款行城市标为可选，缺失可能被拒。",
            broken=lambda facts, _: not facts.own_bank and not facts.city,
        ),
    )


def _amount_rules(limits: Limits) -> tuple[Rule, ...]:
    return (
        _rule(
            id="cib.amount-min",
            field="amount",
            message_en="The bank takes amounts above 0.01 yuan only.",
            message_zh="金额必须大于 0.01 元。",
            broken=lambda _, amount: amount <= Decimal("0.01"),
        ),
        _rule(
            id="cib.amount-max",
            field="amount",
            message_en="An amount has at most 15 digits before the point.",
            message_zh="金额整数部分最多 15 位。",
            broken=lambda _, amount: amount >= Decimal(10) ** 15,
        ),
        _rule(
            id="cib.super-bank-code",
            field="creditor_agent.clearing_system_member_id",
            message_en="A fast transfer (IBPS) needs the bank code of the payee's bank. Urgent payments up to its cap are ones.",
            message_zh="超级网银付款（含限额内的加急付款）必须填写收款行联行号。",
            broken=lambda facts, amount: is_super(facts, amount, limits) and not facts.bank_code,
        ),
    )


def _batch_rules() -> tuple[Rule, ...]:
    source = f"{DOCUMENT}, ASYNBATCHTRSFRTRNRQ"
    return (
        payment_rule(
            BANK_CLASS,
            source,
            lambda facts, _: facts.rail == Rail.IBPS,
            id="cib.batch-super",
            field="supplementary.cn.rail",
            message_en="A batch has no place for fast transfers (IBPS). Send them by a connection without batch.",
            message_zh="批量付款不支持超级网银，请使用未启用批量的连接。",
        ),
        Rule(
            id="cib.batch-day",
            source=source,
            parts=("terms",),
            field="requested_execution_date",
            message_en="A batch has no place for a later day. Submit the payment on its day, or by a connection without batch.",
            message_zh="批量付款不支持预约日期，请在当日提交或使用未启用批量的连接。",
            check=_later,
        ),
    )


def is_super(facts: Facts, amount: Decimal, limits: Limits) -> bool:
    """Whether a payment goes out as PMTMODE SUPER: the one place that chooses CIB's way of carrying."""
    return rail_of(facts, amount, limits) is Rail.IBPS
