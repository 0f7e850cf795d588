"""A generic SEPA bank: euro credit transfers by the EPC's customer-to-PSP guidelines.

pain.001.001.09 is the version of the guidelines since 17 March 2024 (EPC132-08 2023). Banks keep taking .03 for a while; here
until 13 November 2026, the last banking day before unstructured addresses end (EPC153-22 v2.1).
"""

from datetime import date

from formats.bank import Capabilities, Validity
from formats.iso20022 import IsoBank
from formats.rules.address import ADDRESS
from formats.rules.common import COMMON
from formats.rules.sepa import INSTANT, SEPA_ALWAYS

BANK = IsoBank(
    name="sepa",
    capabilities=Capabilities(
        sends={
            "pain.001.001.09": Validity(),
            "pain.001.001.03": Validity(valid_until=date(2026, 11, 13)),
        },
        reads=("pain.002", "camt.029", "camt.052", "camt.053", "camt.054", "pacs.004"),
        currencies=frozenset({"EUR"}),
        time_zone="Europe/Brussels",
    ),
    packs=(COMMON, ADDRESS, SEPA_ALWAYS, INSTANT),
)
