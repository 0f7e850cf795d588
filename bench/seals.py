"""Sealing and opening a large file, against the programs themselves in one run: seconds of wall and CPU, each in fresh processes.

    python -m bench.seals [--megabytes 50] [--rounds 5]

Peers: `openssl cms` (sign, then encrypt; decrypt, then verify; DER through a pipe) and `gpg` (sign and encrypt in one run;
decrypt), with the same keys and algorithms. Their time counts from their start to their end, ours from `seal` or `open` called to
returned. The CPU of gpg's agent counts on both sides, where /proc tells it. One that is not installed is named and left out. The
national seal has no program that writes its messages and is measured alone.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from bench import setting
from bench.messages_contestants import Missing, render

WORD = "bench"
BYTES_A_TRANSACTION = 408  # of the pain.001 that bench.messages renders
NOW = datetime.now(UTC)  # openssl and gpg judge certificates and keys by the clock of the machine


# ---- what is needed beforehand ----------------------------------------------------------------------------------------


def make(megabytes: int, place: Path) -> None:
    """The content, small and large, the keys of two parties for each seal, and messages to open."""
    (place / "word").write_text(WORD)
    (place / "word").chmod(0o600)
    for size, transactions in (("small", 10), ("large", megabytes * 1_000_000 // BYTES_A_TRANSACTION)):
        render(transactions, place)
        (place / "ours.xml").rename(place / f"{size}.xml")
    make_cms_keys(place)
    made = ["cms"]
    if shutil.which("gpg") and shutil.which("gpg-agent"):
        make_openpgp_keys(place)
        made += ["openpgp", "openpgp-plain"]
    if find_spec("gmssl_pyx"):
        make_sm_keys(place)
        made += ["sm"]
    for kind in made:
        for size in ("small", "large"):
            pass_through(kind, "seal", place / f"{size}.xml", place / f"{kind}-{size}", place)


def make_cms_keys(place: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    from keys import store

    for name in ("us", "bank"):
        key = store.new_key("rsa-3072")
        certificate = store.self_signed(key, store.Subject(common_name=name), on=NOW, days=30)
        store.write_new(place / f"{name}.key", key.encrypted_pem(WORD.encode(), iterations=2048), private=True)
        store.write_new(place / f"{name}.crt", certificate.public_bytes(Encoding.PEM), private=False)


def gpg(place: Path, *arguments: str, content: bytes | None = None) -> bytes:
    words = ["gpg", "--homedir", str(place / "gnupg"), "--batch", "--yes", "--quiet", "--trust-model", "always"]
    words += ["--pinentry-mode", "loopback", "--passphrase", WORD, *arguments]
    return subprocess.run(words, check=True, input=content, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def make_openpgp_keys(place: Path) -> None:
    (place / "gnupg").mkdir(mode=0o700)
    for name in ("us", "bank"):
        gpg(place, "--quick-generate-key", f"{name}@example.com", "rsa3072", "sign,encr", "30d")
        listing = gpg(place, "--with-colons", "--list-keys", f"{name}@example.com").decode()
        fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
        (place / f"{name}.fpr").write_text(fingerprint)
        (place / f"{name}.pgp").write_bytes(gpg(place, "--export", fingerprint))
        (place / f"{name}.sec").write_bytes(gpg(place, "--export-secret-keys", fingerprint))
        (place / f"{name}.sec").chmod(0o600)


def make_sm_keys(place: Path) -> None:
    from keys import sm, sm_keys, store

    for name in ("us", "bank"):
        key = sm.new_private_key(store.random_bytes)
        pem = sm_keys.encrypted_pem(key, WORD.encode(), store.random_bytes, iterations=2048)
        store.write_new(place / f"{name}.sm.key", pem, private=True)
        store.write_new(place / f"{name}.sm.pub", sm_keys.public_pem(key.public), private=False)


# ---- ours -------------------------------------------------------------------------------------------------------------


def seal_table(kind: str, place: Path) -> dict[str, object]:
    """Each party is both ends, so that one table seals and opens: signed by "us", encrypted for "bank"."""
    if kind.startswith("openpgp"):
        us, bank = ((place / f"{name}.fpr").read_text() for name in ("us", "bank"))
        return {
            "kind": "openpgp",
            "signing_key": "file:us.sec",
            "signing_key_passphrase": "file:word",
            "signing_fingerprint": us,
            "bank_keys": ["file:us.pgp", "file:bank.pgp"],
            "bank_encryption_fingerprints": [bank],
            "bank_signing_fingerprints": [us],
            "decryption_keys": [{"key": "file:bank.sec", "passphrase": "file:word"}],
            "compression": "none" if kind == "openpgp-plain" else "zlib",
        }
    middle, end = (".sm", "pub") if kind == "sm" else ("", "crt")
    return {
        "kind": kind,
        "signing_key": f"file:us{middle}.key",
        "signing_key_passphrase": "file:word",
        "signing_certificate": f"file:us{middle}.{end}",
        "bank_encryption_certificates": [f"file:bank{middle}.{end}"],
        "bank_signing_certificates": [f"file:us{middle}.{end}"],
        "decryption_keys": [
            {"key": f"file:bank{middle}.key", "passphrase": "file:word", "certificate": f"file:bank{middle}.{end}"}
        ],
    }


def pass_through(kind: str, direction: str, source: Path, target: Path, place: Path) -> None:
    from keys.profiles import build_seal, parse_profile

    seal = build_seal(parse_profile(seal_table(kind, place)), place, lambda: datetime.now(UTC) + timedelta(seconds=5))
    with source.open("rb") as reading, target.open("wb") as writing:
        (seal.seal if direction == "seal" else seal.open)(reading, writing)


def ours(kind: str, direction: str) -> Callable[[str, Path], None]:
    def run(size: str, place: Path) -> None:
        if not (place / f"{kind}-{size}").exists() and direction == "open":
            raise Missing("the program or package behind it")
        source = place / (f"{size}.xml" if direction == "seal" else f"{kind}-{size}")
        pass_through(kind, direction, source, place / "out", place)

    return run


# ---- the programs -----------------------------------------------------------------------------------------------------


def two(first: list[str], second: list[str], place: Path, source: Path) -> None:
    """Two programs, one piped into the other, as a shell would."""
    if shutil.which(first[0]) is None:
        raise Missing(first[0])
    with source.open("rb") as reading, (place / "out").open("wb") as writing:
        one = subprocess.Popen(first, cwd=place, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        other = subprocess.Popen(second, cwd=place, stdin=one.stdout, stdout=writing, stderr=subprocess.DEVNULL)
        assert one.stdout is not None
        one.stdout.close()
        assert (one.wait(), other.wait()) == (0, 0)


def openssl_seal(size: str, place: Path) -> None:
    sign = ["openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-signer", "us.crt", "-inkey", "us.key"]
    encrypt = ["openssl", "cms", "-encrypt", "-binary", "-aes-256-cbc", "-outform", "DER", "-recip", "bank.crt"]
    two([*sign, "-passin", f"pass:{WORD}"], encrypt, place, place / f"{size}.xml")


def openssl_open(size: str, place: Path) -> None:
    decrypt = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-recip", "bank.crt", "-inkey", "bank.key"]
    verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-CAfile", "us.crt", "-certfile", "us.crt"]
    verify += ["-nointern", "-purpose", "any"]
    two([*decrypt, "-passin", f"pass:{WORD}"], verify, place, place / f"cms-{size}")


def gpg_seal(compression: str) -> Callable[[str, Path], None]:
    def run(size: str, place: Path) -> None:
        if not (place / "us.fpr").exists():
            raise Missing("gpg")
        words = [
            "--sign",
            "--encrypt",
            "--local-user",
            (place / "us.fpr").read_text(),
            "--recipient",
            (place / "bank.fpr").read_text(),
        ]
        words += ["--cipher-algo", "AES256", "--digest-algo", "SHA512", "--compress-algo", compression]
        gpg(place, *words, "--output", str(place / "out"), str(place / f"{size}.xml"))

    return run


def gpg_open(kind: str) -> Callable[[str, Path], None]:
    def run(size: str, place: Path) -> None:
        if not (place / "us.fpr").exists():
            raise Missing("gpg")
        gpg(place, "--output", str(place / "out"), "--decrypt", str(place / f"{kind}-{size}"))

    return run


CONTESTANTS: dict[str, Callable[[str, Path], None]] = {
    "cms seal": ours("cms", "seal"),
    "openssl cms -sign | -encrypt": openssl_seal,
    "cms open": ours("cms", "open"),
    "openssl cms -decrypt | -verify": openssl_open,
    "openpgp seal": ours("openpgp", "seal"),
    "gpg --sign --encrypt": gpg_seal("zlib"),
    "openpgp open": ours("openpgp", "open"),
    "gpg --decrypt": gpg_open("openpgp"),
    "openpgp seal, not compressed": ours("openpgp-plain", "seal"),
    "gpg --sign --encrypt -z 0": gpg_seal("uncompressed"),
    "openpgp open, not compressed": ours("openpgp-plain", "open"),
    "gpg --decrypt (of that)": gpg_open("openpgp-plain"),
    "sm seal": ours("sm", "seal"),
    "sm open": ours("sm", "open"),
}
GROUPS = (
    ("CMS, RSA-3072, SHA-256, AES-256-CBC: sealed", "cms seal", "openssl cms -sign | -encrypt"),
    ("… opened", "cms open", "openssl cms -decrypt | -verify"),
    ("OpenPGP, RSA-3072, SHA-512, AES-256, zlib: sealed", "openpgp seal", "gpg --sign --encrypt"),
    ("… opened", "openpgp open", "gpg --decrypt"),
    ("OpenPGP, not compressed: sealed", "openpgp seal, not compressed", "gpg --sign --encrypt -z 0"),
    ("… opened", "openpgp open, not compressed", "gpg --decrypt (of that)"),
    ("SM2, SM3, SM4-CBC: sealed", "sm seal", None),
    ("… opened", "sm open", None),
)


# ---- measuring --------------------------------------------------------------------------------------------------------


def used() -> float:
    """CPU seconds of this process and of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def used_by_agent(place: Path) -> float:
    """CPU seconds so far of the agent that plain gpg left running in the background; Linux."""
    words = ["gpg-connect-agent", "--homedir", str(place / "gnupg"), "--no-autostart", "getinfo pid", "/bye"]
    if shutil.which(words[0]) is None:
        return 0.0
    said = subprocess.run(words, check=False, capture_output=True, text=True).stdout.split()
    stat = Path("/proc") / (said[1] if said[:1] == ["D"] else "none") / "stat"
    if not stat.exists():
        return 0.0
    fields = stat.read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def one(name: str, place: Path) -> None:
    """In a process of its own: runs a contestant and prints what it cost."""
    try:
        CONTESTANTS[name]("small", place)  # imports: paid once a process, and not what is asked
    except Missing as peer:
        print(json.dumps({"missing": str(peer)}))
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    agent = used_by_agent(place)
    cpu, wall = used(), time.perf_counter()
    CONTESTANTS[name]("large", place)
    wall, cpu = time.perf_counter() - wall, used() - cpu
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"wall": wall, "cpu": cpu + used_by_agent(place) - agent, "grown_mib": grown}))


def measured(name: str, place: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.seals", "--one", name, "--place", str(place)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def report(name: str, results: list[dict[str, float]], base: dict[str, float] | None) -> dict[str, float] | None:
    """One line, and its medians."""
    if "missing" in results[0]:
        print(f"    {name:32} not installed: {results[0]['missing']}")
        return None
    middle = {what: statistics.median(result[what] for result in results) for what in ("wall", "cpu")}
    grown = max(result["grown_mib"] for result in results)
    ratio = (
        f"  ours is {base['wall'] / middle['wall']:.2f} × its wall, {base['cpu'] / middle['cpu']:.2f} × its CPU" if base else ""
    )
    held = "" if base else f", memory grew by {grown:.0f} MiB"
    print(f"    {name:32} {middle['wall']:6.2f} s wall, {middle['cpu']:6.2f} s CPU{held}{ratio}")
    return middle


def main(megabytes: int, rounds: int) -> None:
    print(f"seals: {setting.machine()}; a pain.001 of {megabytes} MB, medians of {rounds} interleaved rounds")
    with tempfile.TemporaryDirectory(prefix="bankgate-bench-") as scratch:
        place = Path(scratch)
        make(megabytes, place)
        try:
            for title, name, peer in GROUPS:
                runs: dict[str, list[dict[str, float]]] = {each: [] for each in (name, peer) if each}
                for _ in range(rounds):
                    for each, results in runs.items():
                        results.append(measured(each, place))
                print(f"  {title}")
                base = report(name, runs[name], None)
                if peer:
                    report(peer, runs[peer], base)
        finally:
            if (place / "gnupg").is_dir():
                subprocess.run(["gpgconf", "--homedir", str(place / "gnupg"), "--kill", "gpg-agent"], check=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        os.environ["LC_ALL"] = "C"
        one(given.one, given.place)
    else:
        main(given.megabytes, given.rounds)
