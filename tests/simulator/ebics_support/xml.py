"""Looking into answers."""

from lxml import etree


def local_texts(document: bytes, name: str) -> list[str]:
    """The texts of every element of that local name."""
    return [element.text or "" for element in etree.fromstring(document).iter(f"{{*}}{name}")]


def find(document: bytes, name: str) -> str:
    """The text of the first element of that local name; "" where there is none."""
    return (local_texts(document, name) or [""])[0]


def codes(document: bytes) -> tuple[str, str]:
    """Return codes of the header and of the body."""
    root = etree.fromstring(document)
    return root.findtext("{*}header/{*}mutable/{*}ReturnCode") or "", root.findtext("{*}body/{*}ReturnCode") or ""


def decisive(document: bytes) -> str:
    """The code that is not 000000, if one is not."""
    header, body = codes(document)
    return header if header != "000000" else body
