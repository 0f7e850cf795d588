"""Configuration mistakes: all at once, each with its file and key, and no secret repeated."""

from pathlib import Path

import pytest

from gateway.config_load import ConfigurationProblems, Problem, load

MAIN = """
store = "sqlite:///bankgate.db"
[listen]
address = "127.0.0.1:50051"
[[callers]]
name = "erp"
plaintext = true
"""

HOUSE = """
bank = "iso20022"
initiating_party = "Muster GmbH"
[[accounts]]
iban = "DE89370400440532013000"
holder = "Muster GmbH"
agent_bic = "COBADEFFXXX"
[channel]
kind = "folder"
upload = "out"
"""


class Directory:
    """A configuration directory under construction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "connections").mkdir()
        self.main(MAIN)
        self.connection("house", HOUSE)

    def main(self, text: str) -> None:
        (self.path / "bankgate.toml").write_text(text, encoding="utf-8")

    def connection(self, name: str, text: str) -> None:
        (self.path / "connections" / f"{name}.toml").write_text(text, encoding="utf-8")

    def problems(self) -> list[Problem]:
        with pytest.raises(ConfigurationProblems) as caught:
            load(self.path)
        return caught.value.problems

    def only(self) -> tuple[str, str, str]:
        """The one problem there is: key, problem, hint."""
        (problem,) = self.problems()
        return problem.key, problem.problem, problem.hint


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path)


def test_a_good_directory_loads_with_its_connections_named_by_their_files(directory: Directory) -> None:
    configuration = load(directory.path)
    assert list(configuration.connections) == ["house"]
    assert configuration.connections["house"].id == "house"
    assert configuration.directory == directory.path
    assert configuration.callers[0].plaintext


def test_mistakes_in_every_file_are_reported_at_once(directory: Directory) -> None:
    directory.main(MAIN.replace("[listen]", "[lissen]").replace('name = "erp"', 'name = "erp"\nactions = ["pay"]'))
    directory.connection("house", HOUSE.replace("initiating_party", "initiating_pary"))
    directory.connection("other", "bank = \n")
    places = {(problem.file, problem.key) for problem in directory.problems()}
    assert places == {
        ("bankgate.toml", "lissen"),
        ("bankgate.toml", "callers[0].actions[0]"),
        ("connections/house.toml", "initiating_pary"),
        ("connections/house.toml", "initiating_party"),
        ("connections/other.toml", ""),
    }


def test_a_mistyped_word_hides_nothing_else_that_is_wrong(directory: Directory) -> None:
    wrong = MAIN.replace("127.0.0.1:50051", "0.0.0.0:50051").replace("sqlite:///bankgate.db", "postgresql://u:pw@h/db")
    directory.main("listn = 1\n" + wrong.replace('name = "erp"', 'name = "erp"\nactions = ["fly"]\nconnections = ["hause"]'))
    house = HOUSE.replace("initiating_party", "initiating_prty").replace("DE89", "DE88").replace('"iso20022"', '"iso2022"')
    directory.connection("house", "time_zone = 5\n" + house)
    places = {(problem.file, problem.key) for problem in directory.problems()}
    assert places == {
        ("bankgate.toml", "listn"),
        ("bankgate.toml", "store"),
        ("bankgate.toml", "listen.tls"),
        ("bankgate.toml", "callers[0].actions[0]"),
        ("bankgate.toml", "callers[0].connections[0]"),
        ("connections/house.toml", "initiating_prty"),
        ("connections/house.toml", "initiating_party"),
        ("connections/house.toml", "time_zone"),
        ("connections/house.toml", "bank"),
        ("connections/house.toml", "accounts[0].iban"),
    }


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("[listen]", "[lissen]\ntls = 1", {"lissen"}),
        ("[listen]\n", '[listen]\ntsl = {certificate = "file:x"}\n', {"listen.tsl"}),
        ("[[callers]]", "[callers]", {"callers"}),
        ('name = "erp"\n', "", {"callers[0].name"}),
    ],
)
def test_what_only_follows_from_a_mistake_is_not_told_as_another(
    directory: Directory, old: str, new: str, keys: set[str]
) -> None:
    directory.main(MAIN.replace("plaintext = true", f'certificate_sha256 = ["{"ab" * 32}"]').replace(old, new))
    found = {problem.key for problem in directory.problems()}
    assert keys <= found
    assert found - keys <= ({"callers"} if "callers[0].name" in keys else set())


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        ("channel = 5", "channel", "table"),
        ("accounts = 5", "accounts", "list"),
        ("initiating_party = 5", "initiating_party", "text"),
        ('batching = {wait_seconds = "soon"}', "batching.wait_seconds", "number"),
        ("batching = {wait_seconds = -1}", "batching.wait_seconds", "at least 0"),
        ('guarantee = {absence_is_final = "maybe"}', "guarantee.absence_is_final", "true or false"),
        ("accounts = []", "accounts", "empty"),
    ],
)
def test_shapes_are_explained_in_the_words_of_a_toml_file(directory: Directory, content: str, key: str, says: str) -> None:
    directory.connection("house", content + "\n")
    assert says in {problem.key: problem.problem for problem in directory.problems()}[key]


def test_an_unknown_setting_names_the_one_that_was_meant(directory: Directory) -> None:
    directory.main(MAIN.replace("address =", "adress ="))
    assert directory.only() == ("listen.adress", "there is no such setting", "did you mean address?")


def test_a_syntax_error_is_named_with_its_line(directory: Directory) -> None:
    directory.main('store = "x"\nlisten = [\n')
    _, problem, _ = directory.only()
    assert "line" in problem or "end of document" in problem


def test_a_missing_main_file_and_missing_connections_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblems) as caught:
        load(tmp_path)
    assert {problem.file for problem in caught.value.problems} == {"bankgate.toml", "connections"}


def test_a_directory_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblems, match="there is no such directory"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('"127.0.0.1:50051"', '"0.0.0.0:50051"', "listen.tls", "in the clear"),
        ('"127.0.0.1:50051"', '"50051"', "listen.address", "host:port"),
        ('"127.0.0.1:50051"', '"[::1]:99999"', "listen.address", "port"),
        ('"127.0.0.1:50051"', '"127.0.0.1:50051"\nmessage_bytes_max = -1', "listen.message_bytes_max", "65536"),
        ("sqlite:///bankgate.db", "mysql://x", "store", "sqlite"),
        ("plaintext = true", 'certificate_sha256 = ["' + "ab" * 32 + '"]', "callers", "nobody could call"),
        ("plaintext = true", 'plaintext = true\nconnections = ["hause"]', "callers[0].connections[0]", "no connection"),
        ("plaintext = true", 'plaintext = true\ncertificate_sha256 = ["abc"]', "callers[0].certificate_sha256[0]", "SHA-256"),
    ],
)
def test_rules_of_the_main_file(directory: Directory, old: str, new: str, key: str, says: str) -> None:
    directory.main(MAIN.replace(old, new))
    found_key, problem, _ = directory.only()
    assert found_key == key
    assert says in problem


def test_callers_have_names_and_certificates_of_their_own(directory: Directory) -> None:
    fingerprint = "ab:" * 31 + "ab"
    more = f'[[callers]]\nname = "{{}}"\ncertificate_sha256 = ["{fingerprint}"]\n'
    directory.main(MAIN + more.format("erp") + more.format("b").replace(fingerprint, fingerprint.upper()))
    keys = [problem.key for problem in directory.problems()]
    assert keys == [
        "callers[0].name",
        "callers[1].certificate_sha256[0]",
        "callers[1].name",
        "callers[2].certificate_sha256[0]",
    ]


def test_files_that_references_name_must_be_there_but_closed_directories_are_not_looked_into(directory: Directory) -> None:
    tls = "\n".join(f'{key} = "file:tls/{key}"' for key in ("certificate", "key", "key_passphrase", "client_ca"))
    directory.main(MAIN.replace("plaintext = true", 'certificate_sha256 = ["' + "ab" * 32 + '"]') + f"[listen.tls]\n{tls}\n")
    assert [problem.key for problem in directory.problems()] == [
        "listen.tls.certificate",
        "listen.tls.client_ca",
        "listen.tls.key",
        "listen.tls.key_passphrase",
    ]


def test_a_secret_in_the_place_of_its_reference_is_not_repeated(directory: Directory) -> None:
    tls = '[listen.tls]\ncertificate = "hunter2"\nkey = "hunter2"\nkey_passphrase = "hunter2"\nclient_ca = "hunter2"\n'
    directory.main(MAIN + tls)
    directory.connection("house", HOUSE + '[seal]\nkind = "cms"\nsigning_key = "hunter2"\n')
    problems = directory.problems()
    assert "seal.signing_key" in {problem.key for problem in problems}
    assert "hunter2" not in "\n".join(map(str, problems))


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('bank = "iso20022"', 'bank = "iso2022"', "bank", "no bank plugin"),
        ('bank = "iso20022"', 'bank = "iso20022"\nmessage = "pain.001.001.99"', "message", "does not send"),
        ('bank = "iso20022"', 'bank = "iso20022"\ntime_zone = "Mars/Base"', "time_zone", "time zone"),
        ('bank = "iso20022"', 'bank = "iso20022"\nschemas = "a\\u0000b"', "schemas", "no name of a directory"),
        (
            "[channel]",
            '[instant]\nfall_back_codes = ["AB06", "AM05"]\n[channel]',
            "instant.fall_back_codes[1]",
            "has the payment",
        ),
        ("[channel]", '[instant]\nfall_back_codes = ["AB06 "]\n[channel]', "instant.fall_back_codes[0]", "no reason code"),
        ("DE89370400440532013000", "DE88370400440532013000", "accounts[0].iban", "check-digits"),
        ('iban = "DE89370400440532013000"\n', "", "accounts[0]", "exactly one"),
        ("COBADEFFXXX", "COBA", "accounts[0].agent_bic", "BIC"),
        (
            'holder = "Muster GmbH"',
            'holder = "M"\nholder_address = {twon_name = "B"}',
            "accounts[0].holder_address.twon_name",
            "no such",
        ),
        ('kind = "folder"', 'kind = "fax"', "channel.kind", "folder"),
        ('upload = "out"', 'uplaod = "out"\nupload = "out"', "channel.uplaod", "no such setting"),
        ('bank = "iso20022"', 'bank = "iso20022"\nfile_name = "same.xml"', "file_name", "must hold {message_id}"),
        ('bank = "iso20022"', 'bank = "iso20022"\nfile_name = "{amount}{message_id}"', "file_name", "only"),
        ('bank = "iso20022"', 'bank = "iso20022"\nfile_name = "a/{message_id}"', "file_name", "characters"),
        ('bank = "iso20022"', 'bank = "iso20022"\nid = "haus"', "id", "name of the file"),
        ("[channel]", '[guarantee]\nkind = "queryable"\nquiet_seconds = 60\n[channel]', "guarantee.quiet_seconds", "longest"),
        ("[channel]", "[guarantee]\nabsence_is_final = true\n[channel]", "guarantee.absence_is_final", "queryable"),
    ],
)
def test_rules_of_a_connection(directory: Directory, old: str, new: str, key: str, says: str) -> None:
    directory.connection("house", HOUSE.replace(old, new))
    found_key, problem, _ = directory.only()
    assert found_key == key
    assert says in problem


def test_repeating_without_the_banks_word_is_a_mistake_over_a_network_and_blind_is_not(directory: Directory) -> None:
    sftp = HOUSE.partition("[channel]")[0] + (
        '[guarantee]\nkind = "{}"\n[channel]\nkind = "sftp"\nhost = "h"\nusername = "u"\nupload = "in"\n'
        'host_keys = ["ssh-ed25519 AAAA"]\npassword = "env:P"\n'
    )
    directory.connection("house", sftp.format("idempotent"))
    key, _, hint = directory.only()
    assert key == "guarantee.evidence"
    assert "executes a repeated name" in hint
    directory.connection("house", sftp.format("blind"))
    assert load(directory.path).connections["house"].guarantee.kind == "blind"
