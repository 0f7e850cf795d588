"""The schemas of H005 out of the package painfree, found through its metadata; recorded traffic of foreign clients."""

import os
from importlib import metadata
from pathlib import Path

import pytest
from lxml import etree


@pytest.fixture(scope="session")
def h005() -> etree.XMLSchema:
    """Everything of H005: requests, answers, order data, signatures."""
    entry = next(file for file in metadata.files("painfree") or () if file.name == "ebics_H005.xsd")
    return etree.XMLSchema(etree.parse(str(entry.locate())))


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Traffic of foreign clients, beside the corpus of bank files."""
    named = os.environ.get("BANKGATE_CORPUS")
    place = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "samples"
    folder = place.parent / "wire" / "ebics"
    if not (folder / "full").is_dir():
        pytest.skip(f"no recorded EBICS traffic: expected beside the folder that BANKGATE_CORPUS names (looked in {folder})")
    return folder
