"""What a file costs that is wrong in very many places: it was made for that, or a bank has one fault in every entry."""

import io

import pytest
from lxml import etree

from formats.schemas import schema_text, validate_inbound
from formats.schemas_flood import ATTRIBUTES_MAX, FAULTS_MAX, beginning_with_all_we_tell
from formats.schemas_inbound import TREE_BYTES_MAX
from formats.schemas_problems import PROBLEMS_MAX, problems_of

MESSAGE = "camt.053.001.08"
OPEN = f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{MESSAGE}">\n<BkToCstmrStmt>\n'
HEADER = "<GrpHdr><MsgId>1</MsgId><CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr>\n"
CLOSE = "</BkToCstmrStmt></Document>"
WRONG = "<Stmt><Id>x</Id></Stmt>\n"  # a statement needs more than its id


def judged(text: str) -> tuple[bool | None, tuple[str, ...]]:
    return validate_inbound(io.BytesIO(text.encode()), MESSAGE)


def full(unit: str, before: str = "", after: str = "") -> str:
    """As many of the unit as a file may have that is still validated."""
    text = before + unit * ((TREE_BYTES_MAX - len(before) - len(after)) // len(unit)) + after
    assert TREE_BYTES_MAX - 100 < len(text) <= TREE_BYTES_MAX
    return text


@pytest.mark.timeout(60)
def test_a_file_full_of_faults_is_judged_by_its_first_ones() -> None:
    """Without the bound: minutes, and gigabytes of complaints."""
    valid, problems = judged(full(WRONG, OPEN + HEADER, CLOSE))
    assert valid is False
    assert len(problems) == PROBLEMS_MAX
    assert [problem.partition(": ")[0] for problem in problems[:2]] == [
        f"line {line}, /Document/BkToCstmrStmt/Stmt[{line - 3}]" for line in (4, 5)
    ]


@pytest.mark.timeout(60)
def test_a_file_that_goes_wrong_at_its_end_only_is_told_that_place() -> None:
    fine = "<!-- nothing -->\n"
    wrong = WRONG * 3000
    valid, problems = judged(full(fine, OPEN + HEADER, wrong + CLOSE))
    first = full(fine, OPEN + HEADER, wrong + CLOSE).count("\n") - 3000 + 1
    assert valid is False
    assert problems[0].startswith(f"line {first}, ")


@pytest.mark.timeout(60)
def test_an_element_with_endless_attributes_is_one_fault() -> None:
    """Without the bound: 200 KB took 19 seconds, and twice as much four times as long."""
    attributes = " ".join(f'a{number}="1"' for number in range(600_000))
    valid, problems = judged(OPEN + f"<GrpHdr {attributes}/>" + CLOSE)
    assert (valid, problems) == (False, (f"line 3: an element has more than {ATTRIBUTES_MAX} attributes [ATTRIBUTES]",))


@pytest.mark.parametrize("count", [1, FAULTS_MAX // 2, FAULTS_MAX + 50, 2000])
def test_the_bound_changes_nothing_of_what_is_told(count: int) -> None:
    """The same words, lines and paths within the message as from the whole, in an envelope too, on either side of the bound."""
    schema = etree.XMLSchema(etree.fromstring(schema_text(MESSAGE) or b""))
    for text in (OPEN + HEADER + WRONG * count + CLOSE, f"<e>\n\n{OPEN}{HEADER}{WRONG * count}{CLOSE}</e>"):
        root = etree.fromstring(text)
        document = root if root.tag.endswith("Document") else root[0]
        schema.validate(document)
        whole = [str(problem) for problem in problems_of(schema, document)]
        valid, problems = judged(text)
        assert valid is False
        assert [problem.replace(", /e/", ", /") for problem in problems] == [problem.replace(", /e/", ", /") for problem in whole]


def test_a_document_without_many_faults_is_not_cut() -> None:
    schema = etree.XMLSchema(etree.fromstring(schema_text(MESSAGE) or b""))
    assert beginning_with_all_we_tell(etree.fromstring(OPEN + HEADER + WRONG * FAULTS_MAX + CLOSE), schema) is None
