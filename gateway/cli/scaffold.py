"""The files of a new bank plugin, as `bankgate banks new` writes them.

They guess nothing about the bank: what only its guide can say is left empty, and the tests say which file wants what.
"""

from typing import Final

PACKAGE_PREFIX: Final = "bankgate_"
SAMPLE_FOLDERS: Final = ("requests", "expected", "inbound", "bad")

_PROJECT: Final = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "bankgate-{dashed}"
version = "0.1.0"
description = "{title} for bankgate"
requires-python = ">=3.11"
dependencies = ["bankgate"]

[project.entry-points."bankgate.formats"]
{name} = "{package}:BANK"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

[tool.hatch.build]
dev-mode-dirs = ["."]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["tests"]
addopts = "-ra --import-mode=importlib"
"""

_PLUGIN: Final = '''"""{title}: what this bank takes and gives, as data.

Source: name here the bank's implementation guide or parameter sheet, its version and its date.
"""

from formats.bank import Capabilities, Validity
from formats.iso20022 import STANDARD_PACKS, IsoBank

ALWAYS = Validity()

BANK = IsoBank(
    name="{name}",
    capabilities=Capabilities(
        sends={{}},  # what the bank takes, the default first: {{"pain.001.001.09": ALWAYS}}
        reads=(),  # what it sends back: ("pain.002", "camt.053")
        currencies=frozenset(),  # what it takes: frozenset({{"EUR"}}), or None for any
        time_zone="",  # where its days begin and end: "Europe/Berlin"
    ),
    packs=STANDARD_PACKS,  # a bank's own rules are one more pack
)
'''

_TEST: Final = '''"""{title} keeps the promises of a bank plugin. What is missing, each test says."""

from pathlib import Path

import {package}
from formats.conformance import BankConformance


class Test{camel}(BankConformance):
    bank = {package}.BANK
    samples = Path({package}.__file__).parent / "samples"
    plugin = "{package}/__init__.py"
'''

_README: Final = """# Samples of {title}

Names, accounts, amounts and references made up, the shape exactly the bank's. `bankgate banks propose {name}` writes
what is expected today as `*.proposed`; read it against the bank's guide, and rename it where it is right.

| file | what |
|---|---|
| `requests/NAME.json` | payments, in the form of SubmitPaymentsRequest |
| `expected/NAME.MESSAGE.xml` | what the bank must get for them in MESSAGE, byte for byte |
| `inbound/NAME.xml` (or `.sta`, …) | a file as the bank sends it |
| `inbound/NAME.expected.jsonl` | its records |
| `bad/NAME.json`, `bad/NAME.rules` | payments the bank refuses, and the rules they break |
| `exempt.toml` | rules of the card this bank is exempt from, each with its reason |
"""

_EXEMPT: Final = """# Rules of the card this bank is exempt from, each with its reason; the card shows them:
#   rule = "reason"
# or only for one message or kind:
#   [rule]
#   "pain.001.001.03" = "reason"
"""


def package_of(name: str) -> str:
    """The Python package of the plugin of that name."""
    return PACKAGE_PREFIX + name


def files_of(name: str) -> dict[str, str]:
    """Path below the package's own folder → content."""
    package = package_of(name)
    words = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "package": package,
        "title": name.replace("_", " ").title(),
        "camel": name.replace("_", " ").title().replace(" ", ""),
    }
    texts = {
        "pyproject.toml": _PROJECT,
        f"{package}/__init__.py": _PLUGIN,
        f"{package}/samples/README.md": _README,
        f"{package}/samples/exempt.toml": _EXEMPT,
        f"tests/test_{name}.py": _TEST,
    }
    return {path: text.format_map(words) for path, text in texts.items()}
