"""CMB 招商银行 云直联: settings, statuses and rules, as data.

Source: two independent programs against this interface (the notes of this project on CMB 云直联); widths are those of the bank's
front machine, guide 4.3.1, section on DCPAYMNT, because the cloud's own are not known. What the notes leave open is a setting.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from formats.dialects.dialect import DialectSettings
from formats.dialects.tables import StatusTable
from formats.dialects.text import gbk_length
from formats.model import CreditTransfer
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.chinese_fields import needs_purpose
from formats.rules.rule import NOTHING, Finding, Findings, Pack, Rule, Setting

BANK_CLASS: Final = "308"
"""The first three digits of the bank's 联行号 (CNAPS, bank categories)."""

ACCEPTED: Final = "SUC0000"
"""`resultcode`: the call was taken up. It says nothing of the payment."""

CLEAR_REFUSAL: Final = "CDCServer"
"""A reply that is not encrypted: the address is not on the bank's list, or the user has no right. Taken up was nothing."""

BATCH_MAX: Final = 1000
"""Beyond so many items a batch goes in several requests (ctnFlg Y), which this plugin does not send."""

_SOURCE: Final = "CMB 云直联, BB1PAYOP"
_WIDTHS: Final = "widths of DCPAYMNT, front machine guide 4.3.1"
_ADDRESS: Final = 62

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]{0,29}$")]
Branch = Annotated[str, Field(pattern=r"^[0-9]{2}$")]


class CmbCloudSettings(DialectSettings):
    """`[bank_settings]` of a connection to CMB 云直联."""

    uid: str = Field(
        default="N123456789",
        pattern=r"^[!-~]{1,16}$",
        description="Login user (UID), the same as in [seal] | 登录用户号（UID），须与 [seal] 一致",
    )
    business_mode: str = Field(
        default="00001",
        pattern=r"^[0-9A-Za-z]{1,5}$",
        description="busMod of payments (DCLISMOD lists them); without approval at the bank | 业务模式 busMod，须设为免审批",
    )
    business_code: str = Field(default="N02030", pattern=r"^N[0-9]{5}$", description="busCod of payments | 支付业务代码 busCod")
    usual_channel: Literal["G", "Q", "I"] = Field(
        default="Q",
        description="stlChn of payments that are not urgent: G normal, Q fast, I the bank's choice | "
        "非加急付款的结算通道：G 普通、Q 快速、I 智能",
    )
    branch: Branch = Field(default="75", description="Branch code of our accounts (bbknbr) | 账户开户地区代码 bbknbr")
    branches: dict[str, Branch] = Field(
        default_factory=dict, description="Branch codes of accounts elsewhere, by account | 其他地区账户的地区代码，按账号填写"
    )
    platform: str = Field(
        default="", pattern=r"^[!-~]{0,40}$", description="INSPLAT, for partners of the bank only | INSPLAT，仅合作平台使用"
    )
    statement_block: Name | None = Field(
        default=None,
        description="Block of DCTRSINF's request; none: its fields stand in the body | DCTRSINF 请求块名，空则直接放在 body",
    )
    first_sequence: Literal["0", "1"] = Field(
        default="0", description="trsseq of a day's first question | DCTRSINF 首次查询的 trsseq"
    )
    returns_block: Name = Field(default="bb1payqbx1", description="Block of BB1PAYQB's request | BB1PAYQB 请求块名")
    returns_since: Name = Field(default="begDat", description="Its first day | 起始日期字段名")
    returns_until: Name = Field(default="endDat", description="Its last day | 截止日期字段名")
    batch_question_block: Name = Field(default="bb1qrybdx1", description="Block of BB1QRYBD's request | BB1QRYBD 请求块名")
    clear_refusal_takes_nothing: bool = Field(
        default=False,
        description="A refusal in clear (CDCServer: … ErrMsg: …) proves that nothing was taken up | "
        "明文拒绝（CDCServer: … ErrMsg: …）可认定银行未受理",
    )


TABLE: Final = StatusTable(
    bank="cmb_cloud",
    settled={"FIN.S": ("The payment was made.", "付款成功。")},
    rejected={
        "FIN.F": ("The bank could not make the payment.", "付款失败。"),
        "FIN.R": ("An approver on our side refused the payment at the bank.", "付款被企业审批人否决。"),
        "FIN.D": ("The payment expired at the bank before it was approved.", "付款过期未处理。"),
        "FIN.C": ("The payment was cancelled at the bank.", "付款已撤销。"),
    },
    returned={"FIN.B": ("The payment was made and came back.", "付款成功后被退票。")},
    pending={
        "FIN.U": ("The bank keeps the payment open (挂账).", "银行挂账，尚无最终结果。"),
        "AUT": ("The payment waits for approval at the bank.", "等待审批。"),
        "NTE": ("The payment is approved and waits.", "终审完毕，等待处理。"),
        "BNK": ("The bank is handling the payment.", "银行处理中。"),
        "OPR": ("The bank is receiving the data.", "数据接收中。"),
        "APW": ("The payment waits for a person at the bank.", "等待银行人工审批。"),
        "WRF": ("The bank does not know what became of the payment.", "可疑，结果待确认。"),
    },
    others={
        ACCEPTED: ("The bank took up the call. That says nothing of the payment.", "请求已受理，不代表付款成功。"),
        CLEAR_REFUSAL: (
            "The bank refused the call in clear: our address is not on its list, or the user has no right.",
            "银行明文拒绝：IP 未登记白名单或用户无权限。",
        ),
    },
)
"""`reqSts`; where that is FIN, with `rtnFlg`, which says something then only."""


def _long_address(transfer: CreditTransfer, _limit: int, _setting: Setting) -> Findings:
    said = transfer.supplementary if isinstance(transfer.supplementary, tuple) else ()
    texts = [pair[1] for pair in said if isinstance(pair, tuple) and len(pair) == 2 and pair[0] in {"cn.province", "cn.city"}]
    length = sum(gbk_length(text) for text in texts if isinstance(text, str))
    return (Finding(details={"most": _ADDRESS, "length": length}),) if length > _ADDRESS else NOTHING


CMB_CLOUD: Final = Pack(
    name="cmb_cloud_own",
    rules=(
        needs_purpose("cmb_cloud", f"{_SOURCE}: nusAge", BANK_CLASS),
        Rule(
            id="cmb_cloud.address-width",
            source=f"{_SOURCE}: crtAdr; {_WIDTHS}",
            parts=("transfer",),
            field="supplementary.cn.city",
            message_en="Province and city go into one field of at most {most} bytes in GBK; these are {length}.",
            message_zh="省份与城市合填一个字段，最长 {most} 字节（GBK），现为 {length} 字节。",
            check=_long_address,
        ),
    ),
)

PACKS: Final = (
    DOMESTIC,
    CMB_CLOUD,
    widths(
        "cmb_cloud",
        f"{_SOURCE}; {_WIDTHS}",
        Widths(payee_account=35, payee_name=62, bank_name=62, purpose=62, remark=200, payer_account=35),
        charset="utf-8",
    ),
)
