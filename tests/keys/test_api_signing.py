"""Signed requests: Alipay's RSA2 and WeChat Pay's APIv3."""

import base64
import json
import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from keys.api_signing import (
    SCHEME,
    Alipay,
    WechatPay,
    alipay_certificate_number,
    alipay_text,
    wechatpay_answer_text,
    wechatpay_request_text,
)
from keys.api_signing_profile import AlipayProfile, WechatPayProfile, build_alipay, build_wechatpay, problems, uses
from keys.seal import BadSeal, KeyUnavailable
from tests.keys.workshop import NOW, Workshop

METHOD = "alipay.fund.trans.uni.transfer"
BIZ_CONTENT = (
    '{"out_biz_no":"GW20260105000000001","trans_amount":"123.45","product_code":"TRANS_ACCOUNT_NO_PWD",'
    '"biz_scene":"DIRECT_TRANSFER","order_title":"货款",'
    '"payee_info":{"identity":"2088000000000001","identity_type":"ALIPAY_USER_ID"}}'
)
PARAMETERS = {
    "version": "1.0",
    "timestamp": "2026-01-05 09:30:01",
    "method": METHOD,
    "format": "JSON",
    "charset": "utf-8",
    "app_id": "2020000000000001",
    "biz_content": BIZ_CONTENT,
    "notify_url": "",
}


def signature_by(workshop: Workshop, party: str, text: bytes) -> str:
    return base64.b64encode(workshop.keys[party].sign(SCHEME, text)).decode()


def code_of(error: "pytest.ExceptionInfo[BadSeal]") -> str:
    return error.value.code


# ---- Alipay -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def alipay(workshop: Workshop) -> Alipay:
    return Alipay(own=workshop.own_key("us"), pinned=(workshop.certificate("bank"),))


def test_the_text_that_alipay_signs_is_that_of_the_specification() -> None:
    expected = (
        f"app_id=2020000000000001&biz_content={BIZ_CONTENT}&charset=utf-8&format=JSON&method={METHOD}"
        "&sign_type=RSA2&timestamp=2026-01-05 09:30:01&version=1.0"
    )
    assert alipay_text(PARAMETERS | {"sign_type": "RSA2", "sign": "old"}, "sign") == expected.encode()


def test_openssl_verifies_a_request_to_alipay(workshop: Workshop, alipay: Alipay, tmp_path: Path) -> None:
    signed = alipay.sign(PARAMETERS | {"sign": "of another request"}, NOW)
    assert signed["sign_type"] == "RSA2"
    assert "notify_url" not in signed
    public = workshop.certificates["us"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    (tmp_path / "signature").write_bytes(base64.b64decode(signed["sign"]))
    (tmp_path / "text").write_bytes(alipay_text(signed, "sign"))
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "text"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


NODE = '{"code":"10000", "msg":"Success","order_id":"1","note":"\\u8d27 \\/ {\\"sign\\":1}"}'


def answer_of(workshop: Workshop, node: str = NODE, party: str = "bank", **more: str) -> bytes:
    signature = signature_by(workshop, party, node.encode())
    members = {"alipay_fund_trans_uni_transfer_response": node, "sign": json.dumps(signature)} | more
    return ("{" + " , ".join(f'"{name}" : {raw}' for name, raw in members.items()) + "}\n").encode()


def test_an_answer_of_alipay_is_verified_as_it_is_written(workshop: Workshop, alipay: Alipay) -> None:
    number = json.dumps(alipay_certificate_number(workshop.certificate("bank")))
    for body in (answer_of(workshop), answer_of(workshop, alipay_cert_sn=number)):
        assert alipay.answer(body, METHOD, NOW) == {"code": "10000", "msg": "Success", "order_id": "1", "note": '货 / {"sign":1}'}


def test_answers_of_alipay_that_are_not_theirs_are_refused(workshop: Workshop, alipay: Alipay) -> None:
    good = answer_of(workshop)
    name = b"alipay_fund_trans_uni_transfer_response"
    cases: dict[str, tuple[bytes, str]] = {
        "altered": (good.replace(b"10000", b"40004"), "signature.invalid"),
        "spelt otherwise": (good.replace(b'"code":"10000", ', b'"code":"10000",'), "signature.invalid"),
        "of another": (answer_of(workshop, party="us"), "signature.invalid"),
        "of another certificate": (answer_of(workshop, alipay_cert_sn='"00"'), "signer.unknown"),
        "not signed": (b'{"' + name + b'":{"code":"10000"}}', "signature.missing"),
        "of another request": (good.replace(name, b"alipay_trade_query_response"), "structure"),
        "with an error beside": (answer_of(workshop, error_response='{"code":"20000"}'), "structure"),
        "twice": (good[:-2] + b', "' + name + b'":{"code":"40004"}}', "structure"),
        "a name twice inside": (answer_of(workshop, '{"code":"1","code":"2"}'), "structure"),
        "no JSON": (b"<html>", "structure"),
        "empty": (b"", "structure"),
        "an empty object": (b"{}", "structure"),
        "something behind": (good + b"x", "structure"),
        "no text as signature": (re.sub(rb'"sign" : "[^"]*"', b'"sign" : 1', good), "structure"),
        "no base64 as signature": (re.sub(rb'"sign" : "[^"]*"', b'"sign" : "*"', good), "structure"),
        "no object": (answer_of(workshop, '"text"'), "structure"),
        "nested without end": (b'{"a":' + b"[" * 100_000, "structure"),
    }
    for case, (body, code) in cases.items():
        with pytest.raises(BadSeal) as refused:
            alipay.answer(body, METHOD, NOW)
        assert code_of(refused) == code, case


def test_notices_of_alipay(workshop: Workshop, alipay: Alipay) -> None:
    said = {"out_biz_no": "1", "status": "SUCCESS", "empty": "", "subject": "a=b&c 货款"}
    text = b"out_biz_no=1&status=SUCCESS&subject=" + "a=b&c 货款".encode()
    form = said | {"sign_type": "RSA2", "sign": signature_by(workshop, "bank", text)}
    assert alipay.notice(form, NOW) == said
    for change, code in (
        ({"status": "FAIL"}, "signature.invalid"),
        ({"more": "x"}, "signature.invalid"),
        ({"sign_type": "RSA"}, "algorithm.refused"),
        ({"sign": signature_by(workshop, "us", text)}, "signature.invalid"),
    ):
        with pytest.raises(BadSeal) as refused:
            alipay.notice(form | change, NOW)
        assert code_of(refused) == code
    with pytest.raises(BadSeal, match=r"signature\.missing"):
        alipay.notice(said | {"sign_type": "RSA2"}, NOW)


def test_both_certificates_of_alipay_count_during_a_rotation_and_an_expired_one_is_said_to_be(
    workshop: Workshop, alipay: Alipay
) -> None:
    both = replace(alipay, pinned=(workshop.certificate("us"), workshop.certificate("bank")))
    assert both.answer(answer_of(workshop), METHOD, NOW)["code"] == "10000"
    with pytest.raises(BadSeal, match=r"signer\.expired"):
        both.answer(answer_of(workshop), METHOD, NOW + timedelta(days=900))
    with pytest.raises(KeyUnavailable, match="expired"):
        alipay.sign(PARAMETERS, NOW + timedelta(days=900))
    with pytest.raises(KeyUnavailable, match="RSA keys only"):
        replace(alipay, own=workshop.own_key("us-ec")).sign(PARAMETERS, NOW)


def test_the_number_of_a_certificate_names_issuer_and_serial_number(workshop: Workshop) -> None:
    import hashlib

    certificate = workshop.certificate("us")
    serial = certificate.parsed.serial_number
    assert alipay_certificate_number(certificate) == hashlib.md5(f"CN=us{serial}".encode()).hexdigest()


# ---- WeChat Pay -------------------------------------------------------------------------------------------------------

API_KEY = b"0123456789abcdef0123456789ABCDEF"
NONCE = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
BODY = (
    b'{"appid":"wx0000000000000000","mchid":"1900000001","description":"test","out_trade_no":"GW20260105000001",'
    b'"notify_url":"https://example.com/n","amount":{"total":12345,"currency":"CNY"}}'
)


@pytest.fixture
def wechatpay(workshop: Workshop) -> WechatPay:
    return WechatPay(
        merchant="1900000001",
        own=workshop.own_key("us"),
        pinned={"PUB_KEY_ID_1": workshop.certificate("bank").public_key},
        api_key=API_KEY,
    )


def test_the_text_that_wechatpay_signs_is_that_of_the_specification() -> None:
    expected = f"POST\n/v3/pay/transactions/native\n1767576601\n{NONCE}\n".encode() + BODY + b"\n"
    assert wechatpay_request_text("POST", "/v3/pay/transactions/native", 1767576601, NONCE, BODY) == expected
    assert wechatpay_request_text("GET", "/v3/x?mchid=1", 1, "n", b"") == b"GET\n/v3/x?mchid=1\n1\nn\n\n"
    assert wechatpay_answer_text("1", "n", b"") == b"1\nn\n\n"


def test_the_authorization_of_a_request_to_wechatpay(workshop: Workshop, wechatpay: WechatPay) -> None:
    header = wechatpay.authorization("POST", "/v3/pay/transactions/native", BODY, on=NOW, nonce=NONCE)
    kind, _, rest = header.partition(" ")
    said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    assert kind == "WECHATPAY2-SHA256-RSA2048"
    assert said.keys() == {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}
    assert said["mchid"] == "1900000001"
    assert said["nonce_str"] == NONCE
    assert int(said["timestamp"]) == NOW.timestamp()
    assert int(said["serial_no"], 16) == workshop.certificates["us"].serial_number
    text = wechatpay_request_text("POST", "/v3/pay/transactions/native", int(said["timestamp"]), NONCE, BODY)
    assert SCHEME.verifies(workshop.certificate("us").public_key, base64.b64decode(said["signature"]), text)


def headers_of(workshop: Workshop, body: bytes, **changes: str) -> dict[str, str]:
    timestamp = str(int(NOW.timestamp()))
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": "n",
        "Wechatpay-Serial": "PUB_KEY_ID_1",
        "Wechatpay-Signature": signature_by(workshop, "bank", wechatpay_answer_text(timestamp, "n", body)),
    } | changes


def test_answers_of_wechatpay_are_verified(workshop: Workshop, wechatpay: WechatPay) -> None:
    headers = headers_of(workshop, BODY)
    wechatpay.verify(headers, BODY, NOW)
    wechatpay.verify({name.lower(): value for name, value in headers.items()}, BODY, NOW + timedelta(minutes=5))
    wechatpay.verify(headers_of(workshop, b""), b"", NOW)


def test_answers_that_are_not_wechatpays_are_refused(workshop: Workshop, wechatpay: WechatPay) -> None:
    cases: list[tuple[dict[str, str], bytes, timedelta, str]] = [
        ({}, BODY + b" ", timedelta(), "signature.invalid"),
        ({"Wechatpay-Nonce": "m"}, BODY, timedelta(), "signature.invalid"),
        ({"Wechatpay-Serial": "PUB_KEY_ID_2"}, BODY, timedelta(), "signer.unknown"),
        ({"Wechatpay-Signature": ""}, BODY, timedelta(), "signature.missing"),
        ({"Wechatpay-Signature": "*"}, BODY, timedelta(), "structure"),
        ({"Wechatpay-Timestamp": "x"}, BODY, timedelta(), "structure"),
        ({"Wechatpay-Timestamp": "-1"}, BODY, timedelta(), "structure"),
        ({"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}, BODY, timedelta(), "signature.invalid"),  # what they probe with
        ({}, BODY, timedelta(minutes=6), "message.stale"),
        ({}, BODY, timedelta(minutes=-6), "message.stale"),
        ({"Wechatpay-Signature": signature_by(workshop, "us", b"x")}, BODY, timedelta(minutes=6), "signature.invalid"),
    ]
    for changes, body, shift, code in cases:
        with pytest.raises(BadSeal) as refused:
            wechatpay.verify(headers_of(workshop, BODY, **changes), body, NOW + shift)
        assert code_of(refused) == code, changes


def notice(**changes: Any) -> bytes:
    sealed = AESGCM(API_KEY).encrypt(b"abcdefghijkl", b'{"state":"SUCCESS"}', b"transaction")
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "nonce": "abcdefghijkl",
        "associated_data": "transaction",
    } | changes
    return json.dumps({"id": "1", "resource": resource}).encode()


def test_notices_of_wechatpay_are_opened(wechatpay: WechatPay) -> None:
    assert wechatpay.open_notice(notice()) == b'{"state":"SUCCESS"}'
    bare = base64.b64encode(AESGCM(API_KEY).encrypt(b"abcdefghijkl", b"x", b"")).decode()
    for absent in ("", None):
        assert wechatpay.open_notice(notice(ciphertext=bare, associated_data=absent)) == b"x"


def test_notices_that_do_not_open_are_refused(wechatpay: WechatPay) -> None:
    cases: list[tuple[bytes, str]] = [
        (notice(associated_data="refund"), "decryption.failed"),
        (notice(nonce="abcdefghijkm"), "decryption.failed"),
        (notice(nonce="short"), "structure"),
        (notice(ciphertext="AAAA"), "structure"),
        (notice(ciphertext="*"), "structure"),
        (notice(ciphertext=None), "structure"),
        (notice(algorithm="AES_128"), "algorithm.refused"),
        (b"{}", "structure"),
        (b"[]", "structure"),
        (b"\xff", "structure"),
        (b'{"resource":1,"resource":2}', "structure"),
    ]
    for body, code in cases:
        with pytest.raises(BadSeal) as refused:
            wechatpay.open_notice(body)
        assert code_of(refused) == code, body


def test_the_api_key_is_32_bytes_and_is_not_shown(wechatpay: WechatPay) -> None:
    assert API_KEY.decode() not in repr(wechatpay)
    with pytest.raises(KeyUnavailable, match="32 bytes"):
        replace(wechatpay, api_key=b"short")


# ---- profiles ---------------------------------------------------------------------------------------------------------

OWN = {"signing_key": "file:us.key", "signing_key_passphrase": "file:passphrase", "signing_certificate": "file:us.crt"}


def test_profiles_make_what_they_say(workshop: Workshop) -> None:
    (workshop.directory / "api.key").write_bytes(API_KEY + b"\n")
    (workshop.directory / "api.key").chmod(0o600)
    public = workshop.certificates["bank"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (workshop.directory / "platform.pem").write_bytes(public)
    first = AlipayProfile(kind="alipay-rsa2", alipay_certificates=("file:bank.crt",), **OWN)
    alipay = build_alipay(first, workshop.directory)
    assert alipay.answer(answer_of(workshop), METHOD, NOW)["code"] == "10000"
    assert list(uses(first)) == [("signing_certificate", "file:us.crt"), ("alipay_certificates", "file:bank.crt")]
    second = WechatPayProfile(
        kind="wechatpay-v3",
        merchant="1900000001",
        platform_certificates=("file:bank.crt",),
        platform_public_keys={"PUB_KEY_ID_1": "file:platform.pem"},
        api_key="file:api.key",
        **OWN,
    )
    wechatpay = build_wechatpay(second, workshop.directory)
    wechatpay.verify(headers_of(workshop, BODY), BODY, NOW)
    serial = f"{workshop.certificates['bank'].serial_number:X}"
    wechatpay.verify(headers_of(workshop, BODY, **{"Wechatpay-Serial": serial}), BODY, NOW)
    with pytest.raises(BadSeal, match=r"signer\.expired"):
        wechatpay.verify(headers_of(workshop, BODY, **{"Wechatpay-Serial": serial}), BODY, NOW + timedelta(days=900))
    assert wechatpay.open_notice(notice()) == b'{"state":"SUCCESS"}'
    for profile in (first, second):
        assert list(problems(profile, workshop.directory, NOW, True)) == []
        assert list(problems(profile, workshop.directory, NOW.replace(year=2040), False))


def test_profiles_with_a_mistake_are_refused(workshop: Workshop) -> None:
    with pytest.raises(ValidationError):
        AlipayProfile(kind="alipay-rsa2", alipay_certificates=(), **OWN)
    with pytest.raises(ValidationError, match="no answer can be verified"):
        WechatPayProfile(kind="wechatpay-v3", merchant="1", api_key="env:X", **OWN)
    with pytest.raises(ValidationError, match="passphrase"):
        AlipayProfile(kind="alipay-rsa2", alipay_certificates=("file:x",), **(OWN | {"signing_key_passphrase": None}))
    wrong = WechatPayProfile(
        kind="wechatpay-v3", merchant="1", platform_public_keys={"PUB_KEY_ID_1": "file:us.crt"}, api_key="env:X", **OWN
    )
    assert any("PUB_KEY_ID_1" in problem for problem in problems(wrong, workshop.directory, NOW, False))
