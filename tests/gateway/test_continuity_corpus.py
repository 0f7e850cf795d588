"""Real statements against the rules of continuity: nothing they hold breaks the comparison, and names no account."""

import os
import re
from pathlib import Path

import pytest

from formats.errors import Unparsable
from formats.reader import parse
from formats.report import Document, Entry, Statement
from gateway.continuity import Reading, StatementFacts, findings

CORPUS = Path(os.environ.get("BANKGATE_CORPUS") or Path(__file__).parents[3] / "shared" / "samples")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b")


def facts_of(path: Path) -> list[StatementFacts]:
    readings: list[Reading] = []
    message = ""
    with path.open("rb") as source:
        for record in parse(source, strict=False):
            if isinstance(record, Document):
                message = record.message
            elif isinstance(record, Statement):
                readings.append(Reading(message, record))
            elif isinstance(record, Entry):
                readings[-1].take(record)
    return [facts for reading in readings if (facts := reading.facts()) is not None]


@pytest.mark.skipif(not (CORPUS / "INDEX.tsv").is_file(), reason="BANKGATE_CORPUS names no folder of real bank files")
def test_every_statement_of_the_corpus_can_be_compared() -> None:
    compared = 0
    for path in sorted([*CORPUS.glob("camt.053/*"), *CORPUS.glob("MT940/*")]):
        try:
            known = facts_of(path)
        except Unparsable:
            continue
        compared += len(known)
        for chain in {facts.chain for facts in known}:
            told = findings([facts for facts in known if facts.chain == chain])
            assert told == findings([facts for facts in reversed(known) if facts.chain == chain]), path.name
            assert not IBAN.search(repr([finding.facts | {"statement_id": ""} for finding in told])), path.name
    assert compared > 90
