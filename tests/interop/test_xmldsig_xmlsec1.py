"""XML signatures against programs that we did not write, in both directions: xmlsec1; python-xmlsec and signxml where present."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from keys.seal import BadSeal
from tests.keys.workshop import NOW, PASSPHRASE, Workshop, opened, sealed
from tests.keys.xml_workshop import xml_seal

pytestmark = pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="needs the program xmlsec1")

# With everything that canonicalisation treats on its own: inherited namespaces, xml: attributes, CDATA, references, blanks.
CONTENT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<?before it?>\n'
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xml:lang="en" xsi:schemaLocation="a b"><CstmrCdtTrfInitn b="2" a="1">\n  <Nm>Café &amp; <![CDATA[<Söhne>]]>&#13;</Nm>'
    '<b:Other xmlns:b="urn:b" b:k="&quot;"><Empty/></b:Other><!-- gone --></CstmrCdtTrfInitn>'
    "<SplmtryData xml:space='preserve'><Envlp/></SplmtryData></Document>\n<?after it?>\n"
).encode()
DS = "http://www.w3.org/2000/09/xmldsig#"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("xmlsec1"))
    made.party("us", "rsa-3072")
    made.party("us-ec", "ec-p256")
    made.party("bank-ec", "ec-p384")
    return made


def canonical(exclusive: bool) -> bytes:
    tree = etree.fromstring(CONTENT).getroottree()
    return bytes(etree.tostring(tree, method="c14n", exclusive=exclusive, with_comments=False))


def xmlsec1(*arguments: str) -> None:
    """Runs the program; its own words are shown when it fails."""
    done = subprocess.run(["xmlsec1", *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")


# ---- ours, read by xmlsec1 --------------------------------------------------------------------------------------------

SEALED_BY_US: list[tuple[str, dict[str, Any]]] = [
    ("us", {}),
    ("us", {"canonicalization": "inclusive"}),
    ("us", {"canonicalization": "inclusive", "signature_prefix": ""}),
    ("us", {"signature": "rsa-pkcs1-sha384", "signature_prefix": "", "signature_path": "SplmtryData/Envlp"}),
    ("us", {"signature": "rsa-pkcs1-sha512", "canonicalization": "inclusive", "signature_path": "SplmtryData/Envlp"}),
    ("us", {"key_info": "issuer-serial", "xml_declaration": False}),
    ("us-ec", {"signature": "ecdsa-sha256", "key_info": "none"}),
    ("bank-ec", {"signature": "ecdsa-sha384", "canonicalization": "inclusive"}),
]


def verified_by_xmlsec1(workshop: Workshop, message: bytes, own: str, tmp_path: Path) -> None:
    (tmp_path / "message.xml").write_bytes(message)
    certificate = str(workshop.directory / f"{own}.crt")
    how = ("--verify", "--id-attr:Id", "SignedProperties", "--enabled-key-data", "x509,rsa,ecdsa")
    xmlsec1(*how, "--pubkey-cert-pem", certificate, str(tmp_path / "message.xml"))


@pytest.mark.parametrize("kind", ["xmldsig", "xades"])
@pytest.mark.parametrize(("own", "changes"), SEALED_BY_US)
def test_xmlsec1_verifies_what_we_sign(workshop: Workshop, tmp_path: Path, kind: str, own: str, changes: dict[str, Any]) -> None:
    seal = xml_seal(workshop, own, own, kind=kind, **changes)
    message = sealed(seal, CONTENT)
    verified_by_xmlsec1(workshop, message, own, tmp_path)
    assert opened(seal, message) == canonical(changes.get("canonicalization") != "inclusive")


@pytest.mark.parametrize("kind", ["xmldsig", "xades"])
def test_xmlsec1_refuses_what_we_sign_once_it_is_altered(workshop: Workshop, tmp_path: Path, kind: str) -> None:
    """Else the test above would prove nothing."""
    message = sealed(xml_seal(workshop, "us", "us", kind=kind), CONTENT)
    altered = [message.replace("Café".encode(), b"Cafe")]
    if kind == "xades":
        altered.append(message.replace(b"T12:00:00Z", b"T12:00:01Z"))
    for changed in altered:
        assert changed != message
        with pytest.raises(AssertionError):
            verified_by_xmlsec1(workshop, changed, "us", tmp_path)


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("canonicalization", ["exclusive", "inclusive"])
def test_python_xmlsec_verifies_our_rsa_pss(workshop: Workshop, digest: str, canonicalization: str) -> None:
    """xmlsec1 learned RSA-PSS in 1.3; Debian's is 1.2."""
    xmlsec = pytest.importorskip("xmlsec", reason="needs the package xmlsec")
    message = sealed(xml_seal(workshop, "us", "us", signature=f"rsa-pss-{digest}", canonicalization=canonicalization), CONTENT)

    def verify(document: bytes) -> None:
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_file(str(workshop.directory / "us.crt"), xmlsec.KeyFormat.CERT_PEM)
        context.verify(xmlsec.tree.find_node(etree.fromstring(document), "Signature"))

    verify(message)
    with pytest.raises(xmlsec.Error):
        verify(message.replace("Café".encode(), b"Cafe"))


# ---- xmlsec1's, read by us --------------------------------------------------------------------------------------------


def template(
    *,
    c14n: str = EXCLUSIVE,
    method: str = f"{MORE}rsa-sha256",
    digest: str = SHA256,
    prefix: str = "",
    uri: str = "",
    prefixes: str = "",
    key_info: str = "<{p}X509Data/>",
    transforms: str | None = None,
) -> str:
    """A signature to be filled in."""
    parameter = f'<InclusiveNamespaces xmlns="{EXCLUSIVE}" PrefixList="{prefixes}"/>' if prefixes else ""
    enveloped = "" if uri else f'<{{p}}Transform Algorithm="{DS}enveloped-signature"/>'
    chain = f'{enveloped}<{{p}}Transform Algorithm="{c14n}">{parameter}</{{p}}Transform>' if transforms is None else transforms
    text = f"""
  <{{p}}Signature xmlns{{x}}="{DS}">
    <{{p}}SignedInfo><!-- indented, with a comment -->
      <{{p}}CanonicalizationMethod Algorithm="{c14n}">{parameter}</{{p}}CanonicalizationMethod>
      <{{p}}SignatureMethod Algorithm="{method}"/>
      <{{p}}Reference URI="{uri}">
        <{{p}}Transforms>{chain}</{{p}}Transforms>
        <{{p}}DigestMethod Algorithm="{digest}"/><{{p}}DigestValue/>
      </{{p}}Reference>
    </{{p}}SignedInfo>
    <{{p}}SignatureValue/>
    <{{p}}KeyInfo>{key_info}</{{p}}KeyInfo>
  </{{p}}Signature>
"""
    return text.format(p=f"{prefix}:" if prefix else "", x=f":{prefix}" if prefix else "")


def signed_by_xmlsec1(workshop: Workshop, tmp_path: Path, own: str = "us", *, inside: str = "</Document>", **how: Any) -> bytes:
    source, out = tmp_path / "template.xml", tmp_path / "signed.xml"
    source.write_bytes(CONTENT.replace(inside.encode(), template(**how).encode() + inside.encode(), 1))
    key = f"{workshop.directory / own}.key,{workshop.directory / own}.crt"
    xmlsec1("--sign", "--pwd", PASSPHRASE, "--privkey-pem", key, "--output", str(out), str(source))
    return out.read_bytes()


SIGNED_BY_XMLSEC1: list[tuple[str, dict[str, Any]]] = [
    ("us", {}),
    ("us", {"prefix": "ds"}),
    ("us", {"c14n": INCLUSIVE}),
    ("us", {"c14n": INCLUSIVE, "prefix": "ds"}),
    ("us", {"prefixes": "xsi b"}),
    ("us", {"method": f"{MORE}rsa-sha384", "digest": f"{MORE}sha384"}),
    ("us", {"method": f"{MORE}rsa-sha512", "digest": "http://www.w3.org/2001/04/xmlenc#sha512", "c14n": INCLUSIVE}),
    ("us", {"key_info": "<{p}KeyName/>"}),
    ("us", {"key_info": "<{p}X509Data><{p}X509IssuerSerial/></{p}X509Data>"}),
    ("us", {"key_info": "<{p}KeyValue/><{p}X509Data/>"}),
    ("us", {"transforms": f'<{{p}}Transform Algorithm="{DS}enveloped-signature"/>'}),
    ("us-ec", {"method": f"{MORE}ecdsa-sha256"}),
    ("bank-ec", {"method": f"{MORE}ecdsa-sha384", "c14n": INCLUSIVE}),
]


@pytest.mark.parametrize(("own", "how"), SIGNED_BY_XMLSEC1)
def test_we_open_what_xmlsec1_signs(workshop: Workshop, tmp_path: Path, own: str, how: dict[str, Any]) -> None:
    message = signed_by_xmlsec1(workshop, tmp_path, own, **how)
    tree = etree.fromstring(CONTENT.replace(b"</Document>", b"\n  \n</Document>")).getroottree()  # the blanks around it stay
    exclusive = how.get("c14n") != INCLUSIVE and "transforms" not in how
    prefixes = {"inclusive_ns_prefixes": how["prefixes"].split()} if "prefixes" in how else {}
    expected = etree.tostring(tree, method="c14n", exclusive=exclusive, with_comments=False, **prefixes)
    assert opened(xml_seal(workshop, "us", own), message) == expected


def test_we_open_what_xmlsec1_signs_inside_the_document(workshop: Workshop, tmp_path: Path) -> None:
    for c14n in (EXCLUSIVE, INCLUSIVE):
        message = signed_by_xmlsec1(workshop, tmp_path, inside="</SplmtryData>", c14n=c14n)
        assert b"Caf" in opened(xml_seal(workshop, "us", "us", signature_path="SplmtryData"), message)


@pytest.mark.parametrize("c14n", [EXCLUSIVE, INCLUSIVE])
def test_what_xmlsec1_signs_is_refused_once_it_is_altered(workshop: Workshop, tmp_path: Path, c14n: str) -> None:
    message = signed_by_xmlsec1(workshop, tmp_path, c14n=c14n)
    assert refusal(workshop, message.replace("Café".encode(), b"Cafe")).code == "signature.invalid"
    assert refusal(workshop, message.replace(b"xml:lang", b"xml:base")).code == "signature.invalid"


def refusal(workshop: Workshop, message: bytes) -> BadSeal:
    with pytest.raises(BadSeal) as refused:
        opened(xml_seal(workshop, "us", "us"), message)
    return refused.value


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "rsa-sha1": ({"method": f"{DS}rsa-sha1"}, "algorithm.refused", "SHA-1"),
    "a digest by sha1": ({"digest": f"{DS}sha1"}, "algorithm.refused", "SHA-1"),
    "canonical form with comments": ({"c14n": f"{EXCLUSIVE}WithComments"}, "algorithm.refused", "with comments"),
    "canonical XML 1.1": ({"c14n": "http://www.w3.org/2006/12/xml-c14n11"}, "algorithm.refused", "Canonical XML 1.1"),
    "a file beside the document": ({"uri": "file:///etc/hostname", "transforms": ""}, "reference.refused", "outside"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_xmlsec1_signs_and_accepts_is_refused_where_it_is_weak(workshop: Workshop, tmp_path: Path, name: str) -> None:
    """Signed for good: xmlsec1 itself says OK."""
    how, code, words = REFUSED[name]
    message = signed_by_xmlsec1(workshop, tmp_path, **how)
    verified_by_xmlsec1(workshop, message, "us", tmp_path)
    refused = refusal(workshop, message)
    assert refused.code == code
    assert words in refused.detail


def test_a_shared_secret_is_no_signature_of_the_bank(workshop: Workshop, tmp_path: Path) -> None:
    """The certificate of the bank, which everybody has, as the secret of an HMAC: algorithm confusion."""
    source, out = tmp_path / "template.xml", tmp_path / "signed.xml"
    how = template(method=f"{MORE}hmac-sha256", key_info="")
    source.write_bytes(CONTENT.replace(b"</Document>", how.encode() + b"</Document>"))
    xmlsec1("--sign", "--hmackey", str(workshop.directory / "us.crt"), "--output", str(out), str(source))
    refused = refusal(workshop, out.read_bytes())
    assert refused.code == "algorithm.refused"
    assert "HMAC" in refused.detail


# ---- signxml ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["ds", ""])
@pytest.mark.parametrize("kind", ["xmldsig", "xades"])
def test_signxml_verifies_what_we_sign(workshop: Workshop, kind: str, prefix: str) -> None:
    """Exclusive and without processing instructions around the document only: signxml 5.2.0 refuses others, and inclusive
    canonicalisation under a default namespace or `xml:` attributes, by xmlsec1 as by us."""
    signxml = pytest.importorskip("signxml", reason="needs the package signxml")
    from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier

    document = CONTENT.replace(b"<?before it?>", b"").replace(b"<?after it?>", b"")
    message = sealed(xml_seal(workshop, "us", "us", kind=kind, signature_prefix=prefix), document)
    if kind == "xades":
        how: Any = XAdESSignatureConfiguration(verification_time=NOW, expect_references=2)
        result = XAdESVerifier().verify(message, x509_cert=workshop.certificates["us"], expect_config=how)[0]
    else:
        how = signxml.SignatureConfiguration(verification_time=NOW)
        result = signxml.XMLVerifier().verify(message, x509_cert=workshop.certificates["us"], expect_config=how)
    assert result.signed_data == opened(xml_seal(workshop, "us", "us", kind=kind), message)


@pytest.mark.parametrize("kind", ["xmldsig", "xades"])
@pytest.mark.parametrize("c14n", [EXCLUSIVE, INCLUSIVE])
def test_we_open_what_signxml_signs(workshop: Workshop, kind: str, c14n: str) -> None:
    """But for its XAdES with exclusive canonicalisation, which is invalid (signxml 5.2.0: the reference to the properties names
    no transform, and they are digested with one): refused, as by xmlsec1."""
    signxml = pytest.importorskip("signxml", reason="needs the package signxml")
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
    from signxml.xades import XAdESSigner

    make = XAdESSigner if kind == "xades" else signxml.XMLSigner
    signer = make(c14n_algorithm=signxml.CanonicalizationMethod(c14n))
    key = load_pem_private_key((workshop.directory / "us.key").read_bytes(), PASSPHRASE.encode())
    certificate = workshop.certificates["us"].public_bytes(Encoding.PEM).decode()
    root = etree.fromstring(CONTENT.replace(b' xml:lang="en"', b""))
    message = etree.tostring(signer.sign(root, key=key, cert=certificate))
    seal = xml_seal(workshop, "us", "us", kind=kind)
    if kind == "xades" and c14n == EXCLUSIVE:
        with pytest.raises(BadSeal, match=r"signature\.invalid"):
            opened(seal, message)
    else:
        assert b"Caf" in opened(seal, message)
