"""A German bank: euros by SEPA, instant and urgent, as Die Deutsche Kreditwirtschaft (DK) has agreed.

Source: DFÜ-Abkommen, Anlage 3, from GBIC_4 on, and DK's format life cycle (ebics.de): pain.001.001.03 (up to GBIC_3) is no longer
taken from 14 November 2026. Banks may agree on more; payments abroad are a bank's own.
"""

from datetime import date

from formats.bank import Capabilities, Validity
from formats.iso20022 import IsoBank
from formats.rules.address import ADDRESS
from formats.rules.common import COMMON
from formats.rules.german import DK, DK_ORDINARY, DK_URGENT
from formats.rules.sepa import INSTANT
from formats.rules.service import SERVICE

BANK = IsoBank(
    name="de_dk",
    capabilities=Capabilities(
        sends={
            "pain.001.001.09": Validity(),
            "pain.001.001.03": Validity(valid_until=date(2026, 11, 13)),
        },
        reads=("pain.002", "camt.052", "camt.053", "camt.054", "pacs.004"),
        currencies=frozenset({"EUR"}),
        time_zone="Europe/Berlin",
    ),
    packs=(COMMON, ADDRESS, SERVICE, DK, DK_ORDINARY, INSTANT, DK_URGENT),
)
