"""Checks a proof bundle of `bankgate audit proof`. For whoever is not us: nothing of ours is imported, only Python and `openssl`.

    python3 audit_check.py DIRECTORY [--key PUBLIC-KEY.pem]

DIRECTORY holds payment.json, lines.json, checkpoint.json, and checkpoint.sig and checkpoint.pem where the checkpoint is signed.
What is computed here stands in docs/audit.md. Exit status: 0 all of it fits; 1 something does not, and it says what.
"""

import argparse
import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class DoesNotFit(Exception):
    """Says what does not."""


def need(fits: bool, text: str) -> None:
    """Raises `DoesNotFit`."""
    if not fits:
        raise DoesNotFit(text)


def netstrings(*texts: str) -> bytes:
    """length ":" bytes "," of each."""
    return b"".join(b"%d:%b," % (len(data), data) for data in (text.encode() for text in texts))


def check_line(line: dict[str, Any]) -> None:
    """Its parts against their digests, and itself against its hash."""
    number = line["number"]
    for name, texts in (("who", ("actor", "address", "factor")), ("object", ("object_id",)), ("detail", ("detail",))):
        salt, given = line[f"{name}_salt"], [line[text] for text in texts]
        if salt is None:
            need(not any(text is not None for text in given), f"line {number}: {name} is half erased")
            continue
        digest = hmac.new(bytes.fromhex(salt), netstrings(*given), hashlib.sha256).hexdigest()
        need(digest == line[f"{name}_digest"], f"line {number}: {name} is not what was written")
    fields = ("action", "object_kind", "caller", "outcome", "who_digest", "object_digest", "detail_digest", "previous_hash")
    canonical = netstrings("bankgate-audit-1", str(number), line["moment"], *(line[name] for name in fields))
    need(hashlib.sha256(canonical).hexdigest() == line["hash"], f"line {number} is not what its hash was made of")


def root_of(line_hash: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Where an inclusion proof leads (RFC 9162, 2.1.3.2)."""
    need(0 <= index < size, f"line {index + 1} is none of the checkpoint's {size}")
    place, last, found = index, size - 1, hashlib.sha256(b"\0" + line_hash).digest()
    for beside in path:
        need(last > 0, f"line {index + 1}: its path is too long")
        if place & 1 or place == last:
            found = hashlib.sha256(b"\1" + beside + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + beside).digest()
        place, last = place >> 1, last >> 1
    need(last == 0, f"line {index + 1}: its path is too short")
    return found


def check_signature(directory: Path, key: Path | None) -> str:
    """By the key given, else by the one in the bundle; what is to be said of it."""
    signature = directory / "checkpoint.sig"
    if not signature.exists():
        need(key is None, "the checkpoint is not signed, and a key was given to check it with")
        return "NOT SIGNED: whoever has the database can have made all of this"
    by = key or directory / "checkpoint.pem"
    command = ["openssl", "dgst", "-sha256", "-verify", str(by), "-signature", str(signature)]
    done = subprocess.run([*command, str(directory / "checkpoint.json")], capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"the signature of the checkpoint is not one of {by}: {(done.stdout + done.stderr).strip()}")
    return f"signed by {by}" if key else "signed by the key in the bundle: compare that with the one you were given"


def check(directory: Path, key: Path | None) -> list[str]:
    """All of it; what was found. Raises `DoesNotFit`."""
    signed = check_signature(directory, key)
    checkpoint = json.loads((directory / "checkpoint.json").read_bytes())
    need(checkpoint["form"] == "bankgate-checkpoint-1", "checkpoint.json has a form that this script does not know")
    lines = json.loads((directory / "lines.json").read_bytes())
    need(bool(lines), "there is no line")
    for item in lines:
        line, path = item["line"], [bytes.fromhex(text) for text in item["path"]]
        check_line(line)
        root = root_of(bytes.fromhex(line["hash"]), line["number"] - 1, checkpoint["size"], path)
        need(root.hex() == checkpoint["root"], f"line {line['number']} is not one of those that the checkpoint tells of")
        if line["number"] == 1:
            need(line["hash"] == checkpoint["log"], "line 1 is not that of the checkpoint's log")
    content = (directory / "payment.json").read_bytes()
    payment, digest = json.loads(content), hashlib.sha256(content).hexdigest()
    bound = [
        line
        for line in (item["line"] for item in lines)
        if line["action"] == "audit.proof_made"
        and line["object_id"] == payment["payment_id"]
        and line["detail"] is not None
        and json.loads(line["detail"]).get("payment_sha256") == digest
    ]
    need(bool(bound), "payment.json is not the one that the log tells of")
    return [
        f"payment {payment['payment_id']}: {payment['amount']} {payment['currency']}, {payment['state']}",
        f"{len(lines)} lines of the log {checkpoint['log'][:16]}… as it stood at {checkpoint['made_at']}: all fit",
        signed,
    ]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--key", type=Path, help="the public key (PEM) that you were given on another way")
    given = parser.parse_args()
    try:
        found = check(given.directory, given.key)
    except DoesNotFit as fault:
        sys.stderr.write(f"DOES NOT FIT: {fault}\n")
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        sys.stderr.write(f"DOES NOT FIT: the bundle is not whole: {fault!r}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
