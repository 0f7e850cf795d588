"""The forms in which others publish lists, as far as they go beyond names in a table: files beside, scripts, banks, and so on.

All names are invented; elements, columns and codes are those of the published files."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from gateway.policy.screening.entries import Kind, ListEntry

from .conftest import ALT, Lists
from .test_lists import EU, SDN, SDN_XML, SIMPLE, UN

ADVANCED = """<?xml version="1.0" encoding="utf-8"?>
<Sanctions xmlns="urn:advanced"><DateOfIssue CalendarTypeID="1"><Year>2026</Year><Month>11</Month><Day>20</Day></DateOfIssue>
<ReferenceValueSets>
<PartyTypeValues><PartyType ID="1">Individual</PartyType><PartyType ID="2">Entity</PartyType></PartyTypeValues>
<PartySubTypeValues><PartySubType ID="3" PartyTypeID="2">Unknown</PartySubType>
<PartySubType ID="4" PartyTypeID="1">Unknown</PartySubType></PartySubTypeValues>
<FeatureTypeValues><FeatureType ID="13">SWIFT/BIC</FeatureType><FeatureType ID="8">Birthdate</FeatureType></FeatureTypeValues>
<SanctionsTypeValues><SanctionsType ID="1">Program</SanctionsType><SanctionsType ID="5">Block</SanctionsType>
</SanctionsTypeValues>
</ReferenceValueSets>
<Locations><Location ID="25"><LocationCountry CountryID="1"/></Location></Locations>
<DistinctParties>
<DistinctParty FixedRef="36"><Comment/><Profile ID="36" PartySubTypeID="4"><Identity ID="1" Primary="true" False="false">
<Alias AliasTypeID="1403" Primary="true" LowQuality="false">
<DocumentedName ID="7"><DocumentedNamePart><NamePartValue ScriptID="215">FROLOV</NamePartValue></DocumentedNamePart>
<DocumentedNamePart><NamePartValue NamePartGroupID="2" ScriptID="215">Boris</NamePartValue></DocumentedNamePart></DocumentedName>
<DocumentedName ID="8"><DocumentedNamePart><NamePartValue ScriptID="220">Фролов</NamePartValue></DocumentedNamePart>
<DocumentedNamePart><NamePartValue ScriptID="220">Борис</NamePartValue></DocumentedNamePart></DocumentedName></Alias>
<Alias AliasTypeID="1400" Primary="false" LowQuality="true">
<DocumentedName ID="9"><DocumentedNamePart><NamePartValue>THE HAMMER</NamePartValue></DocumentedNamePart></DocumentedName></Alias>
<NamePartGroups/></Identity></Profile></DistinctParty>
<DistinctParty FixedRef="37"><Profile ID="37" PartySubTypeID="3"><Identity ID="2"><Alias LowQuality="false">
<DocumentedName><DocumentedNamePart><NamePartValue>DAWN BANK</NamePartValue></DocumentedNamePart></DocumentedName></Alias>
</Identity>
<Feature ID="1" FeatureTypeID="13"><FeatureVersion ID="2"><VersionDetail>MOCKRU2M</VersionDetail></FeatureVersion>
</Feature><Feature ID="2" FeatureTypeID="8"><FeatureVersion><VersionDetail>MOCKKP2P</VersionDetail></FeatureVersion></Feature>
</Profile></DistinctParty></DistinctParties>
<SanctionsEntries>
<SanctionsEntry ID="1" ProfileID="36" ListID="1550"><SanctionsMeasure ID="1" SanctionsTypeID="1"><Comment>PROG-1</Comment>
</SanctionsMeasure><SanctionsMeasure ID="2" SanctionsTypeID="5"><Comment/></SanctionsMeasure></SanctionsEntry>
<SanctionsEntry ID="2" ProfileID="37" ListID="1550"/></SanctionsEntries></Sanctions>"""
EU_CSV = (
    "\ufefffileGenerationDate;Entity_LogicalId;Entity_EU_ReferenceNumber;Entity_SubjectType;Entity_SubjectType_ClassificationCode;"
    "Entity_Regulation_Programme;NameAlias_LastName;NameAlias_FirstName;NameAlias_WholeName;NameAlias_Remark;Address_City;"
    "Address_CountryDescription;Identification_Number;Identification_TypeCode\n"
    "05/08/2026;13;EU.1.1;P;person;INV;Frolov;Boris;Boris Ilyich FROLOV;;;;;\n"
    "05/08/2026;42;EU.2.2;E;enterprise;INV;;;Dawn Bank;;Pyongyang;NORTH KOREA;MOCKKP2P;swiftbic\n"
    "05/08/2026;13;EU.1.1;P;person;INV;Froloff;Borys;;;;;;\n"
    "05/08/2026;13;EU.1.1;P;person;INV;;;Hammer;Low quality a.k.a.;;;;\n"
)
REMARKS = "DOB 1970; SWIFT/BIC MOCKRU2M; a.k.a. 'THE HAMMER'; f.k.a. 'O'HARA, Pat' (Latin); a.k.a. '...'; Linked To: DAW"


def test_the_advanced_list_is_read_with_scripts_kinds_banks_and_programmes(lists: Lists) -> None:
    found = lists.read(ADVANCED, "ofac-advanced")
    first, second = found.entries
    assert found.date == date(2026, 11, 20)
    assert (first.entry_id, first.kind, first.names, first.weak) == (
        *("36", Kind.PERSON),
        *(("FROLOV Boris", "Фролов Борис"), ("THE HAMMER",)),
    )
    assert (first.about, second.about, second.kind, second.bics) == ("PROG-1", "", Kind.ORGANISATION, ("MOCKRU2M",))
    assert found.notices == ()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("<Sanctions ", "<Sanction ", "not well-formed"),
        ("</SanctionsEntries></Sanctions>", "", "not well-formed"),
        ("<Month>11", "<Month>13", "DateOfIssue is no day"),
        ('ProfileID="37"', 'ProfileID="38"', "SanctionsEntry of a party that the file does not have"),
        ('FixedRef="37"', 'FixedRef="36"', "'36' is there twice"),
        ("<NamePartValue>DAWN BANK</NamePartValue>", "", "no FixedRef or no name"),
    ],
)
def test_attack_an_advanced_list_that_is_not_whole_is_refused(old: str, new: str, why: str, lists: Lists) -> None:
    assert any(why in problem for problem in lists.problems(ADVANCED.replace(old, new), "ofac-advanced"))
    assert "outermost element is not Sanctions" in lists.problems(UN, "ofac-advanced")[0]


def test_a_party_of_a_type_that_nothing_explains_and_without_a_reason_is_taken_and_told(lists: Lists) -> None:
    text = ADVANCED.replace('PartySubTypeID="4"', 'PartySubTypeID="9"')
    text = text.replace('<SanctionsEntry ID="2" ProfileID="37" ListID="1550"/>', "").replace(
        "<Comment/><Profile", "<Risk/><Profile"
    )
    found = lists.read(text, "ofac-advanced")
    assert len(found.entries) == 2
    assert found.entries[0].kind is Kind.OTHER
    assert found.notices == (
        "the element 'Risk' in DistinctParty",
        "the PartySubTypeID '9', which ReferenceValueSets does not explain",
        "1 parties without a SanctionsEntry, which are taken all the same",
    )


def test_the_eus_csv_is_read_by_entity_with_days_that_begin_with_the_day(lists: Lists) -> None:
    found = lists.read(EU_CSV, "eu-csv")
    first, second = found.entries
    assert found.date == date(2026, 8, 5)
    assert (first.entry_id, first.kind, first.names, first.weak) == (
        *("13", Kind.PERSON),
        *(("Boris Ilyich FROLOV", "Borys Froloff"), ("Hammer",)),
    )
    assert (second.kind, second.bics, second.places) == (Kind.ORGANISATION, ("MOCKKP2P",), ("Pyongyang, NORTH KOREA",))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (";42;", ";;", "list.csv:3: is no row"),
        (";;;;;;\n", "\n", "list.csv:4: is no row of as many columns"),
        ("05/08/2026;13;EU.1.1;P;person;INV;Frolov", "2026.8.5;13;EU.1.1;P;person;INV;Frolov", "no date such as 31/12/2026"),
        ("Dawn Bank", "", "has no name in any of its rows"),
        ("NameAlias_WholeName;", "NameAlias_Whole;", "does not name the columns NameAlias_WholeName"),
    ],
)
def test_attack_an_eu_csv_that_is_wrong_is_told_with_its_line(old: str, new: str, why: str, lists: Lists) -> None:
    assert any(why in problem for problem in lists.problems(EU_CSV.replace(old, new), "eu-csv"))


@pytest.fixture
def beside(tmp_path: Path) -> dict[str, str]:
    """The other files of OFAC's tables; SDN.CSV's remarks end in the middle of a word."""
    (tmp_path / "alt.csv").write_text(ALT, encoding="utf-8")
    rows = '36,1,"1 Mira Street","Moscow","Russia",-0- \r\n36,2,-0- ,-0- ,"Russia",-0- \r\n37,3,-0- ,-0- ,-0- ,-0- \r\n\x1a\r\n'
    (tmp_path / "add.csv").write_text(rows, encoding="utf-8")
    (tmp_path / "com.csv").write_text("36,\"N STAR; n.k.a. 'HAM FISTED'.\"\r\n", encoding="utf-8")
    return {"alias_file": "alt.csv", "address_file": "add.csv", "comments_file": "com.csv"}


def test_ofacs_remarks_go_on_in_the_comments_and_hold_weak_names_and_banks(lists: Lists, beside: dict[str, str]) -> None:
    found = lists.read(SDN.replace("DOB 1970.", REMARKS), "ofac-csv", **beside)
    first, second = found.entries
    assert first.weak == ("O'HARA, Pat", "HAM FISTED"), "THE HAMMER is in ALT.CSV; '...' is no name"
    assert first.bics == ("MOCKRU2M",)
    assert (first.places, second.places) == (("Moscow, Russia", "Russia"), ())
    assert found.sha256 != lists.read(SDN.replace("DOB 1970.", REMARKS), "ofac-csv", alias_file="alt.csv").sha256


@pytest.mark.parametrize(
    ("name", "rows", "why"),
    [
        ("add.csv", "36,1,a,b\r\n", "ADD.CSV: is no row of 6 columns"),
        ("add.csv", "99,1,a,b,c,d\r\n", "ADD.CSV has rows for 1 numbers that SDN.CSV does not have"),
        ("com.csv", "36,-0- \r\n", "SDN_COMMENTS.CSV: is no row of 2 columns"),
        ("com.csv", "99,more\r\n", "SDN_COMMENTS.CSV has rows for 1 numbers"),
    ],
)
def test_attack_files_beside_the_main_one_that_are_wrong_refuse_the_list(
    name: str, rows: str, why: str, lists: Lists, beside: dict[str, str]
) -> None:
    (lists.path / name).write_text(rows, encoding="utf-8")
    assert any(why in problem for problem in lists.problems(SDN, "ofac-csv", **beside))


def test_the_standard_xml_has_banks_places_and_the_names_of_remarks(lists: Lists) -> None:
    more = (
        "<remarks>a.k.a. 'LITTLE DAWN'.</remarks><idList><id><idType>SWIFT/BIC</idType><idNumber>MOCKKP2P</idNumber></id>"
        "<id><idType>Passport</idType><idNumber>MOCKRU2M</idNumber></id></idList>"
        "<addressList><address><city>Pyongyang</city><country>North Korea</country></address></addressList>"
    )
    entry = lists.read(SDN_XML.replace("<sdnType>Entity</sdnType>", f"<sdnType>Entity</sdnType>{more}"), "ofac-xml").entries[1]
    assert (entry.weak, entry.bics, entry.places) == (("LITTLE DAWN",), ("MOCKKP2P",), ("Pyongyang, North Korea",))


def test_the_eus_xml_has_banks_and_weak_names_that_only_a_remark_calls_so(lists: Lists) -> None:
    more = (
        '<nameAlias wholeName="Little Dawn"><remark>Low quality alias</remark></nameAlias><identification number="MOCKKP2P"'
        ' identificationTypeCode="swiftbic"/><address city="Pyongyang" countryDescription="NORTH KOREA"/>'
        "</sanctionEntity></export>"
    )
    entry = lists.read(EU.replace("</sanctionEntity></export>", more), "eu-xml").entries[1]
    assert (entry.weak, entry.bics, entry.places) == (("Little Dawn",), ("MOCKKP2P",), ("Pyongyang, NORTH KOREA",))


def test_aliases_that_have_a_semicolon_stay_whole(lists: Lists) -> None:
    text = SIMPLE.replace('"Borys Froloff;Борис Фролов"', '"""Froloff; Borys"";Борис Фролов"')
    assert lists.read(text, "opensanctions-csv").entries[0].names == ("Boris Frolov", "Froloff; Borys", "Борис Фролов")


def test_accounts_inside_of_nested_entities_are_the_entitys(lists: Lists) -> None:
    account = {"id": "a", "schema": "BankAccount", "properties": {"accountNumber": ["77 1"], "iban": ["CH93 0076"]}}
    inner = {"id": "o", "schema": "Ownership", "properties": {"asset": [account], "name": ["Nobody"]}}
    entity = {"id": "NK-1", "schema": "Person", "properties": {"name": ["Boris Frolov"], "ownershipOwner": [inner]}}
    (entry,) = lists.read(json.dumps(entity), "opensanctions-ftm").entries
    assert (entry.names, entry.accounts) == (("Boris Frolov",), ("CH930076", "771"))


@pytest.mark.parametrize(
    ("content", "kind", "notice"),
    [
        (SIMPLE.replace('"sanctions"', '"risk"'), "opensanctions-csv", "the column 'risk'"),
        (SIMPLE.replace('"Company"', '"Fleet"'), "opensanctions-csv", "the schema 'Fleet'"),
        (EU_CSV.replace("NameAlias_Remark", "Alias_Remark"), "eu-csv", "the column 'Alias_Remark'"),
        (UN.replace("<DATAID>1<", "<FIFTH_NAME>X</FIFTH_NAME><DATAID>1<"), "un-xml", "the element 'FIFTH_NAME' in INDIVIDUAL"),
        (
            UN.replace("<ENTITIES>", "<VESSELS><VESSEL/></VESSELS><ENTITIES>"),
            "un-xml",
            "the element 'VESSELS' in CONSOLIDATED_LIST",
        ),
        (EU.replace("<subjectType", "<wallet/><subjectType"), "eu-xml", "the element 'wallet' in sanctionEntity"),
        (SDN_XML.replace("<sdnType>", "<wallet/><sdnType>"), "ofac-xml", "the element 'wallet' in sdnEntry"),
        (ADVANCED.replace("<Locations>", "<Wallets/><Locations>"), "ofac-advanced", "the element 'Wallets' in Sanctions"),
        (SDN.replace('"individual"', '"train"'), "ofac-csv", "the type 'train' of an entry"),
    ],
)
def test_what_no_reader_knows_is_told_and_the_list_is_taken(content: str, kind: str, notice: str, lists: Lists) -> None:
    found = lists.read(content, kind, **({"alias_file": "alt.csv"} if kind == "ofac-csv" else {}))
    assert [text.removesuffix(", 2 times") for text in found.notices] == [notice]
    assert len(found.entries) == 2


def test_an_entry_has_another_digest_where_its_places_change() -> None:
    entry = ListEntry(entry_id="1", names=("Boris Frolov",))
    moved = replace(entry, places=("Moscow, Russia",))
    assert len({entry.digest, moved.digest, replace(moved, places=("Minsk, Belarus",)).digest}) == 3
