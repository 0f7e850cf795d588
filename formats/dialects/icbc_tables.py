"""ICBC (工商银行, 银企互联 NC): the customer's particulars, the rules on its payments, and what its codes mean.

Everything here is from our collected facts on ICBC's CMS XML, version 0.0.0.1 and 0.0.1.0 (public code of 2011 to 2022 and copies
of the bank's documents); nothing has been tried against the bank.
"""

from decimal import Decimal
from typing import Final, Literal

from pydantic import Field

from formats.dialects.dialect import ReturnWords
from formats.dialects.facts import Facts
from formats.dialects.looks import payment_rule
from formats.dialects.tables import StatusTable
from formats.dialects.text import gbk_length
from formats.model import CreditTransfer, PaymentTerms
from formats.rules.chinese import Widths, widths
from formats.rules.chinese_fields import amount_digits, needs_purpose
from formats.rules.rule import NOTHING, Finding, Findings, Pack, Rule, Setting

BANK_CLASS: Final = "102"
SOURCE: Final = "ICBC 银企互联 (NC), PAYENT, elements of rd"
_PBOC_NAME: Final = 60  # GBK bytes
_REAL_TIME_USE: Final = 10  # characters


class IcbcSettings(ReturnWords):
    """`[bank_settings]` of a connection to ICBC."""

    group_cis: str = Field(
        min_length=1,
        max_length=60,
        pattern=r"^[A-Za-z0-9]+$",
        examples=["990000000000001"],
        description="CIS: the group code given at registration | 集团 CIS 号（开通时由银行分配）",
    )
    certificate_id: str = Field(
        min_length=1,
        max_length=40,
        pattern=r"^[A-Za-z0-9._@-]+$",
        examples=["demo.y.9900"],
        description="ID and userID: the certificate's id | 证书 ID（ID、userID）",
    )
    version: Literal["0.0.0.1", "0.0.1.0"] = Field(
        default="0.0.0.1", description="Version of the interface, form field Version | 接口版本号（表单字段 Version）"
    )
    language: str = Field(
        default="",
        pattern=r"^[A-Za-z_]*$",
        description="Form field Language, as zh_CN; empty: left out | 表单字段 Language，如 zh_CN；空则不传",
    )
    zip_flag: Literal["", "0", "1"] = Field(
        default="", description="Form field zipFlag; empty: left out | 表单字段 zipFlag；空则不传"
    )
    settle_mode: Literal["0", "2"] = Field(
        default="0",
        description="SettleMode of batches: 0 booked one by one, 2 booked as one sum | 批量入账方式：0 逐笔记账，2 并笔记账",
    )
    optional_elements: Literal["empty", "omitted"] = Field(
        default="empty",
        description="Elements without a value: written empty, or left out | 无值的可选节点：写空节点，或省略",
    )
    payer_bank: Literal["", "102"] = Field(
        default="", description="ReqReserved3, the payer's bank: empty, or 102 for ICBC | ReqReserved3，付款行：空或 102（工行）"
    )
    payments_per_request: int = Field(
        default=50, ge=1, le=999_999, description="Most payments in one PAYENT, with batch on | 启用批量时单个 PAYENT 最多笔数"
    )
    scheduled_days: int = Field(
        default=0,
        ge=0,
        le=365,
        description="How many days ahead StartDate may lie; 0: the same day only | 预约付款最多提前天数（StartDate），0 为仅当日",
    )
    not_found_codes: tuple[str, ...] = Field(
        default=(),
        description='RetCode of QPAYENT for "no such record" (none is published) | 表示“无此记录”的 RetCode（公开资料未列）',
    )


TABLE: Final = StatusTable(
    bank="icbc",
    settled={"7": ("Processed: the payment succeeded.", "处理成功。")},
    rejected={
        "6": ("Refused by the bank: the payment failed.", "被银行拒绝，付款失败。"),
        "8": ("The authorisation was refused: the payment failed.", "授权被拒绝，付款失败。"),
        "11": ("The scheduled instruction was cancelled.", "预约指令已撤销。"),
    },
    pending={
        "0": ("Submitted, waiting for the bank.", "提交成功，等待银行处理。"),
        "1": ("Authorised, waiting for the bank.", "授权成功，等待银行处理。"),
        "2": ("Waits for its authorisation at the bank.", "等待授权。"),
        "3": ("Waits for its second authorisation at the bank.", "等待二次授权。"),
        "4": ("Waiting for the bank's answer.", "等待银行答复。"),
        "5": ("The host answered, still being processed.", "主机返回待处理。"),
        "9": ("The bank is processing it.", "银行正在处理。"),
        "10": ("A scheduled instruction, which is not due yet.", "预约指令，尚未到期。"),
    },
)
"""QPAYENT and PAYENT, Result (two sources)."""


def _names_cut(pair: tuple[PaymentTerms, CreditTransfer], _limit: int, _setting: Setting) -> Findings:
    terms, transfer = pair
    names = (("debtor.name", terms.debtor), ("creditor.name", transfer.creditor))
    texts = [(field, getattr(party, "name", None)) for field, party in names]
    return tuple(Finding(field) for field, text in texts if isinstance(text, str) and gbk_length(text) > _PBOC_NAME)


def _manual(facts: Facts, _amount: Decimal) -> bool:
    return not facts.own_bank and len(facts.purpose) > _REAL_TIME_USE


def _other_bank(facts: Facts, _amount: Decimal) -> Findings:
    if facts.own_bank:
        return NOTHING
    name = NOTHING if facts.bank_name else (Finding("creditor_agent.name"),)
    return name if facts.city else (*name, Finding("supplementary.cn.city"))


OWN: Final = Pack(
    name="icbc",
    rules=(
        *widths(
            "icbc",
            SOURCE,
            Widths(
                payee_account=34,
                payee_name=100,
                bank_name=60,
                purpose=20,
                remark=100,
                city=40,
                payer_account=34,
                payer_name=100,
            ),
        ).rules,
        amount_digits("icbc", f"{SOURCE}: PayAmt, 17 digits of fen", 15),
        Rule(
            id="icbc.name-cut",
            source=f"{SOURCE}: names of RMB payments over 60 bytes may be cut by the rules of the PBOC",
            parts=("payment",),
            message_en="A name of more than 60 bytes in GBK may be cut on its way to another bank.",
            message_zh="人民币付款户名超过 60 字节（GBK）时，可能被按人行规则截断。",
            check=_names_cut,
            severity="warning",
        ),
        needs_purpose("icbc", f"{SOURCE}: UseCode and UseCN, one of the two", BANK_CLASS),
        payment_rule(
            BANK_CLASS,
            f"{SOURCE}: UseCN of real-time payments to other banks, at most 10 characters",
            _manual,
            id="icbc.use-manual",
            field="remittance_information.unstructured[0]",
            message_en="With more than 10 characters here, a payment to another bank is handled by hand and takes longer.",
            message_zh="跨行实时付款用途超过 10 个字符时，银行将转人工处理（落地）。",
            severity="warning",
        ),
        payment_rule(
            BANK_CLASS,
            f"{SOURCE}: RecCityName and RecBankName, mandatory for other banks",
            _other_bank,
            id="icbc.other-bank",
            message_en="A payment to another bank names that bank's branch and its city.",
            message_zh="跨行付款必须填写收款行名称和城市。",
        ),
    ),
)
