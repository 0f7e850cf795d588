"""Looking into a tree that has been parsed and, where the protocol has it, verified. What is not as the schemas have it is
`BadAnswer` ("structure"), with the place."""

import re
from typing import Final

from lxml import etree

from channels.ebics.errors import BadAnswer, as_bad_answer
from channels.ebics.names import DS, Element
from keys.ebics_auth import parse_message
from keys.ebics_keys import EbicsKey, KeyVersion, key_of_certificate, key_of_numbers
from keys.xml_verify import base64_of

_DIGITS: Final = re.compile(r"[0-9]{1,10}")
_CODE: Final = re.compile(r"[0-9]{6}")
_TRANSACTION: Final = re.compile(r"[0-9A-Fa-f]{32}")
_ORDER_ID: Final = re.compile(r"[A-Z][A-Z0-9]{3}")


def document(data: bytes, name: str, namespaces: tuple[str, ...]) -> Element:
    """The root of a document of this name in one of these namespaces. Raises `BadAnswer`."""
    with as_bad_answer():
        root = parse_message(data)
    found = etree.QName(root)
    if found.localname != name:
        raise BadAnswer("structure", f"the answer is {found.localname[:40]}, where {name} was expected")
    if found.namespace not in namespaces:
        raise BadAnswer("structure", f"{name} is in the namespace {str(found.namespace)[:60]}, which belongs to another version")
    return root


def malformed(place: str) -> BadAnswer:
    return BadAnswer("structure", f"{place} is missing, doubled or malformed")


def maybe(parent: Element, name: str) -> Element | None:
    """The one child of this name in the parent's namespace, if there is one. Raises `BadAnswer` where there are two."""
    found = parent.findall(f"{{{etree.QName(parent).namespace}}}{name}")
    if len(found) > 1:
        raise malformed(name)
    return found[0] if found else None


def one(parent: Element, name: str) -> Element:
    """The one child of this name. Raises `BadAnswer`."""
    found = maybe(parent, name)
    if found is None:
        raise malformed(name)
    return found


def every(parent: Element, name: str) -> list[Element]:
    """The children of this name in the parent's namespace."""
    return list(parent.findall(f"{{{etree.QName(parent).namespace}}}{name}"))


def text(element: Element | None, *, chars_max: int = 1000) -> str | None:
    """The text of an element that has nothing else in it; None where there is no element or no text."""
    if element is None:
        return None
    found = (element.text or "").strip()
    if len(element) or len(found) > chars_max:
        raise malformed(etree.QName(element).localname)
    return found or None


def said(parent: Element, name: str, *, chars_max: int = 1000) -> str:
    """The text of the one child of this name. Raises `BadAnswer` where it is absent or empty."""
    found = text(one(parent, name), chars_max=chars_max)
    if found is None:
        raise malformed(name)
    return found


def number(value: str | None, place: str) -> int | None:
    """A count or a position."""
    if value is None:
        return None
    if not _DIGITS.fullmatch(value):
        raise malformed(place)
    return int(value)


def flag(value: str | None, place: str) -> bool | None:
    """An xs:boolean."""
    if value is None:
        return None
    if value not in {"true", "false", "1", "0"}:
        raise malformed(place)
    return value in {"true", "1"}


def return_code(parent: Element) -> str:
    """Six digits. Which, is nobody's business here: a code that is not known never stops the reading."""
    found = said(parent, "ReturnCode")
    if not _CODE.fullmatch(found):
        raise malformed("ReturnCode")
    return found


def transaction_id(value: str | None) -> str | None:
    """In capital letters: banks and clients write both, and it is one number."""
    if value is not None and not _TRANSACTION.fullmatch(value):
        raise malformed("TransactionID")
    return None if value is None else value.upper()


def order_id(value: str | None) -> str | None:
    if value is not None and not _ORDER_ID.fullmatch(value):
        raise malformed("OrderID")
    return value


def octets(element: Element) -> bytes:
    """What an element says in base64."""
    with as_bad_answer():
        return base64_of(element)


def public_key(parent: Element, purpose: str, versions: tuple[KeyVersion, ...]) -> EbicsKey:
    """The key in `{purpose}PubKeyInfo`: out of its certificate where there is one, else its bare numbers. Both must agree where
    both are there. Raises `BadAnswer` ("key.refused", "structure")."""
    info = one(parent, f"{purpose}PubKeyInfo")
    said_version = said(info, f"{purpose}Version")
    version = next((known for known in versions if known == said_version), None)
    if version is None:
        raise BadAnswer("key.refused", f"the key for {purpose} is for {said_version[:8]!r}; {', '.join(versions)} is taken")
    called = f"the key for {version}"
    certificates = info.findall(f"{{{DS}}}X509Data/{{{DS}}}X509Certificate")
    values = info.findall(f"{{*}}PubKeyValue/{{{DS}}}RSAKeyValue")
    if len(values) > 1:
        raise malformed(f"{purpose}PubKeyInfo")
    with as_bad_answer():
        bare = key_of_numbers(version, *_numbers(values[0]), called) if values else None
        carried = key_of_certificate(version, base64_of(certificates[0]), called) if certificates else bare
    if carried is None:
        raise malformed(f"{purpose}PubKeyInfo")
    if bare is not None and bare.public != carried.public:
        raise BadAnswer("key.refused", f"{called} says one key in its certificate and another beside it")
    return carried


def _numbers(value: Element) -> tuple[bytes, bytes]:
    """Modulus and exponent of an RSAKeyValue."""
    return octets(one(value, "Modulus")), octets(one(value, "Exponent"))
