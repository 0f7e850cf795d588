"""Why a payee matches or not, or could not be verified: ISO 20022 ExternalVerificationReason1Code. The sentences are our own."""

VERIFICATION_REASONS: dict[str, tuple[str, str]] = {
    "AC01": ("The payee's account number is wrong or missing.", "收款账号错误或缺失。"),
    "AG01": (
        "The payee's account takes no such payments: closed, blocked or not meant for them.",
        "收款账户不可收款：已销户、冻结或不适用。",
    ),
    "AGNT": ("The payee's bank is named wrongly.", "收款行信息有误。"),
    "BNOR": ("The payee's bank does not take part in the verification scheme.", "收款行未加入核验机制。"),
    "DS28": ("A technical failure kept the payee from being verified.", "因技术故障未能核验收款人。"),
    "DUPL": ("The same question about the payee was asked before.", "对该收款人的查询重复。"),
    "FF01": ("The question about the payee was malformed.", "收款人查询格式有误。"),
    "MS03": ("The payee's bank gave no reason.", "收款行未说明原因。"),
    "NORR": ("The payee's bank did not answer in time.", "收款行未及时答复。"),
    "NR01": ("The payee's bank cannot confirm the payee, and says no more.", "收款行无法确认收款人，未说明原因。"),
    "PI01": ("The payee's identification and the account do not belong together.", "收款人标识与账号不符。"),
    "PN01": ("The payee's name and the account do not belong together.", "收款人户名与账号不符。"),
    "PN02": ("The payee's name and the account nearly belong together.", "收款人户名与账号基本相符。"),
    "RC03": ("The payer's bank is named wrongly.", "付款行信息有误。"),
    "RC04": ("The payee's bank is named wrongly or not at all.", "收款行信息错误或缺失。"),
    "TM01": ("The question about the payee came after the agreed time.", "收款人查询晚于约定时间。"),
}
