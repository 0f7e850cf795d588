"""The letter: who, which key, its hash in the rows that banks print, in four languages; and a PDF that other programs read."""

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from channels.ebics.letters import LetterFacts, hash_rows, letter_pages, letter_pdf, letter_text
from channels.ebics.names import H004, H005
from channels.ebics.pdf import COLUMNS, LINES_PER_PAGE, pdf
from keys.ebics_keys import EbicsKey
from tests.ebics.support.parties import SUBSCRIBER, key, own_keys

FACTS = LetterFacts(
    bank_name="Bank für Tests",
    customer_name="Société Générale d'essai",
    subscriber_name="王小明",
    on=datetime(2026, 11, 25, 9, 5, tzinfo=UTC),
)
TITLES = {
    "en": "Initialisation letter (INI)",
    "de": "Initialisierungsbrief (INI)",
    "fr": "Lettre d'initialisation (INI)",
    "zh": "初始化函（INI） / Initialisation letter (INI)",
}


def test_the_hash_stands_in_two_rows_of_sixteen_pairs() -> None:
    assert hash_rows(bytes(range(32))) == (
        "00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F",
        "10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F",
    )


@pytest.mark.parametrize("language", ["zh", "de", "fr", "en"])
def test_an_h004_letter_shows_each_key_by_its_numbers_and_its_public_key_hash(language) -> None:
    keys = own_keys(certificates=False)
    pages = letter_pages(H004, SUBSCRIBER, keys, FACTS, language)
    assert len(pages) == 3
    assert pages[0][0] == TITLES[language]
    for page, known in zip(pages, (keys.signature, keys.authentication, keys.encryption), strict=True):
        text = "\n".join(page)
        for row in hash_rows(known.public_key_hash):
            assert f"    {row}" in page
        modulus = f"{known.public.public_numbers().n:X}"
        assert modulus in "".join(text.split())
        assert "01 00 01" in text
        for said in ("TESTHOST", "PARTNER1", "USER1", f"{known.version} (EBICS 2.50, H004)", "王小明"):
            assert said in text


def test_an_h005_letter_shows_the_certificate_and_its_hash() -> None:
    keys = own_keys()
    text = letter_text(H005, SUBSCRIBER, keys, FACTS, "de")
    assert text.count("-----BEGIN CERTIFICATE-----") == 3
    for known in (keys.signature, keys.authentication, keys.encryption):
        for row in hash_rows(known.certificate_hash or b""):
            assert row in text
        assert hash_rows(known.public_key_hash)[0] not in text
    assert "25.11.2026" in text
    assert "09:05:00" in text


def test_a_longer_key_takes_two_pages_and_every_page_fits() -> None:
    long = EbicsKey(version="A006", public=rsa.RSAPublicNumbers(65537, 2**4095 + 9).public_key())
    keys = own_keys(certificates=False)
    wide = type(keys)(signature=long, authentication=keys.authentication, encryption=keys.encryption)
    for language in ("zh", "de", "fr"):
        assert all(len(line) <= COLUMNS for page in letter_pages(H004, SUBSCRIBER, wide, FACTS, language) for line in page)
    pages = letter_pages(H004, SUBSCRIBER, wide, FACTS, "en")
    assert len(pages) == 4
    assert pages[0][0] == pages[1][0]
    assert all(len(page) <= LINES_PER_PAGE for page in pages)
    assert all(len(line) <= COLUMNS for page in pages for line in page)


def test_the_same_letter_gives_the_same_pdf() -> None:
    assert letter_pdf(H005, SUBSCRIBER, own_keys(), FACTS, "zh") == letter_pdf(H005, SUBSCRIBER, own_keys(), FACTS, "zh")
    with pytest.raises(ValueError, match="56"):
        pdf([["x"] * 57])


def test_the_places_of_objects_in_a_pdf_are_right() -> None:
    made = pdf([["(one) \\ line", "Überweisung 汉字"], ["two"]])
    assert made.startswith(b"%PDF-1.4\n")
    start = int(made.rsplit(b"startxref\n", 1)[1].split()[0])
    table = made[start:].split(b"\n")
    assert table[0] == b"xref"
    count = int(table[1].split()[1])
    for number in range(1, count):
        offset = int(table[2 + number][:10])
        assert made[offset:].startswith(b"%d 0 obj\n" % number)
    assert rb"(\(one\) \\ line) Tj" in made
    assert "汉字".encode("utf-16-be").hex().encode() in made


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs the program pdftotext (package poppler-utils)")
def test_a_pdf_is_read_by_a_program_that_we_did_not_write(tmp_path) -> None:
    (tmp_path / "letter.pdf").write_bytes(letter_pdf(H004, SUBSCRIBER, own_keys(certificates=False), FACTS, "fr"))
    done = subprocess.run(["pdftotext", "-layout", str(tmp_path / "letter.pdf"), "-"], capture_output=True, check=True)
    text = done.stdout.decode()
    assert "Lettre d'initialisation (INI)" in text
    assert hash_rows(own_keys(certificates=False).signature.public_key_hash)[0] in text


def test_the_key_on_the_letter_is_ours() -> None:
    assert own_keys(certificates=False).signature.public == key("A").public_key
