"""What differs between the versions of pain.001, as data.

Read off the official schemas of pain.001.001.03 to .13 (see `formats.schemas`). Only differences that touch what a payment
can say here are listed; the writer and the rules both read this table, so that they cannot disagree.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

_OLD_BIC = re.compile(r"[A-Z]{6}[A-Z2-9][A-NP-Z0-9](?:[A-Z0-9]{3})?").fullmatch
_NEW_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?").fullmatch

# DocumentType5Code (.03 to .05), DocumentType6Code (.06 to .11) and DocumentType3Code (creditor references, .03 to .11).
_CODES_5 = "MSIN CNFA DNFA CINV CREN DEBN HIRI SBIN CMCN SOAC DISP BOLD VCHR AROI TSUT"
_DOCUMENTS_5 = frozenset(_CODES_5.split())
_DOCUMENTS_6 = _DOCUMENTS_5 | {"PUOR"}
CREDITOR_REFERENCE_CODES = frozenset(["RADM", "RPIN", "FXDR", "DISP", "PUOR", "SCOR"])
"""Types of creditor reference written as codes; every other type is a bank's or scheme's own word ("QRR") and written as
Prtry."""

ADDRESS_FIELDS_SINCE_09 = ("building_name", "floor", "post_box", "room", "town_location_name", "district_name")
"""Address elements that PostalAddress6 (.03 to .08) does not have."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pain001Version:
    """One version: how elements are called and which exist.

    `document_types` None: an external code set (any code of up to four). `typed_documents`: dates and amounts of documents
    must name their type, which a payment here does not say. `zoned`: whether moments are written with their zone. Compared by
    identity: there is one object a version.
    """

    name: str
    bic_tag: str
    organisation_bic_tag: str
    date_choice: bool
    extended: bool  # LEI, UETR and the address elements of PostalAddress24
    zoned: bool
    typed_documents: bool
    document_types: frozenset[str] | None
    is_bic: Callable[[str], object]

    @property
    def namespace(self) -> str:
        """The XML namespace of the version's documents."""
        return f"urn:iso:std:iso:20022:tech:xsd:{self.name}"


def _version(number: int) -> Pain001Version:
    documents = None if number >= 12 else _DOCUMENTS_6 if number >= 6 else _DOCUMENTS_5
    return Pain001Version(
        name=f"pain.001.001.{number:02}",
        bic_tag="BIC" if number == 3 else "BICFI",
        organisation_bic_tag="BICOrBEI" if number == 3 else "AnyBIC",
        date_choice=number >= 8,
        extended=number >= 9,
        zoned=number >= 9,
        typed_documents=number >= 12,
        document_types=documents,
        is_bic=_NEW_BIC if number >= 9 else _OLD_BIC,
    )


VERSIONS: dict[str, Pain001Version] = {version.name: version for version in map(_version, range(3, 14))}
"""Message name → version. The newest version in general use is .09 (EPC and CGI-MP 2019 onwards)."""
