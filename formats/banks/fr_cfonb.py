"""A French bank: euros by SEPA and instant, treasury transfers, and transfers abroad in any currency.

Source: CFONB, guide to the use of ISO 20022 for payment orders (pain.001): SEPA, treasury (URGP) and international transfers; EPC
guidelines 2025 for SEPA. pain.001.001.03 is left out: for how long a French bank still takes it is its own word.
"""

from formats.bank import Capabilities, Validity
from formats.iso20022 import STANDARD_PACKS, IsoBank
from formats.rules.cross_border import CROSS_BORDER

BANK = IsoBank(
    name="fr_cfonb",
    capabilities=Capabilities(
        sends={"pain.001.001.09": Validity()},
        reads=("pain.002", "camt.052", "camt.053", "camt.054", "pacs.004"),
        time_zone="Europe/Paris",
    ),
    packs=(*STANDARD_PACKS, CROSS_BORDER),
)
