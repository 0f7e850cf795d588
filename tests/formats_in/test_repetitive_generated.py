"""Generated and mutated documents: a camt file read by plans gives what the plain reader gives, record for record."""

import io
import random
import re
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from formats import camt_plan, camt_repetitive
from formats.camt_repetitive import Tally
from tests.formats_in.repetitive_documents import OTHER, OWN, STATEMENT, document, entry, same

TAME = (
    *("x", "Invoice 7", "NOTPROVIDED", "NONREF", "true", "false", "1", "0", "CRDT", "DBIT", "BOOK", "PMNT", "EUR", "2026-11-26"),
    *(
        OWN,
        OTHER,
        OWN.lower(),
        f"{OWN[:4]} {OWN[4:]}",
        "S",
        "M",
        "12.50",
        "12.",
        ".5",
        "٣",
        "A &amp; B",
        "&lt;",
        "Müller",
        "陈 伟",
    ),
    *("a]]", "12.", "Nr\u00a05"),
)
WILD = (
    *(
        f" {OWN}",
        f"{OWN} ",
        f"\u00a0{OWN}",
        f"\n{OWN}",
        "x ",
        " x",
        "",
        " ",
        "\n   ",
        "\u00a0",
        "\u3000",
        "a > b",
        "&#65;",
        "&#x20;",
    ),
    *("x\ty", "x\u2003", "\x85", "&lt; ", "&amp;#32;"),
)
RARE = ("<!-- c -->x", "<![CDATA[y]]>", "<?p i?>z", "&nbsp;", "]]>", "\x01", "\ufffe", "-1", "1,00", "x" * 5000, "<b>c</b>", "&")
AMOUNTS = ("1", "1.00", "250000.99", "0", "007.10", "3.")
LEAVES = (
    *("NtryRef", "CdtDbtInd", "RvslInd", "Sts", "Sts/Cd", "Sts/Prtry", "BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "AcctSvcrRef"),
    *("BkTxCd/Domn/Cd", "BkTxCd/Domn/Fmly/Cd", "BkTxCd/Domn/Fmly/SubFmlyCd", "BkTxCd/Prtry/Cd", "BkTxCd/Prtry/Issr"),
    *(
        "AddtlNtryInf",
        "NtryDtls/Btch/MsgId",
        "NtryDtls/Btch/PmtInfId",
        "NtryDtls/Btch/NbOfTxs",
        "ComssnWvrInd",
        "Avlbty/Dt/ActlDt",
    ),
)
DETAILS = (
    *(
        "Refs/MsgId",
        "Refs/AcctSvcrRef",
        "Refs/PmtInfId",
        "Refs/InstrId",
        "Refs/EndToEndId",
        "Refs/UETR",
        "Refs/TxId",
        "Refs/MndtId",
    ),
    *("CdtDbtInd", "RltdPties/Dbtr/Nm", "RltdPties/Dbtr/Pty/Nm", "RltdPties/DbtrAcct/Id/IBAN", "RltdPties/DbtrAcct/Id/Othr/Id"),
    *("RltdPties/UltmtDbtr/Nm", "RltdPties/Cdtr/Nm", "RltdPties/Cdtr/Agt/FinInstnId/Nm", "RltdPties/CdtrAcct/Id/IBAN"),
    *("RltdPties/CdtrAcct/Id/PrtryAcct/Id", "RltdPties/UltmtCdtr/Pty/Nm", "RltdAgts/DbtrAgt/FinInstnId/BICFI", "Purp/Cd"),
    *("RltdAgts/CdtrAgt/FinInstnId/BICFI", "RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref", "RmtInf/Strd/RfrdDocInf/Nb"),
    *(
        "RtrInf/Rsn/Cd",
        "RtrInf/Rsn/Prtry",
        "RtrInf/AddtlInf",
        "AddtlTxInf",
        "AmtDtls/InstdAmt/CcyXchg/XchgRate",
        "Chrgs/Rcrd/Tp/Cd",
    ),
    *("AmtDtls/CntrValAmt/CcyXchg/SrcCcy", "Chrgs/Rcrd/ChrgInclInd", "SplmtryData/Envlp/Cnts", "RltdDts/AccptncDtTm", "Tax/Dt"),
)
AMOUNT_LEAVES = ("AmtDtls/TxAmt/Amt", "AmtDtls/InstdAmt/Amt", "Chrgs/Rcrd/Amt", "Chrgs/TtlChrgsAndTaxAmt", "Amt")


def _element(path: str, content: str, attributes: str = "") -> str:
    way = path.split("/")
    opened = "".join(f"<{step}>" for step in way[:-1]) + f"<{way[-1]}{attributes}>"
    return opened + content + "".join(f"</{step}>" for step in reversed(way))


def _shape(chance: random.Random) -> str:
    """An entry with a hole `{}` for each text and `[]` for each amount."""

    def some(leaves: tuple[str, ...], most: int) -> list[str]:
        chosen = [chance.choice(leaves) for _ in range(chance.randint(0, most))]
        return [_element(leaf, hole(leaf), chance.choice(["", "", ' Id="a &gt; b"'])) for leaf in chosen]

    def hole(leaf: str) -> str:
        fixed = leaf.rpartition("/")[2] in camt_plan.STEERING and chance.random() < 0.95
        return chance.choice(TAME) if fixed else "{}"

    def amounts(leaves: tuple[str, ...]) -> list[str]:
        return [_element(leaf, "[]", f' Ccy="{chance.choice(["EUR", "USD"])}"') for leaf in leaves]

    details = []
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        inner = some(DETAILS, 8) + amounts(tuple(chance.sample(AMOUNT_LEAVES, chance.randint(0, 3))))
        chance.shuffle(inner)
        details.append("<TxDtls>" + "".join(inner) + "</TxDtls>")
    if details and chance.random() < 0.8:
        details = ["<NtryDtls>", *details, "</NtryDtls>"]
    direction = [] if chance.random() < 0.1 else [f"<CdtDbtInd>{chance.choice(['CRDT', 'DBIT', 'CRDT', '{}'])}</CdtDbtInd>"]
    parts = amounts(("Amt",)) + direction + some(LEAVES, 8) + details
    if chance.random() < 0.2:
        chance.shuffle(parts[: len(parts) - len(details)])
    return "<Ntry>" + chance.choice(["", "\n  "]).join(parts) + "</Ntry>" + chance.choice(["", "\n"])


def _filled(shape: str, chance: random.Random, rare: float) -> str:
    def text(match: re.Match[str]) -> str:
        if chance.random() < rare:
            return chance.choice(RARE)
        return chance.choice(AMOUNTS if match[0] == "[]" else WILD if chance.random() < 0.02 else TAME)

    return re.sub(r"\{\}|\[\]", text, shape)


@settings(max_examples=120)
@given(st.randoms(use_true_random=False), st.sampled_from([0.0, 0.0, 0.01]))
def test_generated_entries_of_many_shapes(chance, rare):
    shapes = [_shape(chance) for _ in range(chance.randint(1, 4))]
    entries = [_filled(chance.choice(shapes), chance, rare) for _ in range(chance.randint(8, 40))]
    same(document(*entries))


def test_generated_entries_are_read_by_plans_for_a_good_part():
    """Without this the tests that generate entries might compare the plain reader with itself."""
    total = Tally()
    for seed in range(40):
        chance = random.Random(seed)
        shape = _shape(chance)
        tally = same(document(*(_filled(shape, chance, 0.0) for _ in range(30))))
        total.by_plan += tally.by_plan
        total.by_text += tally.by_text
        total.plainly += tally.plainly
    assert total.by_plan > total.by_text + total.plainly


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_generated_statements(chance):
    shapes = [_shape(chance) for _ in range(2)]
    between = ["", "", "</Stmt>" + STATEMENT, f"</Stmt><Stmt/>{STATEMENT.replace(OWN, OTHER)}", "<TxsSummry/>", "<Bal/>", "x"]
    parts = []
    for _ in range(chance.randint(1, 4)):
        parts += [_filled(chance.choice(shapes), chance, 0.0) for _ in range(chance.randint(1, 9))]
        parts.append(chance.choice(between))
    same(document(*parts))


FRAGMENTS = (
    *(
        b"<",
        b">",
        b"&",
        b"]]>",
        b"<!--",
        b"-->",
        b"<?a ",
        b"<![CDATA[",
        b"<Ntry>",
        b"</Ntry>",
        b"</Stmt>",
        b"<Stmt>",
        b"<TxDtls>",
    ),
    *(b"<!DOCTYPE a>", b"\x00", b"\xff", b"\r", b"\r\n", b" ", b'"', b"/", b"<a/>", b"&amp;", b"&#9;", b"</Ntry >", b"<Ntry >"),
)
ORDINARY = document(*(entry(n) + "\n" for n in range(1, 13)), "<Bal/>", *(entry(n, direction="CRDT") for n in range(1, 7)))


@settings(max_examples=400)
@given(st.data())
def test_mutated_files(data):
    text = bytearray(ORDINARY)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        match data.draw(st.sampled_from(["insert", "remove", "overwrite", "repeat", "fragment", "fragment"])):
            case "insert":
                text[at:at] = data.draw(st.binary(max_size=4))
            case "remove":
                del text[at : at + data.draw(st.integers(1, 900))]
            case "overwrite":
                text[at : at + 2] = data.draw(st.binary(min_size=1, max_size=2))
            case "repeat":
                text[at:at] = text[at : at + data.draw(st.integers(1, 900))]
            case "fragment":
                text[at:at] = data.draw(st.sampled_from(FRAGMENTS))
    same(bytes(text))


@settings(max_examples=100)
@given(st.integers(1, 4000))
def test_cutting_the_file_into_blocks_anywhere_changes_nothing(size):
    with patch.object(camt_repetitive, "_READ_BYTES", size):
        assert not same(ORDINARY).given_up


def test_what_stands_between_entries_is_found_wherever_the_blocks_end():
    outside = ["<Stmt>", "<Bal>1</Bal>", "\n x \n", "</Stmt>"]
    runs = [5, 1, 4]
    text = outside[0]
    for number, between in zip(runs, outside[1:], strict=True):
        text += "\n".join(["<Ntry><A>1</A></Ntry>"] * number) + between
    for size in range(1, len(text) + 1):
        with patch.object(camt_repetitive, "_READ_BYTES", size):
            blocks = list(camt_repetitive._blocks(io.BytesIO(text.encode()), camt_repetitive._Marks()))
        pieces = [(before.decode(), block.decode()) for before, block, _ in blocks]
        assert [count for *_, count in blocks] == [block.count("<Ntry>") for _, block in pieces]
        assert "".join(part for piece in pieces for part in piece) == text
        assert [before for before, _ in pieces if before.strip()] == outside, size
        assert all(re.fullmatch(r"(\s*<Ntry><A>1</A></Ntry>)+", block) for _, block in pieces[:-1])
