"""Plain ISO 20022: every version of pain.001 from .03 on, no bank's particulars, no end dates."""

from formats.bank import Capabilities, Validity
from formats.iso20022 import IsoBank

_ALWAYS = Validity()
_DEFAULT = "pain.001.001.09"

BANK = IsoBank(
    name="iso20022",
    capabilities=Capabilities(
        # The first is the default. .09 is the version of the SEPA schemes, CGI-MP and CBPR+.
        sends=dict.fromkeys((_DEFAULT, *(f"pain.001.001.{number:02}" for number in (3, 4, 5, 6, 7, 8, 10, 11, 12, 13))), _ALWAYS),
        reads=("pain.001", "pain.002", "camt.029", "camt.052", "camt.053", "camt.054", "pacs.004"),
    ),
)
