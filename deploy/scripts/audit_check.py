"""Checks a proof bundle of `bankgate audit proof`. For whoever is not us: nothing of ours is imported, only Python and `openssl`.

    python3 audit_check.py DIRECTORY [--key PUBLIC-KEY.pem]

DIRECTORY holds payment.json, events.json, lines.json, checkpoint.json, and checkpoint.sig and checkpoint.pem where the checkpoint
is signed.
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


def root_of(what: str, leaf: bytes, index: int, size: int, path: list[str]) -> str:
    """Where an inclusion proof leads (RFC 9162, 2.1.3.2)."""
    need(0 <= index < size, f"{what} is none of the {size}")
    place, last, found = index, size - 1, hashlib.sha256(b"\0" + leaf).digest()
    for beside in map(bytes.fromhex, path):
        need(last > 0, f"{what}: its path is too long")
        if place & 1 or place == last:
            found = hashlib.sha256(b"\1" + beside + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + beside).digest()
        place, last = place >> 1, last >> 1
    need(last == 0, f"{what}: its path is too short")
    return found.hex()


FIELDS = {
    "payment_events": ("payment_id", "moment", "state", "previous_state", "message_id", "reason_code"),
    "delivery_events": (
        "delivery_id",
        "moment",
        "state",
        "previous_state",
        "number_in_delivery",
        "event",
        "attempt",
        "reason_code",
    ),
}


def check_event(event: dict[str, Any], seals: dict[tuple[str, int], dict[str, Any]]) -> None:
    """An event against its digest, and itself against the root of its seal."""
    stream, number = event["stream"], event["number"]
    what = f"event {number} of {stream}"
    if event["salt"] is not None:
        hidden = netstrings(event["source"], event["reason"])
        digest = hmac.new(bytes.fromhex(event["salt"]), hidden, hashlib.sha256).hexdigest()
        need(digest == event["hidden_digest"], f"{what}: source or reason is not what was sealed")
    texts = (event[name] for name in FIELDS[stream])
    leaf = hashlib.sha256(netstrings("bankgate-event-1", stream, *texts, event["hidden_digest"])).digest()
    over = [one for one in seals.values() if one["stream"] == stream and 0 <= number - one["first"] < one["count"]]
    need(len(over) == 1, f"{what}: its seal is not there")
    root = root_of(what, leaf, number - over[0]["first"], over[0]["count"], event["path"])
    need(root == over[0]["root"], f"{what} is not what was sealed")


def check_seals(seals: dict[tuple[str, int], dict[str, Any]], lines: list[dict[str, Any]]) -> None:
    """Each seal against its hash, and that against a line that tells of it, or of one that follows it."""
    told: dict[str, str] = {}
    for line in lines:
        if line["action"] == "events.sealed":
            told[line["object_id"]] = json.loads(line["detail"])["hash"]
        elif line["action"] == "audit.pruned" and line["detail"] is not None:
            told.update(json.loads(line["detail"])["seals"])
    for (stream, first), seal in sorted(seals.items(), reverse=True):
        name, after = f"{stream}:{first}", (stream, first + seal["count"])
        numbers = (str(first), str(seal["count"]))
        canonical = netstrings("bankgate-seal-1", stream, *numbers, seal["month"], seal["root"], seal["previous_hash"])
        need(hashlib.sha256(canonical).hexdigest() == seal["hash"], f"the seal {name} is not what its hash was made of")
        bound = told.get(name) or (seals[after]["previous_hash"] if after in seals else None)
        need(bound == seal["hash"], f"the seal {name} is not one that the log tells of")


def check_events(directory: Path, payment: dict[str, Any], lines: list[dict[str, Any]]) -> str:
    """All events, and that they are those of the payment; what was found."""
    found = json.loads((directory / "events.json").read_bytes())
    seals = {(one["stream"], one["first"]): one for one in found["seals"]}
    check_seals(seals, lines)
    for event in found["events"]:
        check_event(event, seals)
    ours = [event for event in found["events"] if event["stream"] == "payment_events"]
    need(all(event["payment_id"] == payment["payment_id"] for event in ours), "there is an event of another payment")
    numbers = [event["number"] for event in ours]
    need(numbers == sorted(set(numbers)), "the events of the payment are not in their order")
    for event, told in zip(ours, payment["events"], strict=False):
        same = [(told["at"], event["moment"]), (told["state"], event["state"]), (told["reason"], event["reason_code"])]
        same += [(told["previous_state"] or "", event["previous_state"]), (told["message_id"] or "", event["message_id"])]
        need(all(left == right for left, right in same), f"event {event['number']} is not the one in payment.json")
    need(len(ours) <= len(payment["events"]), "payment.json lacks an event")
    later = len(payment["events"]) - len(ours)
    more = f"; {later} are not sealed yet, and bound by payment.json alone" if later else ""
    return (
        f"{len(ours)} events of the payment and {len(found['events']) - len(ours)} of its message are as they were sealed{more}"
    )


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
        line, what = item["line"], f"line {item['line']['number']}"
        check_line(line)
        root = root_of(what, bytes.fromhex(line["hash"]), line["number"] - 1, checkpoint["size"], item["path"])
        need(root == checkpoint["root"], f"{what} is not one of those that the checkpoint tells of")
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
    events = check_events(directory, payment, [item["line"] for item in lines])
    return [
        f"payment {payment['payment_id']}: {payment['amount']} {payment['currency']}, {payment['state']}",
        events,
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
