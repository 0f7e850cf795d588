"""The table of EBICS return codes: what each says, and what `channels.ebics.codes` makes of it.

Source: EBICS, annex on return codes, as the schemas' comments and several implementations list them; the judgement whether an
order may be held is ours (see `codes`).
"""

from enum import StrEnum
from typing import Final

OK: Final = "000000"
DOWNLOAD_DONE: Final = "011000"
DOWNLOAD_SKIPPED: Final = "011001"
RECOVERY: Final = "061101"
NO_DATA: Final = "090005"
INVALID_USER_STATE: Final = ("091002", "091003", "091004")
BANK_KEYS_CHANGED: Final = "091008"
UNKNOWN_TRANSACTION: Final = "091101"
SEGMENTS_EXCEEDED: Final = "091104"
DUPLICATE_SIGNATURE: Final = "091306"
DUPLICATE_ORDER: Final = ("091115", "091122")


class Held(StrEnum):
    """Whether the bank holds the order."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class Remedy(StrEnum):
    """What may be done about it, by whom."""

    NOTHING = "nothing"  # it went well
    LATER = "later"  # the same bytes again, in a while, if the bank does not hold them
    CHANGE = "change"  # a person changes something first: settings, keys, rights
    LOOK = "look"  # proof first: customer protocol (HAC), status report, statement, the bank's word


_N, _M, _Y = Held.NO, Held.MAYBE, Held.YES
_OK, _LATER, _CHANGE, _LOOK = Remedy.NOTHING, Remedy.LATER, Remedy.CHANGE, Remedy.LOOK

# code, name without EBICS_, whether it is held when the completing message was answered so, remedy, words
TABLE: Final[tuple[tuple[str, str, Held, Remedy, str, str], ...]] = (
    (OK, "OK", _Y, _OK, "done", "成功"),
    (DOWNLOAD_DONE, "DOWNLOAD_POSTPROCESS_DONE", _Y, _OK, "the bank took the receipt of what was fetched", "银行已收到下载回执"),
    (
        DOWNLOAD_SKIPPED,
        "DOWNLOAD_POSTPROCESS_SKIPPED",
        _Y,
        _OK,
        "the bank offers again what we could not store",
        "银行将再次提供我方未能保存的数据",
    ),
    (
        "011101",
        "TX_SEGMENT_NUMBER_UNDERRUN",
        _M,
        _LOOK,
        "the last segment came earlier than announced",
        "最后一段早于所声明的段数到达",
    ),
    ("011301", "NO_ONLINE_CHECKS", _Y, _OK, "taken; signatures are checked later", "已接收；签名稍后核验"),
    ("031001", "ORDER_PARAMS_IGNORED", _Y, _OK, "taken; the bank passed over some parameters", "已接收；银行忽略了部分参数"),
    (
        "061001",
        "AUTHENTICATION_FAILED",
        _N,
        _CHANGE,
        "the bank does not accept our authentication signature (X002): is the key the one it activated?",
        "银行不接受我方的认证签名（X002）：请核对密钥是否为银行已激活的密钥",
    ),
    ("061002", "INVALID_REQUEST", _N, _CHANGE, "the bank takes the message for malformed", "银行认为报文格式错误"),
    ("061099", "INTERNAL_ERROR", _M, _LATER, "an error inside the bank", "银行内部错误"),
    (
        RECOVERY,
        "TX_RECOVERY_SYNC",
        _M,
        _LATER,
        "the bank names the segment it has, to go on from there",
        "银行告知已收到的段号，可由此继续",
    ),
    (
        "090003",
        "AUTHORISATION_ORDER_IDENTIFIER_FAILED",
        _N,
        _CHANGE,
        "we have no right to this order: ask the bank for it",
        "无权提交此类订单：请向银行申请权限",
    ),
    (
        "090004",
        "INVALID_ORDER_DATA_FORMAT",
        _N,
        _CHANGE,
        "the order data is not in the format of this order",
        "订单数据格式与订单类型不符",
    ),
    (NO_DATA, "NO_DOWNLOAD_DATA_AVAILABLE", _N, _OK, "there is nothing to fetch", "没有可下载的数据"),
    (
        "090006",
        "UNSUPPORTED_REQUEST_FOR_ORDER_INSTANCE",
        _N,
        _CHANGE,
        "the bank does not offer this for the parked order",
        "银行对该待签订单不支持此操作",
    ),
    (
        "091002",
        "INVALID_USER_OR_USER_STATE",
        _N,
        _CHANGE,
        "the bank does not know the subscriber, has not activated it yet, or has locked it",
        "银行不认识该用户，或尚未激活，或已锁定",
    ),
    (
        "091003",
        "USER_UNKNOWN",
        _N,
        _CHANGE,
        "the bank does not know the subscriber: compare HostID, PartnerID and UserID",
        "银行不认识该用户：请核对 HostID、PartnerID、UserID",
    ),
    (
        "091004",
        "INVALID_USER_STATE",
        _N,
        _CHANGE,
        "the subscriber is not activated yet, or is locked",
        "该用户尚未激活或已被锁定",
    ),
    (
        "091005",
        "INVALID_ORDER_IDENTIFIER",
        _N,
        _CHANGE,
        "the bank has no such order: order type or BTF must be exactly as in its table",
        "银行没有此订单类型：订单类型或 BTF 必须与银行列表完全一致",
    ),
    ("091006", "UNSUPPORTED_ORDER_TYPE", _N, _CHANGE, "the bank does not offer this order", "银行不支持此订单类型"),
    (
        "091007",
        "DISTRIBUTED_SIGNATURE_AUTHORISATION_FAILED",
        _N,
        _CHANGE,
        "we have no right to sign this parked order",
        "无权签署该待签订单",
    ),
    (
        BANK_KEYS_CHANGED,
        "BANK_PUBKEY_UPDATE_REQUIRED",
        _N,
        _CHANGE,
        "the bank has other keys than those we know: fetch them (HPB), compare both fingerprints with its letter, confirm",
        "银行密钥已更换：请重新获取（HPB），与银行来函核对两个指纹后确认",
    ),
    ("091009", "SEGMENT_SIZE_EXCEEDED", _N, _CHANGE, "a segment is larger than the bank takes", "分段超过银行允许的大小"),
    ("091010", "INVALID_XML", _N, _CHANGE, "the message does not follow the schema of the bank", "报文不符合银行的 XML 模式"),
    ("091011", "INVALID_HOST_ID", _N, _CHANGE, "the bank has no such HostID", "HostID 不存在"),
    (
        UNKNOWN_TRANSACTION,
        "TX_UNKNOWN_TXID",
        _M,
        _LATER,
        "the bank does not know the transaction (any more)",
        "银行不认识（或已关闭）该传输",
    ),
    ("091102", "TX_ABORT", _M, _LATER, "the bank broke the transaction off", "银行中止了该传输"),
    (
        "091103",
        "TX_MESSAGE_REPLAY",
        _M,
        _LATER,
        "the bank knows this message already, or our clock is wrong",
        "银行已收到过该报文，或我方时钟不准",
    ),
    (
        SEGMENTS_EXCEEDED,
        "TX_SEGMENT_NUMBER_EXCEEDED",
        _M,
        _LOOK,
        "more segments came than were announced",
        "段数超过所声明的数量",
    ),
    (
        "091105",
        "RECOVERY_NOT_SUPPORTED",
        _M,
        _LATER,
        "the bank cannot go on with a broken transaction",
        "银行不支持恢复中断的传输",
    ),
    (
        "091111",
        "INVALID_SIGNATURE_FILE_FORMAT",
        _N,
        _CHANGE,
        "the bank cannot read our electronic signature",
        "银行无法读取我方电子签名",
    ),
    (
        "091112",
        "INVALID_ORDER_PARAMS",
        _N,
        _CHANGE,
        "the order has parameters that the bank does not take",
        "订单参数不被银行接受",
    ),
    ("091113", "INVALID_REQUEST_CONTENT", _N, _CHANGE, "the content of the message contradicts itself", "报文内容前后矛盾"),
    ("091114", "ORDERID_UNKNOWN", _N, _LOOK, "the bank knows no parked order of this number", "银行没有该编号的待签订单"),
    (
        "091115",
        "ORDERID_ALREADY_EXISTS",
        _Y,
        _LOOK,
        "the bank has an order of this number already: it is not sent again",
        "银行已有该编号的订单：不会再次发送",
    ),
    ("091116", "PROCESSING_ERROR", _M, _LOOK, "an error of the bank while it processed the order", "银行处理订单时出错"),
    ("091117", "MAX_ORDER_DATA_SIZE_EXCEEDED", _N, _CHANGE, "the order is larger than the bank takes", "订单超过银行允许的大小"),
    ("091118", "MAX_SEGMENTS_EXCEEDED", _N, _CHANGE, "the order has more segments than the bank takes", "订单分段数超过银行上限"),
    ("091119", "MAX_TRANSACTIONS_EXCEEDED", _N, _LATER, "too many transactions at once", "同时进行的传输过多"),
    (
        "091120",
        "PARTNER_ID_MISMATCH",
        _N,
        _CHANGE,
        "the signature names another customer than the message",
        "签名与报文中的客户号不一致",
    ),
    (
        "091121",
        "INCOMPATIBLE_ORDER_ATTRIBUTE",
        _N,
        _CHANGE,
        "the order attribute does not fit: does the bank expect a signature?",
        "订单属性不符：请确认银行是否要求签名",
    ),
    (
        "091122",
        "ORDER_ALREADY_EXISTS",
        _Y,
        _LOOK,
        "the bank has this very file already: it is not sent again",
        "银行已有同一文件：不会再次发送",
    ),
    (
        "091201",
        "KEYMGMT_UNSUPPORTED_VERSION_SIGNATURE",
        _N,
        _CHANGE,
        "the bank does not take this version of the signature key",
        "银行不支持该签名密钥版本",
    ),
    (
        "091202",
        "KEYMGMT_UNSUPPORTED_VERSION_AUTHENTICATION",
        _N,
        _CHANGE,
        "the bank does not take this version of the authentication key",
        "银行不支持该认证密钥版本",
    ),
    (
        "091203",
        "KEYMGMT_UNSUPPORTED_VERSION_ENCRYPTION",
        _N,
        _CHANGE,
        "the bank does not take this version of the encryption key",
        "银行不支持该加密密钥版本",
    ),
    (
        "091204",
        "KEYMGMT_KEYLENGTH_ERROR_SIGNATURE",
        _N,
        _CHANGE,
        "the signature key has a length that the bank does not take",
        "签名密钥长度不被银行接受",
    ),
    (
        "091205",
        "KEYMGMT_KEYLENGTH_ERROR_AUTHENTICATION",
        _N,
        _CHANGE,
        "the authentication key has a length that the bank does not take",
        "认证密钥长度不被银行接受",
    ),
    (
        "091206",
        "KEYMGMT_KEYLENGTH_ERROR_ENCRYPTION",
        _N,
        _CHANGE,
        "the encryption key has a length that the bank does not take",
        "加密密钥长度不被银行接受",
    ),
    ("091207", "KEYMGMT_NO_X509_SUPPORT", _N, _CHANGE, "the bank takes no certificates", "银行不支持证书"),
    (
        "091218",
        "KEYMGMT_DUPLICATE_KEY",
        _N,
        _CHANGE,
        "one key is used twice; the bank wants three different ones",
        "密钥重复：银行要求三个不同的密钥",
    ),
    (
        "091301",
        "SIGNATURE_VERIFICATION_FAILED",
        _N,
        _CHANGE,
        "our electronic signature does not verify at the bank",
        "银行验证我方电子签名失败",
    ),
    ("091302", "ACCOUNT_AUTHORISATION_FAILED", _N, _CHANGE, "the signer has no right for this account", "签署人无此账户权限"),
    ("091303", "AMOUNT_CHECK_FAILED", _N, _CHANGE, "the amount is above the signer's limit", "金额超过签署人限额"),
    ("091304", "SIGNER_UNKNOWN", _N, _CHANGE, "the bank does not know the signer", "银行不认识签署人"),
    ("091305", "INVALID_SIGNER_STATE", _N, _CHANGE, "the signer is not activated, or is locked", "签署人尚未激活或已锁定"),
    (DUPLICATE_SIGNATURE, "DUPLICATE_SIGNATURE", _M, _LOOK, "the signer has signed this order already", "签署人已签署过该订单"),
)
