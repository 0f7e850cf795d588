"""SPDB (浦发银行, 银企直连): the customer's particulars, the rules on its payments, and what its codes mean.

Our facts on SPDB's packets give no widths: those that the bank states are settings.
"""

from decimal import Decimal
from typing import Final, Literal

from pydantic import Field

from formats.dialects.dialect import DialectSettings
from formats.dialects.facts import Facts
from formats.dialects.looks import payment_rule
from formats.dialects.tables import StatusTable
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import needs_name_or_code, no_remark
from formats.rules.rule import Pack

BANK_CLASS: Final = "310"
SOURCE: Final = "SPDB 银企直连, transaction 8800"
ACCEPTED: Final = "AAAAAAA"


class SpdbSettings(DialectSettings):
    """`[bank_settings]` of a connection to SPDB."""

    customer_number: str = Field(
        min_length=1,
        max_length=30,
        pattern=r"^[A-Za-z0-9]+$",
        examples=["2000000001"],
        description="masterID: the customer number | 企业客户号 masterID",
    )
    authorising_customer: str = Field(
        default="",
        max_length=30,
        pattern=r"^[A-Za-z0-9]*$",
        description="authMasterID of payments; empty where there is none | 授权客户号 authMasterID，无则为空",
    )
    yqzl_number: str = Field(
        default="",
        max_length=40,
        pattern=r"^[A-Za-z0-9]*$",
        description="yqzlNo of the packet's head; empty: left out | 报文头 yqzlNo，空则不传",
    )
    declared_encoding: Literal["gb2312", "GBK"] = Field(
        default="gb2312", description="Encoding in the XML declaration; the texts are GBK | XML 声明中的编码，内容按 GBK"
    )
    list_name: str = Field(
        default="acctList",
        min_length=1,
        max_length=30,
        pattern=r"^[A-Za-z0-9]+$",
        description="Attribute name of lists in requests (sources differ) | 请求中 lists 的 name 属性（资料不一）",
    )
    date_form: Literal["yyyyMMdd", "yyyy-MM-dd"] = Field(
        default="yyyyMMdd", description="Dates in bodies (sources differ) | 报文体日期格式（资料不一）"
    )
    time_stamp_separator: Literal["-", "/"] = Field(
        default="-", description="Between year, month and day of timeStamp | timeStamp 日期分隔符"
    )
    packet_digits: int = Field(
        default=20, ge=14, le=20, description="Digits of packetID, which is unique in a day | packetID 位数（当日唯一）"
    )
    first_number: Literal[0, 1] = Field(default=1, description="beginNumber of the first record | 首条记录序号 beginNumber")
    status_flag: Literal["", "0", "1"] = Field(
        default="",
        description="singleOrBatchFlag of 8804: 0 single, 1 batch; empty: as `batch` | 8804 单笔/批量标志；空则随 batch 设置",
    )
    optional_elements: Literal["empty", "omitted"] = Field(
        default="omitted",
        description="Elements without a value: written empty, or left out | 无值的可选节点：写空节点，或省略",
    )
    remit_location: Literal["0", "1"] = Field(
        default="1",
        description="remitLocation where nobody said it: 0 same city, 1 other | 未说明是否同城时的 remitLocation：0 同城，1 异地",
    )
    payment_purpose: str = Field(
        default="", max_length=40, description="payPurpose; empty: as other optional elements | payPurpose 的值；空则同可选节点"
    )
    payments_per_request: int = Field(
        default=20, ge=1, le=10_000, description="Most payments in one 8800, with batch on | 启用批量时单个 8800 最多笔数"
    )
    scheduled_days: int = Field(
        default=0,
        ge=0,
        le=365,
        description="How many days ahead bespeakDate may lie; 0: only today | 预约付款最多提前天数（bespeakDate），0 为仅当日",
    )
    note_bytes: int | None = Field(
        default=None, ge=1, description="Width of note in GBK bytes, as the bank states it | note 宽度（GBK 字节），以银行为准"
    )
    name_bytes: int | None = Field(
        default=None, ge=1, description="Width of names in GBK bytes, as the bank states it | 户名宽度（GBK 字节），以银行为准"
    )
    bank_name_bytes: int | None = Field(
        default=None, ge=1, description="Width of payeeBankName in GBK bytes | 收款行名称宽度（GBK 字节），以银行为准"
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(),
        description='returnCode of 8804 for "no such record" (none is published) | 表示“无此记录”的 returnCode（公开资料未列）',
    )


TABLE: Final = StatusTable(
    bank="spdb",
    settled={"4": ("Completed: the payment succeeded.", "处理成功，交易完成。")},
    rejected={
        "8": ("Refused: the payment failed.", "交易被拒绝，付款失败。"),
        "9": ("Cancelled.", "交易已撤销。"),
    },
    pending={
        "0": ("To be completed.", "待补录。"),
        "1": ("To be booked.", "待记账。"),
        "2": ("To be checked.", "待复核。"),
        "3": ("To be authorised.", "待授权。"),
        "A": ("The bank does not know; it is asked again.", "状态未知，将再次查询。"),
    },
    others={
        ACCEPTED: ("The packet was accepted; that says nothing about the payment's end.", "报文已受理，不代表付款成功。"),
        "EYY8990": ("A packetID that was used today.", "当日 packetID 重复。"),
        "EYY9994": ("The signature does not hold.", "验签失败。"),
        "EYY8995": ("Over a limit.", "超过限额。"),
        "EYY8998": ("Over a limit.", "超过限额。"),
    },
)
"""8804, transStatus (two sources); the codes of packets."""


def _rail(facts: Facts, _amount: Decimal) -> bool:
    return facts.urgent or bool(facts.rail)


def packs_of(settings: SpdbSettings) -> tuple[Pack, ...]:
    """The rules, with the widths that the settings state."""
    limits = Widths(payee_name=settings.name_bytes, purpose=settings.note_bytes, bank_name=settings.bank_name_bytes)
    own = Pack(name="spdb", rules=(*widths("spdb", SOURCE, limits).rules, *_RULES))
    return DOMESTIC, own


_RULES: Final = (
    needs_name_or_code("spdb", f"{SOURCE}: payeeBankName, payeeBankNo", BANK_CLASS),
    no_remark("spdb", f"{SOURCE}: note is the only text", BANK_CLASS),
    payment_rule(
        BANK_CLASS,
        f"{SOURCE}: no element says how urgent a payment is, or its rail",
        _rail,
        id="spdb.rail-unsaid",
        message_en="SPDB cannot be told that a payment is urgent, or by which rail it goes; the bank decides.",
        message_zh="浦发银行接口无法指定加急或汇路，由银行自行决定。",
        severity="warning",
    ),
)
