"""What the plugin makes of its samples today where nothing else is expected yet: for a person to read, and take over or not."""

import json
from collections.abc import Iterator

from formats.conformance.card import Case
from formats.conformance.folder import RECORDS, RULES
from formats.conformance.inbound import records_of, trimmed
from formats.conformance.outbound import findings, golden, refused, rendered, unsaid, violations_of
from formats.conformance.samples import expected_file
from formats.errors import Unparsable, Unrenderable


def proposals(case: Case) -> Iterator[tuple[str, bytes]]:
    """Each expected file that is missing or differs, by its name in the samples' folder, as it would be today.

    What the plugin refuses has no proposal: the card tells why.
    """
    yield from _messages(case)
    yield from _records(case)
    for sample in case.samples.bad:
        said = findings(violations_of(case, sample, sample.message))
        if said and sorted(said) != sorted(sample.expected or ()):
            lines = [f"on {sample.on.isoformat()}", *map(" ".join, said)]
            yield sample.file.removesuffix(".json") + RULES, ("\n".join(lines) + "\n").encode()


def _messages(case: Case) -> Iterator[tuple[str, bytes]]:
    wanted = [(request, message, None) for request, message in unsaid(case) if request is not None]
    for request, message, expected in (*wanted, *golden(case)):
        if refused(case, request, message):
            continue
        try:
            document = rendered(case, request.payments, message, request)
        except Unrenderable:
            continue
        if document != expected:
            yield expected_file(request, message, document), document


def _records(case: Case) -> Iterator[tuple[str, bytes]]:
    for sample in case.samples.inbound:
        try:
            found = records_of(case, sample)
        except Unparsable:
            continue
        if sample.expected is None or [trimmed(line) for line in sample.expected] != found:
            lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found)
            yield f"inbound/{sample.base_name.rpartition('.')[0]}{RECORDS}", lines.encode()
