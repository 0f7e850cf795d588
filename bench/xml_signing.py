"""Signing and verifying a large pain.001, against python-xmlsec in one run: CPU seconds and memory, each in fresh processes.

    python -m bench.xml_signing [--megabytes 50] [--rounds 3]

Both write an enveloped signature with exclusive canonicalisation and RSA-SHA256, and both verify what we have signed. A peer that
is not installed is named and left out.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from bench import setting
from bench.messages_contestants import Missing, render

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
PASSPHRASE = b"bench"


def make(megabytes: int, place: Path) -> None:
    """A pain.001 of about that size, a key, a certificate, and the document signed by us."""
    from keys import store

    key = store.new_key("rsa-3072")
    certificate = store.self_signed(key, store.Subject(common_name="bench"), on=NOW, days=365)
    from cryptography.hazmat.primitives.serialization import Encoding

    store.write_new(place / "bench.key", key.encrypted_pem(PASSPHRASE, iterations=1000), private=True)
    store.write_new(place / "bench.crt", certificate.public_bytes(Encoding.PEM), private=False)
    store.write_new(place / "passphrase", PASSPHRASE, private=True)
    for size, transactions in (("small", 10), ("large", megabytes * 1_000_000 // 408)):  # 408 bytes a transaction
        render(transactions, place)
        (place / "ours.xml").rename(place / f"{size}.xml")
        sign(place, size)
        (place / "ours-signed.xml").rename(place / f"{size}-signed.xml")


def seal(place: Path) -> object:
    from keys.xmldsig_profile import XmlDsigProfile, build

    profile = XmlDsigProfile(
        kind="xmldsig",
        signing_key="file:bench.key",
        signing_key_passphrase="file:passphrase",
        signing_certificate="file:bench.crt",
        bank_signing_certificates=("file:bench.crt",),
    )
    return build(profile, place, lambda: NOW + timedelta(days=1))


def sign(place: Path, size: str) -> None:
    with (place / f"{size}.xml").open("rb") as source, (place / "ours-signed.xml").open("wb") as out:
        seal(place).seal(source, out)  # type: ignore[attr-defined]


def verify(place: Path, size: str) -> None:
    with (place / f"{size}-signed.xml").open("rb") as source, (place / "opened.xml").open("wb") as out:
        seal(place).open(source, out)  # type: ignore[attr-defined]


def xmlsec_sign(place: Path, size: str) -> None:
    if find_spec("xmlsec") is None:
        raise Missing("xmlsec")
    import xmlsec
    from lxml import etree

    tree = etree.parse(str(place / f"{size}.xml"))
    how = xmlsec.Transform
    signature = xmlsec.template.create(tree, how.EXCL_C14N, how.RSA_SHA256, ns="ds")
    tree.getroot().append(signature)
    reference = xmlsec.template.add_reference(signature, how.SHA256, uri="")
    xmlsec.template.add_transform(reference, how.ENVELOPED)
    xmlsec.template.add_transform(reference, how.EXCL_C14N)
    xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(str(place / "bench.key"), xmlsec.KeyFormat.PEM, PASSPHRASE.decode())
    context.key.load_cert_from_file(str(place / "bench.crt"), xmlsec.KeyFormat.PEM)
    context.sign(signature)
    tree.write(str(place / "theirs-signed.xml"), encoding="utf-8")


def xmlsec_verify(place: Path, size: str) -> None:
    if find_spec("xmlsec") is None:
        raise Missing("xmlsec")
    import xmlsec
    from lxml import etree

    root = etree.parse(str(place / f"{size}-signed.xml")).getroot()
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(str(place / "bench.crt"), xmlsec.KeyFormat.CERT_PEM)
    context.verify(xmlsec.tree.find_node(root, xmlsec.Node.SIGNATURE))


CONTESTANTS: dict[str, Callable[[Path, str], None]] = {
    "sign": sign,
    "xmlsec-sign": xmlsec_sign,
    "verify": verify,
    "xmlsec-verify": xmlsec_verify,
}
GROUPS = (
    ("signed (goal: at most 0.5 × python-xmlsec)", "sign", ("xmlsec-sign",)),
    ("verified, and what was signed written", "verify", ("xmlsec-verify",)),
)


def peak_mib() -> float:
    """The peak of this process (Linux). Not ru_maxrss, which a process inherits from the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def one(name: str, place: Path) -> None:
    """In a process of its own: runs a contestant and prints what it cost."""
    try:
        CONTESTANTS[name](place, "small")  # imports and keys: paid once a process, and not what is asked
    except Missing as peer:
        print(json.dumps({"missing": str(peer)}))
        return
    start = peak_mib()
    before = resource.getrusage(resource.RUSAGE_SELF)
    CONTESTANTS[name](place, "large")
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu": cpu, "rss_mib": peak_mib(), "more_mib": peak_mib() - start}))


def measured(name: str, place: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.xml_signing", "--one", name, "--place", str(place)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main(megabytes: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bankgate-bench-") as scratch:
        place = Path(scratch)
        make(megabytes, place)
        size = (place / "large.xml").stat().st_size / 1e6
        print(f"XML signatures: {setting.machine()}; {size:.0f} MB pain.001.001.09, medians of {rounds} rounds, CPU time")
        for title, ours, peers in GROUPS:
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in (ours, *peers)}
            for _ in range(rounds):
                for name, results in runs.items():
                    results.append(measured(name, place))
            print(f"  {title}")
            base = 0.0
            for name, results in runs.items():
                if "missing" in results[0]:
                    print(f"    {name:14} not installed")
                    continue
                cpu = statistics.median(r["cpu"] for r in results)
                base = base or cpu
                memory, more = (max(r[key] for r in results) for key in ("rss_mib", "more_mib"))
                ratio = "" if name == ours else f"  ours takes {base / cpu:.2f} × of it"
                print(f"    {name:14} {cpu:6.2f} s, peak {memory:5.0f} MiB ({more:5.0f} for the document){ratio}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.place)
    else:
        main(given.megabytes, given.rounds)
