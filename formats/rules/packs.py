"""Every pack there is, in the order in which docs/rules.md shows them."""

from formats.rules.address import ADDRESS
from formats.rules.cgi import CGI
from formats.rules.chinese import DOMESTIC
from formats.rules.common import COMMON
from formats.rules.cross_border import CROSS_BORDER
from formats.rules.german import DK, DK_ORDINARY, DK_URGENT
from formats.rules.rule import Pack
from formats.rules.sepa import INSTANT, INSTANT_SEPA, SEPA, SEPA_ALWAYS
from formats.rules.service import CHARGES, SERVICE
from formats.rules.swiss import SPS, SPS_ADDRESS, SPS_TEXTS

PACKS: tuple[Pack, ...] = (
    *(COMMON, ADDRESS, SERVICE, CHARGES, SEPA, SEPA_ALWAYS, INSTANT, INSTANT_SEPA),
    *(SPS, SPS_ADDRESS, SPS_TEXTS, DK, DK_ORDINARY, DK_URGENT, CROSS_BORDER, CGI, DOMESTIC),
)
