"""CMB 招商银行 through its front machine (FBSdk): what its codes mean, its settings, and its rules.

Source: CMB, 银企直连开发指南 4.3.1, and two independent implementations of it (one of API document 5.37.0).
"""

from typing import Annotated, Any, Final, Self

from pydantic import Field, StringConstraints, model_validator

from formats.dialects.dialect import DialectSettings
from formats.dialects.facts import Facts
from formats.dialects.looks import payment_rule, with_words
from formats.dialects.tables import StatusTable
from formats.dialects.text import gbk_length
from formats.rules.chinese import DOMESTIC, Widths, widths
from formats.rules.rule import Pack, Rule

BANK_CLASS: Final = "308"
DOCUMENT: Final = "CMB 银企直连开发指南 4.3.1"
BATCH_MAX: Final = 30  # above it the reply names no single payment
SHORT_NAME: Final = 62  # bytes of CRTNAM; a longer name is LRVEAN
ADDRESS: Final = 62

TABLE: Final = StatusTable(
    bank="cmb",
    settled={"FIN+S": ("Paid.", "付款成功")},
    rejected={
        "FIN+F": ("The payment failed.", "付款失败"),
        "FIN+R": ("Refused by an approver of the customer.", "企业审批否决"),
        "FIN+D": ("Expired before it was approved.", "企业过期不审批"),
        "FIN+C": ("Cancelled by the customer.", "企业撤销"),
    },
    returned={"FIN+B": ("Paid, and returned by the payee's bank.", "银行退票")},
    pending={
        "AUT": ("Waits for approval by the customer.", "等待企业审批"),
        "NTE": ("Approved by the customer.", "企业审批完成"),
        "BNK": ("The bank is processing it.", "银行处理中"),
        "OPR": ("The bank is receiving data.", "数据接收中"),
        "WCF": ("The order waits to be confirmed.", "订单待确认"),
        "ACK": ("A state whose meaning the bank has to tell.", "状态含义请向银行确认"),
        "APD": ("Waits for the bank.", "待银行确认"),
        "WRF": ("The bank itself is in doubt; it will look.", "银行处理可疑，等待核实"),
        "FIN+U": ("Held by the bank for a person to look at.", "银行挂账"),
        "FIN+M": ("Cancelled by the merchant; what that means for the money the bank has to tell.", "商户撤销，结果请向银行确认"),
        "FIN+V": (
            "Refused by the bank (loan); what that means for the money the bank has to tell.",
            "拒绝（委托贷款），结果请向银行确认",
        ),
        "FIN+T": ("Refunded; what that means for the money the bank has to tell.", "已退款，结果请向银行确认"),
    },
    others={
        "0": (
            "The front machine and the bank processed the request; the payment's own state stands beside it.",
            "请求已处理，以付款状态为准",
        ),
        "-1": ("It could not be submitted to the host; whether the bank has it is unknown.", "提交主机失败，结果未知"),
        "-2": ("The execution failed; whether the bank has it is unknown.", "执行失败，结果未知"),
        "-3": ("The format is wrong; nothing was sent.", "数据格式错误，未发送"),
        "-4": ("The front machine is not logged in; nothing was sent. Log in at it.", "前置机尚未登录，未发送"),
        "-5": ("Too frequent; nothing was sent.", "请求太频繁，未发送"),
        "-6": ("Not a user with a certificate card; nothing was sent.", "非证书卡用户，未发送"),
        "-7": ("The user cancelled; nothing was sent.", "用户取消操作，未发送"),
        "-9": ("Another error; whether the bank has it is unknown.", "其他错误，结果未知"),
    },
)

BranchCode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]
_Word = Annotated[str, StringConstraints(pattern=r"^[^<>&\s]*$", max_length=30)]


class CmbSettings(DialectSettings):
    """The `[bank_settings]` of a connection to CMB's front machine."""

    login_name: Annotated[str, StringConstraints(pattern=r"^[^<>&\s]+$", max_length=30)] = Field(
        examples=["demouser"], description="LGNNAM, the user that the front machine is logged in as | 前置机登录用户名（LGNNAM）"
    )
    branch_code: BranchCode = Field(
        examples=["75"], description="The bank's 2-character code of the accounts' branch (DBTBBK, BBKNBR) | 账户分行号，两位"
    )
    branch_codes: dict[str, BranchCode] = Field(
        default_factory=dict, description="Another branch for single accounts: account number = code | 个别账户的分行号"
    )
    business_mode: _Word = Field(
        default="", description="BUSMOD, the mode without approval; this or business_mode_alias | 业务模式编号（免审批）"
    )
    business_mode_alias: _Word = Field(
        default="", description="MODALS, the mode by its name; this or business_mode | 业务模式名称，与编号二选一"
    )
    business_code: _Word = Field(default="N02031", description="BUSCOD of direct payments | 直接支付业务类别")
    returns_block: _Word = Field(
        default="NTPAYQYBX1",
        description="The block of NTPAYQYB (list of returned payments); our sources do not name it: confirm it with the bank"
        " | 退票查询 NTPAYQYB 的请求数据块名，请向银行确认",
    )

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        if bool(self.business_mode) == bool(self.business_mode_alias):
            raise ValueError("give business_mode or business_mode_alias, and not both")
        return self

    def branch_of(self, account: str) -> str:
        return self.branch_codes.get(account, self.branch_code)


def address_of(facts: Facts) -> str:
    """CRTADR: province and city of the payee's bank."""
    return facts.city if facts.city.startswith(facts.province) else facts.province + facts.city


def speed(facts: Facts) -> str:
    """STLCHN, N normal or F fast: the one place that chooses CMB's way of carrying."""
    if facts.rail:
        return "N" if facts.rail == "BEPS" else "F"
    return "F" if facts.urgent else "N"


def _rule(**words: Any) -> Rule:
    return payment_rule(BANK_CLASS, f"{DOCUMENT}, DCPAYMNT", **words)


_WIDTHS: Final = Widths(payer_account=35, payee_account=35, payee_name=200, bank_name=62, purpose=62, remark=200)

PACKS: Final = (
    DOMESTIC,
    Pack(
        name="cmb",
        rules=(
            *widths("cmb", f"{DOCUMENT}, DCPAYMNT", _WIDTHS).rules,
            _rule(
                id="cmb.bank-name",
                field="creditor_agent.name",
                message_en="For a payee at another bank the name of that bank's branch (CRTBNK) is required.",
                message_zh="跨行付款必须填写收款方开户行（CRTBNK）。",
                broken=lambda facts, _: not facts.own_bank and not facts.bank_name,
            ),
            _rule(
                id="cmb.address",
                field="supplementary.cn.city",
                message_en="For a payee at another bank the place of that bank (CRTADR) is required: cn.province and cn.city.",
                message_zh="跨行付款必须填写收款方开户地（CRTADR）：cn.province 和 cn.city。",
                broken=lambda facts, _: not facts.own_bank and not address_of(facts),
            ),
            _rule(
                id="cmb.address-width",
                field="supplementary.cn.city",
                message_en="Province and city together have at most {most} bytes in GBK; these have {length}.",
                message_zh="省和市合计最长 {most} 字节（GBK），现为 {length} 字节。",
                broken=lambda facts, _: (
                    gbk_length(address_of(facts)) > ADDRESS and with_words(most=ADDRESS, length=gbk_length(address_of(facts)))
                ),
            ),
            _rule(
                id="cmb.purpose",
                field="remittance_information.unstructured",
                message_en="The purpose (用途, NUSAGE: the first line of the remittance information) is required.",
                message_zh="用途（NUSAGE，附言第一行）必填。",
                broken=lambda facts, _: not facts.purpose,
            ),
        ),
    ),
)
