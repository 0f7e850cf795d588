"""A bank for payments across borders that follows CGI-MP, as the large banks of London and New York do: any currency, wires and
clearings, SEPA where asked for.

Source: CGI-MP customer credit transfer initiation, 2019 version (pain.001.001.09); SWIFT CBPR+ usage guidelines, standards
release 2026. The 2009 version (pain.001.001.03) is still taken by many; it cannot carry a UETR or an LEI.
"""

from formats.bank import Capabilities, Validity
from formats.iso20022 import STANDARD_PACKS, IsoBank
from formats.rules.cgi import CGI
from formats.rules.cross_border import CROSS_BORDER

BANK = IsoBank(
    name="cgi_cross_border",
    capabilities=Capabilities(
        sends={"pain.001.001.09": Validity(), "pain.001.001.03": Validity()},
        reads=("pain.002", "camt.052", "camt.053", "camt.054", "MT940", "MT942"),
        time_zone="Europe/London",
    ),
    packs=(*STANDARD_PACKS, CROSS_BORDER, CGI),
)
