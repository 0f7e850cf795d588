"""The letter that proves our keys to the bank: what INI and HIA sent, on paper, signed by hand.

One page for each key, in the layout that banks print: who, at which bank, which key, its numbers in hex (or the certificate), its
SHA-256 in two rows of sixteen pairs, and a line to sign on. The bank compares the hash with that of the key it got.

Sources: EBICS 2.5 and 3.0, annex with examples of initialisation letters (the public-key hash in H004; the certificate and its
hash in H005, and in H004 where keys go in certificates).
"""

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from channels.ebics.key_data import OwnKeys
from channels.ebics.names import Subscriber, Version
from channels.ebics.pdf import LINES_PER_PAGE, pdf
from keys.ebics_keys import EbicsKey

Language = Literal["zh", "de", "fr", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFacts:
    """What stands on the letter beside the keys. `on`: local date and time, as it is to be printed."""

    bank_name: str
    customer_name: str
    subscriber_name: str
    on: datetime


_LABELS: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "INI": "Initialisation letter (INI)",
        "HIA": "Initialisation letter (HIA)",
        "A": "Electronic signature",
        "X": "Authentication",
        "E": "Encryption",
        "date": "Date",
        "time": "Time",
        "bank": "Bank",
        "customer": "Customer",
        "user": "Subscriber",
        "version": "Version",
        "key": "Public key for",
        "exponent": "Exponent",
        "modulus": "Modulus",
        "certificate": "Certificate",
        "hash": "SHA-256 hash of the public key",
        "certificate_hash": "SHA-256 hash of the certificate",
        "confirm": "I confirm that the key above is mine, for dealings with the bank.",
        "sign": "Place, date                         Signature",
    },
    "de": {
        "INI": "Initialisierungsbrief (INI)",
        "HIA": "Initialisierungsbrief (HIA)",
        "A": "Elektronische Unterschrift",
        "X": "Authentifikation",
        "E": "Verschlüsselung",
        "date": "Datum",
        "time": "Uhrzeit",
        "bank": "Bank",
        "customer": "Kunde",
        "user": "Teilnehmer",
        "version": "Version",
        "key": "Öffentlicher Schlüssel für",
        "exponent": "Exponent",
        "modulus": "Modulus",
        "certificate": "Zertifikat",
        "hash": "SHA-256-Hashwert des öffentlichen Schlüssels",
        "certificate_hash": "SHA-256-Hashwert des Zertifikats",
        "confirm": "Ich bestätige, dass dieser Schlüssel meiner ist, für den Verkehr mit der Bank.",
        "sign": "Ort, Datum                          Unterschrift",
    },
    "fr": {
        "INI": "Lettre d'initialisation (INI)",
        "HIA": "Lettre d'initialisation (HIA)",
        "A": "Signature électronique",
        "X": "Authentification",
        "E": "Chiffrement",
        "date": "Date",
        "time": "Heure",
        "bank": "Banque",
        "customer": "Client",
        "user": "Abonné",
        "version": "Version",
        "key": "Clé publique pour",
        "exponent": "Exposant",
        "modulus": "Module",
        "certificate": "Certificat",
        "hash": "Empreinte SHA-256 de la clé publique",
        "certificate_hash": "Empreinte SHA-256 du certificat",
        "confirm": "Je confirme que cette clé est la mienne, pour mes échanges avec la banque.",
        "sign": "Lieu, date                          Signature",
    },
    "zh": {
        "INI": "初始化函（INI）",
        "HIA": "初始化函（HIA）",
        "A": "电子签名",
        "X": "身份认证",
        "E": "加密",
        "date": "日期",
        "time": "时间",
        "bank": "银行",
        "customer": "客户",
        "user": "用户",
        "version": "版本",
        "key": "公钥用途",
        "exponent": "公钥指数",
        "modulus": "公钥模数",
        "certificate": "证书",
        "hash": "公钥 SHA-256 摘要",
        "certificate_hash": "证书 SHA-256 摘要",
        "confirm": "本人确认上述密钥为本人与银行电子通信所用的密钥。",
        "sign": "地点、日期                      签字",
    },
}


def _labels(language: Language) -> dict[str, str]:
    """The words of a language; Chinese with the English beside it: the bank reads it too, and a viewer without a Chinese font
    leaves gaps."""
    if language != "zh":
        return _LABELS[language]
    return {name: f"{word} / {_LABELS['en'][name]}" for name, word in _LABELS["zh"].items()}


def letter_pages(
    version: Version, subscriber: Subscriber, keys: OwnKeys, facts: LetterFacts, language: Language
) -> tuple[tuple[str, ...], ...]:
    """The pages, each a tuple of lines of at most 80 characters: INI with the key of the signature, then HIA with the two
    others."""
    pages: list[tuple[str, ...]] = []
    for order, key in (("INI", keys.signature), ("HIA", keys.authentication), ("HIA", keys.encryption)):
        pages.extend(_page(order, key, version=version, subscriber=subscriber, facts=facts, language=language))
    return tuple(pages)


def letter_text(version: Version, subscriber: Subscriber, keys: OwnKeys, facts: LetterFacts, language: Language) -> str:
    """The letter as text; a form feed parts the pages."""
    pages = letter_pages(version, subscriber, keys, facts, language)
    return "\f".join("\n".join(page) + "\n" for page in pages)


def letter_pdf(version: Version, subscriber: Subscriber, keys: OwnKeys, facts: LetterFacts, language: Language) -> bytes:
    """The letter as PDF."""
    return pdf(letter_pages(version, subscriber, keys, facts, language))


def hash_rows(digest: bytes) -> tuple[str, str]:
    """Thirty-two upper-case hex pairs in two rows, as banks print them."""
    pairs = [f"{byte:02X}" for byte in digest]
    return " ".join(pairs[:16]), " ".join(pairs[16:])


def _page(
    order: str, key: EbicsKey, *, version: Version, subscriber: Subscriber, facts: LetterFacts, language: Language
) -> list[tuple[str, ...]]:
    """The page of one key; the certificate, which is long, may take the page before the one that is signed."""
    labels = _labels(language)
    rows = (
        (labels["date"], facts.on.strftime("%d.%m.%Y" if language == "de" else "%Y-%m-%d")),
        (labels["time"], facts.on.strftime("%H:%M:%S")),
        (labels["bank"], facts.bank_name),
        ("HostID", subscriber.host_id),
        (labels["customer"], facts.customer_name),
        ("PartnerID", subscriber.partner_id),
        (labels["user"], facts.subscriber_name),
        ("UserID", subscriber.user_id),
        (labels["key"], labels[key.version[0]]),
        (labels["version"], f"{key.version} (EBICS {version.number.lstrip('0')}, {version.name})"),
    )
    head = [labels[order], "", *(_cut(f"{name}: {value}") for name, value in rows), ""]
    with_certificate = key.certificate is not None
    digest = key.certificate_hash if with_certificate else key.public_key_hash
    foot = [
        "",
        labels["certificate_hash" if with_certificate else "hash"],
        "",
        *(f"    {row}" for row in hash_rows(digest or b"")),
    ]
    foot += ["", *labels["confirm"].split(" / "), "", "", "", "_" * 30 + "      " + "_" * 30, *labels["sign"].split(" / ")]
    body = _certificate(key, labels) if with_certificate else _numbers(key, labels)
    if len(head) + len(body) + len(foot) <= LINES_PER_PAGE:
        return [(*head, *body, *foot)]
    room = LINES_PER_PAGE - len(head)
    return [*((*head, *body[at : at + room]) for at in range(0, len(body), room)), (*head, *foot)]


def _cut(line: str) -> str:
    return line if len(line) <= 80 else f"{line[:79]}…"


def _numbers(key: EbicsKey, labels: dict[str, str]) -> list[str]:
    numbers = key.public.public_numbers()
    lines = []
    for name, number in (("exponent", numbers.e), ("modulus", numbers.n)):
        octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
        rows = [octets[at : at + 16].hex(" ").upper() for at in range(0, len(octets), 16)]
        lines += [labels[name], *(f"    {row}" for row in rows)]
    return lines


def _certificate(key: EbicsKey, labels: dict[str, str]) -> list[str]:
    text = base64.b64encode(key.certificate or b"").decode("ascii")
    rows = [text[at : at + 64] for at in range(0, len(text), 64)]
    return [labels["certificate"], "-----BEGIN CERTIFICATE-----", *rows, "-----END CERTIFICATE-----"]
