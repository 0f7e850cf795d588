"""One seal around another: in order, opened in reverse, and never in clear on disk."""

import io
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from keys.layers_spool import Spool, spool_factory
from keys.profiles import build_seal, certificates, check, parse_profile, profile_file_suffix, uses
from keys.seal import BadSeal, KeyUnavailable, Seal, SealError
from keys.store import random_bytes
from tests.keys.workshop import NOW, Workshop, code_of, opened, sealed, today

CONTENT = b"<Document>" + bytes(range(256)) * 3000 + b"</Document>"


def layers(workshop: Workshop, own: str, bank: str, *tables: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"kind": "layers", "layers": [workshop.table(own, bank, **table) for table in tables]} | changes


def built(workshop: Workshop, table: dict[str, Any]) -> Seal:
    return build_seal(parse_profile(table), workshop.directory, today)


INNER = {"form": "signed", "suffix": ".p7s"}
OUTER = {"form": "enveloped", "content_encryption": "aes-256-gcm", "suffix": ".p7m"}


def both_ways(workshop: Workshop, *tables: dict[str, Any], **changes: Any) -> tuple[Seal, Seal]:
    return (
        built(workshop, layers(workshop, "us", "bank", *tables, **changes)),
        built(workshop, layers(workshop, "bank", "us", *tables, **changes)),
    )


@pytest.mark.parametrize("memory", [0, 8 * 1024 * 1024])
def test_layers_seal_in_order_and_open_in_reverse(workshop: Workshop, memory: int) -> None:
    us, bank = both_ways(workshop, INNER, OUTER, memory_bytes=memory)
    message = sealed(us, CONTENT)
    assert opened(bank, message) == CONTENT
    inside = opened(workshop.seal("bank", "us", form="enveloped"), message)
    assert opened(workshop.seal("bank", "us", form="signed"), inside) == CONTENT, "the first layer is the innermost"
    assert us.kind == "layers"


def test_what_one_layer_refuses_the_whole_refuses_with_its_code(workshop: Workshop) -> None:
    us, bank = both_ways(workshop, INNER, OUTER)
    message = bytearray(sealed(us, CONTENT))
    message[-200] ^= 1
    assert code_of(bank, bytes(message)) == "decryption.failed"
    stripped = sealed(workshop.seal("us", "bank", form="enveloped"), CONTENT)
    assert code_of(bank, stripped) == "structure", "the inner signature is missing"
    other = built(workshop, layers(workshop, "bank", "us", INNER | {"bank_signing_certificates": ["file:bank.crt"]}, OUTER))
    assert code_of(other, sealed(us, CONTENT)) == "signer.unknown"


def test_no_inner_layer_sees_a_byte_before_the_outer_one_is_good(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    us, bank = both_ways(workshop, INNER, OUTER)
    message = bytearray(sealed(us, CONTENT))
    message[-20] ^= 1  # in the tag, behind all content
    from keys import cms

    monkeypatch.setattr(cms, "open_signed", lambda *_: pytest.fail("the inner layer was asked"))
    with pytest.raises(BadSeal):
        opened(bank, bytes(message))


def test_the_name_gets_all_suffixes_one_after_the_other(workshop: Workshop) -> None:
    profile = parse_profile(layers(workshop, "us", "bank", INNER, OUTER))
    assert profile_file_suffix(profile) == ".p7s.p7m"
    found = list(uses(profile))
    assert ("layers[0].signing_certificate", "file:us.crt") in found
    assert ("layers[1].decryption_keys", "file:us.crt") in found
    assert len(certificates(profile, workshop.directory)) == len(found)


def test_check_names_the_layer(workshop: Workshop) -> None:
    assert check(parse_profile(layers(workshop, "us", "bank", INNER, OUTER)), workshop.directory, NOW, open_keys=True) == ()
    wrong = layers(workshop, "us", "bank", INNER, OUTER | {"bank_encryption_certificates": ["file:gone.crt"]})
    (problem,) = check(parse_profile(wrong), workshop.directory, NOW, open_keys=False)
    assert problem.startswith("layers[1].bank_encryption_certificates: file:gone.crt")


def test_building_opens_nothing(workshop: Workshop) -> None:
    seal = build_seal(parse_profile(layers(workshop, "us", "bank", INNER, OUTER)), Path("/nowhere"), today)
    with pytest.raises(KeyUnavailable):
        sealed(seal, b"x")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "layers", "layers": []}, "at least 2"),
        ({"kind": "layers", "layers": [{"kind": "plain"}, {"kind": "plain"}]}, "neither plain nor layers"),
        ({"kind": "layers", "layers": [{"kind": "layers", "layers": []}] * 2}, "neither plain nor layers"),
        ({"kind": "layers", "layers": ["cms", "cms"]}, "a layer is a table"),
        ({"kind": "layers", "layers": [{"kind": "cms", "form": "signed"}] * 2}, "signing_key: Field required"),
        ({"kind": "layers", "layers": [{"kind": "nothing"}] * 2}, "kind: "),
        ({"kind": "layers", "layers": [{"kind": "cms", "signing_key": "hunter2"}] * 2}, "signing_key"),
        ({"kind": "layers", "suffix": ".x", "layers": []}, "suffix"),
    ],
)
def test_mistakes_are_named_layer_by_layer_and_secrets_are_not_repeated(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as refused:
        parse_profile(table)
    assert "hunter2" not in str(refused.value)


# ---- what lies between ----------------------------------------------------------------------------------------------------


def test_nothing_of_the_content_reaches_the_disk_in_clear(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every temporary file is kept under a name here, so that it can be looked into."""
    kept: list[Path] = []

    def named(**_: Any) -> BinaryIO:
        kept.append(tmp_path / f"kept-{len(kept)}")
        return kept[-1].open("w+b", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", named)
    us, bank = both_ways(workshop, INNER, OUTER, memory_bytes=1000)
    secret = b"<IBAN>DE89370400440532013000</IBAN>" * 20_000
    assert opened(bank, sealed(us, secret)) == secret
    assert len(kept) == 2
    for path in kept:
        assert path.stat().st_size > 500_000
        assert b"DE89370400440532013000" not in path.read_bytes()


def test_a_spool_on_disk_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with spool_factory(0, random_bytes)() as spool:
        spool.write(b"x" * 300_000)
        spool.flush()
        assert [path for path in tmp_path.rglob("*") if path.stat().st_size] == []


def test_what_is_altered_on_disk_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "kept"
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: path.open("w+b", buffering=0))
    spool = Spool(0, random_bytes)
    spool.write(b"x" * 200_000)
    content = bytearray(path.read_bytes())
    first = bytes(content[: 65_536 + 16])
    content[70_000] ^= 1
    path.write_bytes(content)
    spool.seek(65_536)
    with pytest.raises(SealError, match="altered there"):
        spool.read(10)
    path.write_bytes(first * 3)
    with pytest.raises(SealError, match="altered there"):
        spool.read(10)
    spool.close()


@settings(max_examples=60)
@given(
    pieces=st.lists(st.binary(max_size=90_000), max_size=6),
    memory=st.integers(0, 200_000),
    places=st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 150_000)), max_size=8),
)
def test_a_spool_reads_back_what_was_written_from_anywhere(
    pieces: list[bytes], memory: int, places: list[tuple[int, int]]
) -> None:
    with spool_factory(memory, random_bytes)() as spool:
        for piece in pieces:
            spool.write(piece)
        whole = io.BytesIO(b"".join(pieces))
        for at, count in places:
            assert (spool.seek(at), spool.read(count)) == (whole.seek(at), whole.read(count))
        for _ in range(2):
            assert (spool.seek(0), spool.read()) == (0, whole.getvalue())
        assert spool.seek(0, io.SEEK_END) == len(whole.getvalue())


def test_a_spool_is_written_from_front_to_back() -> None:
    spool = Spool(10, random_bytes)
    spool.write(b"x" * 20)
    spool.seek(3)
    with pytest.raises(SealError, match="front to back"):
        spool.write(b"y")
    with pytest.raises(ValueError, match="before the start"):
        spool.seek(-1)
    spool.close()


def test_an_xml_signature_travels_inside_an_envelope(workshop: Workshop) -> None:
    """Other kinds are layers as well: here what "sign the XML, then encrypt it" means at many banks."""
    pytest.importorskip("signxml", reason="needs the package signxml")

    def signed_xml(own: str, bank: str) -> dict[str, Any]:
        return {
            "kind": "xmldsig",
            "signing_key": f"file:{own}.key",
            "signing_key_passphrase": "file:passphrase",
            "signing_certificate": f"file:{own}.crt",
            "bank_signing_certificates": [f"file:{bank}.crt"],
        }

    def seal(own: str, bank: str) -> Seal:
        return built(workshop, {"kind": "layers", "layers": [signed_xml(own, bank), workshop.table(own, bank, **OUTER)]})

    document = b"<Document><Amt>10</Amt></Document>"
    us, bank = seal("us", "bank"), seal("bank", "us")
    message = sealed(us, document)
    assert b"<Amt>10</Amt>" in opened(bank, message)
    inside = opened(workshop.seal("bank", "us", form="enveloped"), message)
    forged = sealed(workshop.seal("us", "bank", form="enveloped"), inside.replace(b"10", b"99"))
    assert code_of(bank, forged) is not None
