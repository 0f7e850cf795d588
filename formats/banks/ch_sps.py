"""A Swiss bank: francs, euros and foreign currencies, as the Swiss Payment Standards (SPS) have it.

Source: SIX, Swiss Payment Standards 2026 (pain.001, valid from 14 November 2026). The messages of SPS 2009 (pain.001.001.03,
by its own schema pain.001.001.03.ch.02) are no longer taken from that day.
"""

from datetime import date

from formats.bank import Capabilities, Validity
from formats.iso20022 import IsoBank
from formats.rules.common import COMMON
from formats.rules.cross_border import CROSS_BORDER
from formats.rules.sepa import INSTANT_SEPA, SEPA
from formats.rules.service import SERVICE
from formats.rules.swiss import SPS, SPS_ADDRESS, SPS_TEXTS

BANK = IsoBank(
    name="ch_sps",
    capabilities=Capabilities(
        sends={
            "pain.001.001.09": Validity(valid_from=date(2022, 11, 18)),
            "pain.001.001.03": Validity(valid_until=date(2026, 11, 13)),
        },
        reads=("pain.002", "camt.052", "camt.053", "camt.054"),
        time_zone="Europe/Zurich",
        variants={"pain.001.001.03.ch.02": "pain.001.001.03", "pain.001.001.09.ch.03": "pain.001.001.09"},
    ),
    packs=(COMMON, SPS_ADDRESS, SERVICE, SEPA, INSTANT_SEPA, SPS, SPS_TEXTS, CROSS_BORDER),
)
