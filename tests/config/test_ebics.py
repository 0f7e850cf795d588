"""An EBICS connection: what is wrong with its settings is named by file and key, also in the tables inside [channel]."""

from pathlib import Path

import pytest

from gateway.config_load import load
from gateway.connection import certificate_ends, stored_keys
from tests.config.test_load import HOUSE, Directory

EBICS = (
    HOUSE.partition("[channel]")[0]
    + """
[guarantee]
kind = "queryable"
[channel]
kind = "ebics"
url = "https://ebics.bank.example/ebics"
trust = ["env:CA"]
version = "H004"
host_id = "BANKHOST"
partner_id = "PARTNER1"
user_id = "USER1"
signature = { key = "store:bank-a@1" }
authentication = { key = "store:bank-x@1" }
encryption = { key = "pkcs11:token=t;object=e", passphrase = "env:PIN" }
[channel.upload]
order_type = "CCT"
[[channel.downloads]]
order_type = "C53"
"""
)


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    found = Directory(tmp_path)
    found.connection("house", EBICS)
    return found


def test_the_bare_settings_of_a_parameter_sheet_are_enough(directory: Directory) -> None:
    settings = load(directory.path).connections["house"]
    assert stored_keys(settings) == ("store:bank-a@1", "store:bank-x@1"), "opened before the worker starts"
    assert certificate_ends(settings, directory.path) == [], "none can be read here, and none is invented"


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ('kind = "queryable"', 'kind = "blind"', "guarantee.kind", 'must be "queryable"'),
        ('kind = "queryable"', 'kind = "idempotent"\nevidence = "letter"', "guarantee.kind", 'must be "queryable"'),
        ('host_id = "BANKHOST"', "", "channel.host_id", "is required"),
        ('order_type = "C53"', 'order_typ = "C53"', "channel.downloads[0].order_typ", "there is no such setting"),
        ('version = "H004"', 'version = "H003"', "channel.version", "must be"),
        ('order_type = "CCT"', 'order_type = "CTV"', "channel.downloads", "no order fetches the result of the verification"),
        ('trust = ["env:CA"]', "timeouts = { total = 300 }", "retry.lease_seconds", "too short"),
    ],
)
def test_each_mistake_is_named_by_its_key(directory: Directory, old: str, new: str, key: str, said: str) -> None:
    assert old in EBICS
    directory.connection("house", EBICS.replace(old, new))
    found = {problem.key: problem.problem for problem in directory.problems()}
    assert said in found[key]


def test_the_connection_file_of_the_guide_is_a_good_one(directory: Directory) -> None:
    guide = (Path(__file__).resolve().parents[2] / "docs" / "connect-ebics.md").read_text(encoding="utf-8")
    (directory.path / "certs").mkdir()
    (directory.path / "certs" / "bank-ca.pem").write_text("", encoding="utf-8")
    directory.connection("house", guide.partition("```toml\n")[2].partition("```")[0])
    assert load(directory.path).connections["house"].channel["kind"] == "ebics"
