"""Ping An Bank (平安银行, B2Bi 银企直联): the customer's particulars, the rules on its payments, and what its codes mean."""

from decimal import Decimal
from typing import Final, Literal

from pydantic import Field, field_validator

from formats.dialects.dialect import DialectSettings
from formats.dialects.facts import Facts
from formats.dialects.looks import payment_rule
from formats.dialects.tables import StatusTable
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import amount_digits, needs_name_or_code, no_remark
from formats.rules.rule import Pack

BANK_CLASS: Final = "307"
SOURCE: Final = "Ping An B2Bi 银企直联, transaction 4004"
ACCEPTED: Final = "000000"
RETURNED: Final = "IsBack1"
_BY_HAND_ABOVE: Final = Decimal(10_000_000)
DOUBT: Final = {
    "MA4045": ("The voucher number was used before: the bank is asked what became of it.", "凭证号重复，以查询结果为准。"),
    "GW3002": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "AFE001": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "AFE002": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "AFE003": ("The network failed.", "网络异常。"),
    "AFE004": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "E00006": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "E00007": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "E00008": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "YQ9976": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "YQ9989": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "YQ9999": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "EBLN00": ("Nobody knows what became of the request.", "结果不明，须查询。"),
    "MA9112": ("The bank is busy.", "系统繁忙。"),
    "SC6011": ("The bank is busy.", "系统繁忙。"),
    "YQ9971": ("The bank is busy.", "系统繁忙。"),
}
"""Codes of the header that are no refusal, whatever the settings say (one source)."""


class PinganSettings(DialectSettings):
    """`[bank_settings]` of a connection to Ping An Bank."""

    customer_code: str = Field(
        min_length=1,
        max_length=20,
        pattern=r"^[A-Za-z0-9]+$",
        examples=["00901025000000000001"],
        description="The customer's B2B standard code in the header | 报文头中的企业银企直联标准代码",
    )
    operator: str = Field(
        default="", max_length=5, pattern=r"^[A-Za-z0-9]*$", description="Operator in the header | 报文头中的操作员代码"
    )
    charset: Literal["gbk", "utf-8"] = Field(default="gbk", description="Encoding of bodies | 报文体编码")
    protocol: Literal["tcp", "http"] = Field(
        default="tcp", description="How the B2Bi client is reached, as the header says it | 与 B2Bi 客户端的通讯方式（报文头）"
    )
    request_code: str = Field(
        default="",
        max_length=6,
        pattern=r"^[A-Za-z0-9]*$",
        description="Return code in the header of requests; not described: blank | 请求报文头中的返回码，资料未说明，默认空格",
    )
    optional_elements: Literal["empty", "omitted"] = Field(
        default="omitted",
        description="Elements without a value: written empty, or left out | 无值的可选节点：写空节点，或省略",
    )
    city_flag: Literal["1", "2"] = Field(
        default="2",
        description="AddrFlag where nobody said it: 1 same city, 2 other | 未说明是否同城时的 AddrFlag：1 同城，2 异地",
    )
    currency_type: str = Field(
        default="",
        max_length=4,
        pattern=r"^[A-Za-z0-9]*$",
        description="CcyType of 4001; empty: as other optional elements | 4001 的 CcyType，空则同可选节点",
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(),
        description='Header code of 4005 for "no such record" (none is published) | 表示“无此记录”的返回码（公开资料未列）',
    )

    @field_validator("batch")
    @classmethod
    def _no_batch(cls, batch: bool) -> bool:
        if batch:
            raise ValueError("the fields of Ping An's batch (4018) are not known here; leave batch off")
        return batch

    @field_validator("rejected_codes")
    @classmethod
    def _no_doubt(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [code for code in codes if code in DOUBT or code in {ACCEPTED, "99"}]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} never proves a failure: these codes have to be asked about")
        return codes


TABLE: Final = StatusTable(
    bank="pingan",
    settled={"20": ("The payment succeeded.", "交易成功。")},
    rejected={"30": ("The payment failed.", "交易失败。")},
    pending={"99": ("An internal error at the bank; never final.", "银行内部错误，非终态，须再查询。")},
    returned={RETURNED: ("The payment came back after it succeeded.", "付款已退票。")},
    others={
        ACCEPTED: (
            "The request was processed; 4005 tells the end.",
            "请求受理成功，以 4005 查询结果为准。",
        )
    }
    | DOUBT,
)
"""4005, Stt and IsBack (three sources); the codes of the header."""


def _by_hand(facts: Facts, amount: Decimal) -> bool:
    return not facts.own_bank and (not facts.bank_code or amount > _BY_HAND_ABOVE)


def packs_of(settings: PinganSettings) -> tuple[Pack, ...]:
    """The rules, with the encoding of the settings."""
    limits = Widths(payer_account=14, payer_name=60, payee_account=32, payee_name=60, bank_name=60, purpose=30)
    own = Pack(name="pingan", rules=(*widths("pingan", SOURCE, limits, charset=settings.charset).rules, *_RULES))
    return DOMESTIC, own


_RULES: Final = (
    amount_digits("pingan", f"{SOURCE}: TranAmount, C(13,2), read as 13 digits with the two of the cents among them", 11),
    needs_name_or_code("pingan", f"{SOURCE}: InAcctBankNode, InAcctBankName", BANK_CLASS),
    payment_rule(
        BANK_CLASS,
        f"{SOURCE}: to other banks without InAcctBankNode, or above 10,000,000",
        _by_hand,
        id="pingan.by-hand",
        message_en="Without a bank code, or above 10,000,000, a payment to another bank is handled by hand and takes longer.",
        message_zh="跨行付款未填联行号或金额超过 1000 万时，银行将转人工处理（落地）。",
        severity="warning",
    ),
    no_remark("pingan", f"{SOURCE}: UseEx is the only text", BANK_CLASS),
)
