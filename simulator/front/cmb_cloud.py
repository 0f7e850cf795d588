"""CMB 招商银行, 云直联 (CDC): JSON signed by SM2 and encrypted by SM4, in an HTML form.

Source: the sheet on the cloud interface. The primitives of SM2 and SM4 are those of the room `keys`; padding, user id, order of
keys and placeholder are written here once more, by the sheet. The sheet leaves open how the reply's top member and some blocks
are named: here "response", and the request's block with z1. A question that finds nothing has an empty block. SIM… codes are this
simulator's.
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar, Final

from keys.sm import Sm4Key, SmPrivateKey, SmPublicKey, sign, verify
from simulator.front import cmb_words
from simulator.front.amounts import fen_of, yuan
from simulator.front.bank import Call, FrontBank, Incoming, Refused
from simulator.front.books import Account, NewOrder, Order, Party, beijing
from simulator.front.markup import width

PLACEHOLDER: Final = "__signature_sigdat__"
_BLOCK: Final = 16
_SIGNATURE: Final = re.compile(r'"sigdat":"([A-Za-z0-9+/=]{88})"')
_NEEDED: Final = {
    "dbtAcc": (r"\d+", 35),
    "bnkFlg": ("[YN]", 1),
    "ccyNbr": ("10", 2),
    "crtAcc": (r"\d+", 35),
    "crtNam": (".+", 62),
    "nusAge": (".+", 62),
    "trsAmt": (r"\d{1,15}(\.\d{1,2})?", 18),
    "yurRef": ("[A-Za-z0-9]+", 30),
}
_OPTIONAL: Final = {
    "stlChn": ("[GQRI]", 1),
    **dict.fromkeys(("dmaNbr", "crtBnk", "crtAdr", "busNar", "ntfCh1", "ntfCh2", "trsTyp", "rcvChk", "drpFlg"), (".*", 200)),
    "brdNbr": (r"\d{12}|", 12),
    "eptDat": (r"\d{8}|", 8),
    "eptTim": (r"\d{6}|", 6),
}
_BATCH_MAX: Final = 1000
_BUSINESS: Final = "N02030"


class CdcServer(Refused):
    """What the door before the bank says, in clear."""


class CmbCloudFront(FrontBank):
    """See the module."""

    name = "cmb_cloud"
    identity: ClassVar = {
        "uid": "N123456789",
        "sm4_key": "0123456789abcdef",
        # the customer's key of the sheet's example, the bank's of the example of GB/T 32918.5
        "public_key": base64.b64encode(
            bytes.fromhex(
                "04cde386e4bdbd55193f9f3c97b9dc5a0ba3feaffe89e38015f04e19e5b17e0b29"
                "66caf84ddd96688f776e78d361ed4b7ce83406a736674a5fbf85b3b407da4cc0"
            )
        ).decode(),
        "bank_private_key": base64.b64encode(
            bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
        ).decode(),
        "busmod": "00001",
    }
    charset = "utf-8"
    reply_type = "text/plain; charset=UTF-8"
    repeats_are_safe = True
    unknown = ("WRF", "可疑")
    too_often = ("SIM0005", "请求过于频繁")

    # -- the seal ------------------------------------------------------------------------------------------------------

    @property
    def padded_uid(self) -> bytes:
        return self.customer["uid"].encode().ljust(_BLOCK, b"0")

    @property
    def bank_public_key(self) -> str:
        """As the customer has it: Base64 of 04‖X‖Y."""
        return base64.b64encode(b"\x04" + self._bank_key().public.point).decode()

    def told(self) -> Mapping[str, str]:
        return {"bank_public_key": self.bank_public_key}

    def _bank_key(self) -> SmPrivateKey:
        return SmPrivateKey("the bank's key", base64.b64decode(self.customer["bank_private_key"]), os.urandom)

    def _opened(self, data: str) -> str:
        """Raises `CdcServer`."""
        try:
            raw = base64.b64decode(data, validate=True)
            decryptor = Sm4Key(self.customer["sm4_key"].encode()).cbc(self.padded_uid).decryptor()
            padded = decryptor.update(raw) + decryptor.finalize()
        except (binascii.Error, ValueError) as error:
            raise CdcServer("CDCServer", "报文解密失败") from error
        fill = padded[-1] if padded else 0
        if not 1 <= fill <= _BLOCK or padded[-fill:] != bytes([fill]) * fill:
            raise CdcServer("CDCServer", "报文解密失败")
        try:
            return padded[:-fill].decode("utf-8")
        except UnicodeDecodeError as error:
            raise CdcServer("CDCServer", "报文解密失败") from error

    def _verified(self, text: str) -> None:
        """Raises `CdcServer`."""
        found = _SIGNATURE.findall(text)
        if len(found) != 1:
            raise CdcServer("CDCServer", "报文没有签名")
        signed = text.replace(found[0], PLACEHOLDER).encode()
        public = SmPublicKey.of("the customer's key", base64.b64decode(self.customer["public_key"]))
        if not verify(base64.b64decode(found[0]), signed, public, self.padded_uid, "raw"):
            raise CdcServer("CDCServer", "验签失败")

    def _sealed(self, message: Mapping[str, Any]) -> bytes:
        text = written({**message, "signature": {"sigdat": PLACEHOLDER, "sigtim": f"{self.now:%Y%m%d%H%M%S}"}})
        signature = base64.b64encode(sign(text.encode(), self._bank_key(), self.padded_uid, "raw")).decode()
        plain = text.replace(PLACEHOLDER, signature).encode()
        fill = _BLOCK - len(plain) % _BLOCK
        encryptor = Sm4Key(self.customer["sm4_key"].encode()).cbc(self.padded_uid).encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([fill]) * fill) + encryptor.finalize())

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, incoming: Incoming) -> Call:
        fields = incoming.fields
        if (
            set(fields) - {"INSPLAT"} != {"UID", "FUNCODE", "ALG", "DATA"}
            or fields["ALG"] != "SM"
            or fields["UID"] != self.customer["uid"]
        ):
            raise CdcServer("CDCServer", "用户未授权")
        text = self._opened(fields["DATA"])
        self._verified(text)
        try:
            message = json.loads(text)
        except json.JSONDecodeError as error:
            raise CdcServer("CDCServer", "报文格式错误") from error
        if written(message) != text:
            raise CdcServer("CDCServer", "报文未按键名排序")
        try:
            head, body = message["request"]["head"], message["request"]["body"]
            time = message["signature"]["sigtim"]
            function = str(head["funcode"])
        except (KeyError, TypeError) as error:
            raise CdcServer("CDCServer", "报文结构错误") from error
        sound = set(head) == {"funcode", "reqid", "userid"} and re.fullmatch(r"\d{14}", str(time))
        if not sound or head["userid"] != fields["UID"] or function != fields["FUNCODE"] or not isinstance(body, dict):
            raise CdcServer("CDCServer", "报文头错误")
        kind = "payment" if function in {"BB1PAYOP", "BB1PAYBH"} else "question"
        return Call(function=function, kind="payment" if kind == "payment" else "question", data=(head, body))

    def perform(self, call: Call) -> bytes:
        head, body = call.data
        if not re.fullmatch(r"\d{22}", str(head["reqid"])):
            raise Refused("SIM0001", "reqid应为22位数字")
        if not self.books.use(self.name, self.customer_id, "reqid", head["reqid"]):
            raise Refused("SIM0002", "reqid重复")
        if call.function not in _WORK:
            raise Refused("SIM0003", "功能不支持")
        return self._answer(call, "SUC0000", "", _WORK[call.function](self, call, body))

    # -- payments ------------------------------------------------------------------------------------------------------

    def pay(self, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        mode, items = _rows(body, "bb1paybmx1"), _rows(body, "bb1payopx1")
        if len(mode) != 1 or len(items) != 1:
            raise Refused("SIM0004", "bb1paybmx1、bb1payopx1应各有一行")
        self._business(mode[0])
        taken = self.accept(call, _order(items[0], "BB1PAYOP", ""))
        return {"bb1payopz1": [self._taken(call, taken)]}

    def batch(self, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        head, items = _rows(body, "bb1bmdbhx1"), _rows(body, "bb1paybhx1")
        if len(head) != 1 or not 1 <= len(items) <= _BATCH_MAX:
            raise Refused("SIM0004", "批次头应有一行，明细不超过1000行")
        self._business(head[0])
        number = str(head[0].get("bthNbr", ""))
        whole = str(head[0].get("ctnFlg", "N")) == "N"
        if not re.fullmatch("[A-Za-z0-9]{1,30}", number) or (whole and str(head[0].get("dtlNbr")) != str(len(items))):
            raise Refused("SIM0004", "批次编号或笔数错误")
        orders = [_order(item, "BB1PAYBH", number) for item in items]
        if len({order.serial for order in orders}) < len(orders):
            raise Refused("SIM0004", "yurRef重复")
        for order in orders:
            self.accept(call, order)
        return {"bb1paybhz1": [{"bthNbr": number, "reqSts": "OPR", "rtnFlg": "", "errCod": "SUC0000", "errTxt": ""}]}

    def _business(self, row: Mapping[str, Any]) -> None:
        if (row.get("busCod"), row.get("busMod")) != (_BUSINESS, self.customer["busmod"]):
            raise Refused("SIM0004", "业务代码或业务模式错误")

    def _taken(self, call: Call, order: Order) -> dict[str, str]:
        status, flag = cmb_words.split(self.shown(call, cmb_words.code(order.state, cloud=True)))
        error = ("SIM0006", order.reason) if order.failed else ("SUC0000", "")
        return {
            "reqNbr": order.reference[-10:],
            "reqSts": status,
            "rtnFlg": flag,
            "errCod": error[0],
            "errTxt": error[1],
            "msgTxt": "",
            "evtIst": "",
            "oprSqn": "",
        }

    def status(self, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = [str(row.get("yurRef", "")) for row in _rows(body, "bb1payqrx1") if row.get("busCod") == _BUSINESS]
        found = [order for serial in asked if (order := self.find(serial)) is not None]
        return {"bb1payqrz1": [self._shown(call, order) for order in found]}

    def _shown(self, call: Call, order: Order) -> dict[str, str]:
        status, flag = cmb_words.split(self.shown(call, cmb_words.code(order.state, cloud=True)))
        payee = order.payee
        return {
            "busCod": _BUSINESS,
            "yurRef": order.serial,
            "reqNbr": order.reference[-10:],
            "bthNbr": order.package,
            "dbtAcc": order.account,
            "crtAcc": payee.account,
            "crtNam": payee.name,
            "crtBnk": payee.bank_name,
            "trsAmt": yuan(order.amount),
            "ccyNbr": "10",
            "nusAge": payee.purpose,
            "busNar": payee.remark,
            "reqSts": status,
            "rtnFlg": flag,
            "rtnNar": order.reason,
            "trxSet": "",
            "rcvBrd": payee.bank_code,
            "oprDat": f"{beijing(order.changed):%Y%m%d}",
        }

    def returns(self, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = _first(body)
        found = self.books.returned(self.name, self.customer_id, _day(asked, "begDat"), _day(asked, "endDat"))
        return {"bb1payqbz1": [self._shown(call, order) for order in found]}

    def batches(self, _call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = _first(body)
        since, until = _day(asked, "begDat"), _day(asked, "endDat")
        found: dict[str, list[Order]] = {}
        for order in self.books.orders(self.name):
            if order.package and since <= beijing(order.taken).date() <= until:
                found.setdefault(order.package, []).append(order)
        return {"bb1qrybtz1": [_batch(number, orders) for number, orders in found.items()]}

    def details(self, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = _first(body)
        found = self.books.of_package(self.name, self.customer_id, str(asked.get("bthNbr", "")), self.now)
        start, size = _number(asked.get("ctnKey") or "0"), self.rows(call)
        more = str(start + size) if start + size < len(found) else ""
        rows = [self._shown(call, order) for order in found[start : start + size]]
        return {"bb1qrybdy1": [{"ctnKey": more}], "bb1qrybdz1": rows}

    # -- accounts ------------------------------------------------------------------------------------------------------

    def balance(self, _call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        rows = body.get("ntqadinfx", [])
        found = [self._account(str(row.get("accnbr", ""))) for row in rows if isinstance(row, dict)]
        return {"ntqadinfz": [self._balance(account) for account in found]}

    def _balance(self, account: Account) -> dict[str, str]:
        before = self.books.balance_before(account.number, self.now.date())
        return {
            "accnbr": account.number,
            "accnam": account.name,
            "ccynbr": "10",
            "accblv": yuan(before),
            "onlblv": yuan(account.balance),
            "hldblv": "0.00",
            "avlblv": yuan(account.balance),
        }

    def entries(self, call: Call, body: Mapping[str, Any]) -> dict[str, Any]:
        asked = body if "accnbr" in body else _first(body)
        account = self._account(str(asked.get("accnbr", "")))
        day, begin = _day(asked, "trsdat"), _number(asked.get("trsseq", "0"))
        rows = self.books.entries(account.number, day, day)
        start, size = max(begin - 1, 0), self.rows(call)
        page, more = rows[start : start + size], start + size < len(rows)
        debits, credits_ = ([row for row in page if row.credit is credit] for credit in (False, True))
        head = {
            "cotflg": "Y" if more else "N",
            "trsseq": str(start + size + 1) if more else "",
            "dbtnbr": str(len(debits)),
            "dbtamt": yuan(sum(row.amount for row in debits)),
            "crtnbr": str(len(credits_)),
            "crtamt": yuan(sum(row.amount for row in credits_)),
        }
        return {"ntrbptrsz1": [head], "ntqactrsz2": [dict(cmb_words.entry(row)) for row in page]}

    def modes(self, _call: Call, _body: Mapping[str, Any]) -> dict[str, Any]:
        return {"dclismodz1": [{"busCod": _BUSINESS, "busMod": self.customer["busmod"]}]}

    def _account(self, number: str) -> Account:
        """Raises `Refused`."""
        found = self.books.account(number)
        if found is None:
            raise Refused("SIM0007", "账号不存在")
        return found

    # -- writing -------------------------------------------------------------------------------------------------------

    def refusal(self, call: Call | None, code: str, text: str) -> bytes:
        if call is None or code == "CDCServer":
            return f"CDCServer:{self.now:%Y%m%d%H%M%S} ErrMsg:{text}".encode()
        if call.function == "BB1PAYOP" and cmb_words.is_status(code):
            status, flag = cmb_words.split(code)
            row = {"reqNbr": "", "reqSts": status, "rtnFlg": flag, "errCod": "", "errTxt": text}
            return self._answer(call, "SUC0000", "", {"bb1payopz1": [row]})
        return self._answer(call, code if not cmb_words.is_status(code) else "SIM0009", text, {})

    def _answer(self, call: Call, code: str, text: str, body: Mapping[str, Any]) -> bytes:
        head = {
            "bizcode": "",
            "funcode": call.function,
            "userid": self.customer["uid"],
            "reqid": call.data[0]["reqid"],
            "rspid": f"{self.now:%Y%m%d%H%M%S%f}",
            "resultcode": code,
            "resultmsg": text,
        }
        return self._sealed({"response": {"head": head, "body": dict(body)}})


_WORK: Final = {
    "BB1PAYOP": CmbCloudFront.pay,
    "BB1PAYBH": CmbCloudFront.batch,
    "BB1PAYQR": CmbCloudFront.status,
    "BB1PAYQB": CmbCloudFront.returns,
    "BB1QRYBT": CmbCloudFront.batches,
    "BB1QRYBD": CmbCloudFront.details,
    "NTQADINF": CmbCloudFront.balance,
    "DCTRSINF": CmbCloudFront.entries,
    "DCLISMOD": CmbCloudFront.modes,
}


def written(value: Any) -> str:
    """JSON as it is signed: keys sorted at every level, no blanks, nothing escaped that need not be."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{written(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _rows(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Raises `Refused`."""
    rows = body.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Refused("SIM0004", f"缺少{name}")
    return rows


def _first(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first row of the first block; blocks of these questions have no names in the sheet. Raises `Refused`."""
    for rows in body.values():
        if isinstance(rows, list) and rows and isinstance(rows[0], dict):
            return rows[0]
    raise Refused("SIM0004", "缺少查询条件")


def _number(value: object) -> int:
    """Raises `Refused`."""
    if not re.fullmatch(r"\d{1,9}", str(value), re.ASCII):
        raise Refused("SIM0004", "续传键值错误")
    return int(str(value))


def _day(row: Mapping[str, Any], name: str) -> date:
    """Raises `Refused`."""
    try:
        return date.fromisoformat(str(row.get(name, "")))
    except ValueError as error:
        raise Refused("SIM0004", f"{name}错误") from error


def _order(item: Mapping[str, Any], function: str, package: str) -> NewOrder:
    """Raises `Refused`."""
    texts = {name: str(value) for name, value in item.items()}
    for name, (pattern, limit) in {**_NEEDED, **_OPTIONAL}.items():
        if name not in texts and name in _OPTIONAL:
            continue
        value = texts.get(name, "")
        if not re.fullmatch(pattern, value) or width(value) > limit:
            raise Refused("SIM0004", f"{name}错误")
    amount = fen_of(texts["trsAmt"]) or 0
    if texts.keys() - _NEEDED.keys() - _OPTIONAL.keys() or not amount:
        raise Refused("SIM0004", "字段或金额错误")
    payee = Party(
        account=texts["crtAcc"],
        name=texts["crtNam"],
        bank_code=texts.get("brdNbr", ""),
        bank_name=texts.get("crtBnk", ""),
        purpose=texts["nusAge"],
        remark=texts.get("busNar", ""),
    )
    return NewOrder(
        serial=texts["yurRef"],
        package=package,
        function=function,
        account=texts["dbtAcc"],
        amount=amount,
        payee=payee,
        echo={},
    )


def _batch(number: str, orders: list[Order]) -> dict[str, str]:
    paid = [order for order in orders if order.executed]
    running = any(not order.executed and not order.failed for order in orders)
    return {
        "bthNbr": number,
        "dtlNum": str(len(orders)),
        "dtlAmt": yuan(sum(order.amount for order in orders)),
        "sucNum": str(len(paid)),
        "sucAmt": yuan(sum(order.amount for order in paid)),
        "reqSts": "OPR" if running else "FIN",
        "rtnFlg": "" if running else "S" if paid else "F",
    }


FRONT = CmbCloudFront
