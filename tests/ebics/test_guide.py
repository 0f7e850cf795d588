"""The tables of docs/connect-ebics.md are settings that the gateway takes, and each says the orders that it names."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from channels.ebics.profile import EbicsProfile
from channels.profiles import parse_profile

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "connect-ebics.md"
BLOCKS = re.findall(r"^```toml\n(.*?)^```$", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
COMPLETE = next(block for block in BLOCKS if "[channel]" in block)
STARTS = [block for block in BLOCKS if block.startswith("version = ")]


def access() -> dict[str, Any]:
    """The guide's `[channel]` without what is ordered."""
    channel: dict[str, Any] = tomllib.loads(COMPLETE)["channel"]
    return {name: value for name, value in channel.items() if name not in {"upload", "downloads"}}


def test_the_whole_connection_file_of_the_guide_is_not_one() -> None:
    assert isinstance(parse_profile(tomllib.loads(COMPLETE)["channel"]), EbicsProfile)


@pytest.mark.parametrize("block", STARTS)
def test_a_starting_table_of_the_guide_is_no_setting(block: str) -> None:
    found = parse_profile({**access(), **tomllib.loads(block)})
    assert isinstance(found, EbicsProfile)
    assert found.upload is not None
    assert found.upload.order().type == ("BTU" if found.version == "H005" else found.upload.order_type)


def test_the_guide_has_lost_its_starting_tables() -> None:
    assert len(STARTS) == 4
