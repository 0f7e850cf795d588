"""Lists from files: every form that is read, and every way in which a file can be wrong. All names are invented."""

import hashlib
import json
from datetime import date

import pytest

from gateway.policy.screening.entries import Kind
from gateway.screening_lists import ListProblem, ScreeningProblems, files_stamp, load_screen, old_lists, read_list
from gateway.screening_settings import ListSettings, ScreeningSettings

from .conftest import Lists

OWN_CSV = """id,name,account,bic,country,term,valid_from,valid_until,reason
b1,王偉,CH93 0076 2011 6238 5295 7,,,,2026-01-01,2026-12-31,fraud
,,,mockru2m,,,,,
,,,,kp,,,,
,,,,,machine parts,,,
"""
SDN = (
    '36,"FROLOV, Boris Ilyich","individual","PROG-1",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,"DOB 1970."\r\n'
    '37,"DAWN STAR SHIPPING",-0- ,"PROG-2",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n\x1a\r\n'
)
SDN_XML = """<?xml version="1.0"?><sdnList xmlns="urn:sdn"><publshInformation><Publish_Date>11/20/2026</Publish_Date>
<Record_Count>2</Record_Count></publshInformation>
<sdnEntry><uid>36</uid><firstName>Boris</firstName><lastName>FROLOV</lastName><sdnType>Individual</sdnType>
<programList><program>P1</program><program>P2</program></programList><akaList>
<aka><uid>1</uid><type>a.k.a.</type><category>strong</category><firstName>Borys</firstName><lastName>FROLOFF</lastName></aka>
<aka><uid>2</uid><category>weak</category><lastName>THE HAMMER</lastName></aka></akaList></sdnEntry>
<sdnEntry><uid>37</uid><lastName>DAWN STAR</lastName><sdnType>Entity</sdnType></sdnEntry></sdnList>"""
UN = """<?xml version="1.0" encoding="utf-8"?><CONSOLIDATED_LIST dateGenerated="2026-11-20T10:00:00.000Z">
<INDIVIDUALS><INDIVIDUAL>
<DATAID>1</DATAID><FIRST_NAME>BORIS</FIRST_NAME><SECOND_NAME>ILYICH</SECOND_NAME><THIRD_NAME>FROLOV</THIRD_NAME>
<UN_LIST_TYPE>Invented</UN_LIST_TYPE><REFERENCE_NUMBER>XXi.001</REFERENCE_NUMBER>
<NAME_ORIGINAL_SCRIPT>Борис Фролов</NAME_ORIGINAL_SCRIPT>
<INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY><ALIAS_NAME>Borys Froloff</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Hammer</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY></QUALITY><ALIAS_NAME></ALIAS_NAME></INDIVIDUAL_ALIAS></INDIVIDUAL></INDIVIDUALS>
<ENTITIES><ENTITY><DATAID>2</DATAID><FIRST_NAME>DAWN STAR SHIPPING</FIRST_NAME><REFERENCE_NUMBER>XXe.002</REFERENCE_NUMBER>
<ENTITY_ALIAS><QUALITY>a.k.a.</QUALITY><ALIAS_NAME>Dawn Lines</ALIAS_NAME></ENTITY_ALIAS></ENTITY></ENTITIES>
</CONSOLIDATED_LIST>"""
EU = """<?xml version="1.0" encoding="UTF-8"?><export xmlns="http://eu.europa.ec/fpi/fsd/export"
 generationDate="2026-11-20T09:00:00+01:00">
<sanctionEntity euReferenceNumber="EU.1.1" logicalId="1"><regulation programme="INV"/><subjectType code="person"/>
<nameAlias firstName="Boris" lastName="Frolov" wholeName="Boris Ilyich FROLOV" strong="true"/>
<nameAlias firstName="Borys" middleName="" lastName="Froloff" wholeName="" strong="true"/>
<nameAlias wholeName="Hammer" strong="false"/></sanctionEntity>
<sanctionEntity logicalId="2"><subjectType code="enterprise"/><nameAlias wholeName="Dawn Star Shipping"/>
</sanctionEntity></export>"""
SIMPLE = (
    '"id","schema","name","aliases","birth_date","countries","sanctions"\n'
    '"NK-1","Person","Boris Frolov","Borys Froloff;Борис Фролов","1970","ru","PROG"\n'
    '"NK-2","Company","Dawn Star Shipping","","","ru","PROG"\n'
)
FTM = [
    {
        "id": "NK-1",
        "schema": "Person",
        "caption": "Boris Frolov",
        "target": True,
        "properties": {"name": ["Boris Frolov", "Борис Фролов"], "alias": ["Borys Froloff"], "weakAlias": ["Hammer"]},
    },
    {"id": "NK-2", "schema": "Organization", "properties": {"name": ["Dawn Bank"], "swiftBic": ["MOCKRU2M", "no bic"]}},
    {"id": "s-1", "schema": "Sanction", "properties": {"program": ["X"]}},
    {"id": "NK-3", "schema": "Person", "caption": "Wife Frolova", "target": False, "properties": {"name": ["Wife Frolova"]}},
]


def ftm(*content: object) -> str:
    return "\n".join(json.dumps(one) for one in content) + "\n"


# -- what is read -------------------------------------------------------------------------------------------------------------


def test_an_own_csv_is_read(lists: Lists) -> None:
    found = lists.read("\ufeff" + OWN_CSV, date="2026-11-20")
    assert (found.date, found.sha256) == (date(2026, 11, 20), hashlib.sha256(("\ufeff" + OWN_CSV).encode()).hexdigest())
    first, bank, country, term = found.entries
    assert (first.entry_id, first.names, first.accounts, first.about) == ("b1", ("王偉",), ("CH9300762011623852957",), "fraud")
    assert (first.valid_from, first.valid_until) == (date(2026, 1, 1), date(2026, 12, 31))
    assert (bank.entry_id, bank.bics, country.countries, term.terms) == ("line-3", ("MOCKRU2M",), ("KP",), ("machine parts",))


def test_an_own_toml_is_read(lists: Lists) -> None:
    text = 'date = 2026-11-19\n[[entries]]\nname = ["Boris Frolov", "Борис Фролов"]\nvalid_until = 2026-12-31\n'
    found = lists.read(text, file="own.toml")
    assert found.date == date(2026, 11, 19)
    assert found.entries[0].names == ("Boris Frolov", "Борис Фролов")
    assert found.entries[0].valid_until == date(2026, 12, 31)


def test_decisions_are_read_from_a_list_that_passes(lists: Lists) -> None:
    text = f"name,account,list,entry,digest,reason\nBoris Frolov,DE89370400440532013000,ofac,36,{'a' * 64},born 1999\n"
    decided = lists.read(text, action="pass").entries[0].not_the_same
    assert decided is not None
    assert (decided.list_id, decided.entry_id, decided.digest) == ("ofac", "36", "a" * 64)


@pytest.mark.parametrize(
    ("content", "kind", "more", "first_id", "names", "weak"),
    [
        (SDN, "ofac-csv", {"alias_file": "alt.csv"}, "36", ("FROLOV, Boris Ilyich", "FROLOFF, Boris", "THE HAMMER"), ()),
        (SDN_XML, "ofac-xml", {}, "36", ("Boris FROLOV", "Borys FROLOFF"), ("THE HAMMER",)),
        (UN, "un-xml", {}, "XXi.001", ("BORIS ILYICH FROLOV", "Борис Фролов", "Borys Froloff"), ("Hammer",)),
        (EU, "eu-xml", {}, "EU.1.1", ("Boris Ilyich FROLOV", "Borys Froloff"), ("Hammer",)),
        (SIMPLE, "opensanctions-csv", {}, "NK-1", ("Boris Frolov", "Borys Froloff", "Борис Фролов"), ()),
        (ftm(*FTM), "opensanctions-ftm", {}, "NK-1", ("Boris Frolov", "Борис Фролов", "Borys Froloff"), ("Hammer",)),
    ],
)
def test_published_lists_are_read(
    content: str, kind: str, more: dict[str, str], first_id: str, names: tuple[str, ...], weak: tuple[str, ...], lists: Lists
) -> None:
    found = lists.read(content, kind, **more)
    assert len(found.entries) == 2
    first, second = found.entries
    assert (first.entry_id, first.names, first.weak, first.kind) == (first_id, names, weak, Kind.PERSON)
    assert second.kind is Kind.ORGANISATION
    if kind.endswith("-xml"):
        assert found.date == date(2026, 11, 20)


def test_banks_of_an_entity_list_are_found_by_their_bic(lists: Lists) -> None:
    assert lists.read(ftm(*FTM), "opensanctions-ftm").entries[1].bics == ("MOCKRU2M",)


def test_every_row_of_a_written_csv_is_in_the_list(lists: Lists) -> None:
    """Quotes, commas, line ends and other scripts in names."""
    names = ['Boris "The Hammer" Frolov', "Frolov, Boris", "Борис\nФролов", "王偉；李娜", "O'Neill"]
    text = "name\n" + "".join('"' + name.replace('"', '""') + '"\n' for name in names)
    assert [entry.names[0] for entry in lists.read(text).entries] == names


# -- what is refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("b,,,,,", "says nothing"),
        ("b,...,,,,", "no letter"),
        (f"b,{'x' * 1001},,,,", "too long"),
        ("b,,DE89370400440532013001,,,", "looks like"),
        ("b,,,MOCK,,", "BIC"),
        ("b,,,,XX,", "'XX' is no country"),
        ("b,Boris,,,RU,", "write a row for each"),
        ("b,Boris,,,,soon", "'soon' is no date"),
        ("b,Boris", "has 2 columns"),
        ("a,Boris,,,,", "'a' is there twice"),
    ],
)
def test_a_bad_row_is_told_with_its_line_and_refuses_the_list(row: str, why: str, lists: Lists) -> None:
    text = f"id,name,account,bic,country,valid_from\na,Anna Berg,,,,\n{row}\n"
    (problem,) = lists.problems(text)
    assert problem.startswith("list.csv:3: ")
    assert why in problem
    tolerant = lists.read(text, tolerant=True)
    assert (len(tolerant.entries), tolerant.skipped) == (1, 1)


def test_all_bad_rows_are_told_and_the_rest_of_many_is_counted(lists: Lists) -> None:
    problems = lists.problems("name\n" + "...\n" * 60)
    assert len(problems) == 51
    assert "list.csv: has 10 more rows that cannot be read" in problems


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        ("nom\nBoris\n", "own", "1: the first line must name columns"),
        ("name,name\nBoris,x\n", "own", "there twice"),
        ("", "own", "the first line must name columns"),
        (b"name\n\xff\n", "own", "is not UTF-8 text"),
        ('name\n"Boris\n', "own", "is not CSV"),
        ("id,schema,name,aliases\n", "opensanctions-csv", "has no entry in it"),
        ("id,name\n", "opensanctions-csv", "does not name the columns schema, aliases"),
        ("{not json\n", "opensanctions-ftm", "1: is no JSON"),
        ("[" * 100_000 + "\n", "opensanctions-ftm", "1: is no JSON"),
        ("{}\n", "opensanctions-ftm", "is no entity"),
        (UN[:-40], "un-xml", "not well-formed"),
        (EU, "un-xml", "outermost element is not CONSOLIDATED_LIST"),
        (SDN_XML.replace("<Record_Count>2", "<Record_Count>3"), "ofac-xml", "says that it has 3 entries, and has 2"),
        (UN.replace("2026-11-20T10", "soon"), "un-xml", "its date"),
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + UN[38:], "un-xml", "DTD"),
        ("<CONSOLIDATED_LIST>" + "<a>" * 300, "un-xml", "nested"),
        (
            UN.replace("<REFERENCE_NUMBER>XXi.001</REFERENCE_NUMBER>", "").replace("<DATAID>1</DATAID>", ""),
            "un-xml",
            "no reference",
        ),
    ],
)
def test_attack_a_file_that_is_no_such_list_is_refused_whole(content: str | bytes, kind: str, why: str, lists: Lists) -> None:
    problems = lists.problems(content, kind)
    assert any(why in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("entries = 3", "[[entries]]"),
        ("[[entry]]\nname = 'x'", "[[entries]]"),
        ("[[entries]]\nnom = 'x'", "entry 1: there is no nom"),
        ("[[entries]]\nname = 3", "entry 1: values are texts"),
        ("[[entries]]\nname = [3]", "entry 1: has a value that is no text"),
        ("name = ", "is not TOML"),
    ],
)
def test_a_toml_list_that_is_wrong_is_told(text: str, why: str, lists: Lists) -> None:
    assert why in lists.problems(text, file="own.toml")[0]


def test_ofac_files_of_different_days_are_refused(lists: Lists) -> None:
    (lists.path / "alt.csv").write_text('99,1,"aka","NOBODY, Nobody",-0- \r\n', encoding="utf-8")
    assert "not of one day" in lists.problems(SDN, "ofac-csv", alias_file="alt.csv")[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name,account\nBoris Frolov,\n", "needs name and account"),
        ("name,account,list\nBoris Frolov,1234,ofac\n", "belong together"),
    ],
)
def test_attack_a_list_of_who_may_pass_needs_name_and_account(text: str, why: str, lists: Lists) -> None:
    assert why in lists.problems(text, action="pass")[0]


def test_a_decision_about_a_list_that_is_not_there_is_told(lists: Lists) -> None:
    text = f"name,account,list,entry,digest\nBoris Frolov,1234,ofca,36,{'a' * 64}\n"
    settings = ScreeningSettings(lists=(lists.settings(text, action="pass"),))
    with pytest.raises(ScreeningProblems, match="there is no list 'ofca'"):
        load_screen(lists.path, settings)


def test_attack_a_list_with_another_content_than_was_pinned_is_refused(lists: Lists) -> None:
    assert "another SHA-256" in lists.problems(OWN_CSV, sha256="0" * 64)[0]
    assert lists.read(OWN_CSV, sha256=hashlib.sha256(OWN_CSV.encode()).hexdigest()).entries


def test_a_list_that_is_not_there_is_told(lists: Lists) -> None:
    settings = ListSettings(id="gone", file="gone.csv", kind="own")
    with pytest.raises(ScreeningProblems) as error:
        read_list(lists.path, settings)
    assert error.value.problems == (ListProblem("gone.csv", 0, "cannot be read: No such file or directory"),)


# -- whole screens ------------------------------------------------------------------------------------------------------------


def test_a_screen_of_files_has_another_digest_when_one_changes(lists: Lists) -> None:
    settings = ScreeningSettings(lists=(lists.settings(OWN_CSV, date="2026-11-20"),))
    first, stamp = load_screen(lists.path, settings), files_stamp(lists.path, settings)
    assert load_screen(lists.path, settings).digest == first.digest
    assert files_stamp(lists.path, settings) == stamp
    (lists.path / "list.csv").write_text(OWN_CSV + ",Anna Berg,,,,,,,\n", encoding="utf-8")
    assert load_screen(lists.path, settings).digest != first.digest
    assert files_stamp(lists.path, settings) != stamp


def test_lists_that_are_older_than_they_may_be_are_named(lists: Lists) -> None:
    published = lists.settings(UN, "un-xml", "un.xml").model_copy(update={"id": "un"})
    own = lists.settings(OWN_CSV, date="2020-01-01")
    settings = ScreeningSettings(lists=(published, own))
    screen = load_screen(lists.path, settings)
    assert [(one.id, age) for one, age in old_lists(screen.lists, settings, date(2026, 11, 28))] == [("un", 8)]
    assert not list(old_lists(screen.lists, settings, date(2026, 11, 27)))
