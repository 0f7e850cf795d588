"""Everything that bankgate installs at run time is under a licence its users can live with (docs/licences.md).

Read from what is installed, which `test_project` holds to the locks. A licence that nobody has looked at fails here, and so does
one looked at that no package has any more.
"""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"

# SPDX identifiers of licences that ask for no more than to be named, and of the weak copyleft that was judged.
FREE = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0", "Zlib"}
JUDGED = {"EPL-2.0": {"asyncssh"}, "LGPL-3.0-only": {"psycopg", "psycopg-binary", "psycopg-pool"}}

# How packages spell them that do not write SPDX.
SPELT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",  # jinja2: the classifier names no number of clauses; its text has three
    "ISC License": "ISC",
    "MIT License": "MIT",
    "PSFL": "PSF-2.0",
}
# What a package's own files say where its metadata does not say enough.
MEANT = {
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",  # "Dual License"; its LICENSE file names the two
    "pyasn1-modules": "BSD-2-Clause",  # "BSD": the text in its LICENSE file has two clauses
}
# Where a package offers a choice, the one that we take.
TAKEN = {"asyncssh": "EPL-2.0"}


def locked() -> list[str]:
    """The packages of the run-time lock that are installed here: one for another system (its marker says) cannot be read."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = [Requirement(line.rstrip(" \\")) for line in re.findall(r"^[A-Za-z0-9._-]+==.*$", text, re.MULTILINE)]
    return sorted(canonicalize_name(package.name) for package in pinned if package.marker is None or package.marker.evaluate())


def said(package: str) -> str:
    """What the package says of its licence: the SPDX expression, else the short field, else the classifiers."""
    if package in MEANT:
        return MEANT[package]
    found = metadata.metadata(package)
    expression = found.get("License-Expression") or found.get("License") or ""
    if expression and "\n" not in expression:
        return expression
    classifiers = [entry.rpartition(" :: ")[2] for entry in found.get_all("Classifier") or () if entry.startswith("License ::")]
    classifiers = [re.sub(r" \([A-Z]+\)$", "", entry) for entry in classifiers]  # "ISC License (ISCL)"
    return " AND ".join(sorted(classifiers))


def licences(package: str, expression: str) -> set[str]:
    """The SPDX identifiers that bind us: all of an AND, and of an OR the one taken (any free one by default)."""
    bound = set()
    for part in re.split(r"\s+AND\s+", expression):
        choices = [SPELT.get(name.strip(" ()"), name.strip(" ()")) for name in re.split(r"\s+OR\s+", part)]
        taken = TAKEN.get(package)
        free = [name for name in choices if name in FREE]
        bound.add(taken if taken in choices else (free or choices)[0])
    return bound


def problem(package: str, expression: str) -> str:
    """Why this package may not come along; empty if it may."""
    if not expression:
        return f"{package} does not say its licence"
    wrong = {name for name in licences(package, expression) if name not in FREE and package not in JUDGED.get(name, ())}
    return f"{package}: {', '.join(sorted(wrong))} ({expression}) is not on the list of docs/licences.md" if wrong else ""


def test_every_package_of_the_run_time_lock_has_a_licence_that_was_looked_at() -> None:
    packages = locked()
    assert len(packages) > 20
    assert not [text for package in packages if (text := problem(package, said(package)))]


def test_every_entry_of_the_lists_is_needed() -> None:
    """A leftover entry would let the next package through unseen."""
    bound = set().union(*(licences(package, said(package)) for package in locked()))
    assert bound == FREE | JUDGED.keys()
    spellings = {part.strip(" ()") for package in locked() for part in re.split(r"\s+(?:AND|OR)\s+", said(package))}
    assert not SPELT.keys() - spellings


@pytest.mark.parametrize(
    "expression",
    ["GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND GPL-2.0-only", "LGPL-3.0-only", "PolyForm-Noncommercial-1.0.0", "EPL-2.0", ""],
)
def test_a_licence_that_was_not_looked_at_is_named(expression: str) -> None:
    assert "some-package" in problem("some-package", expression)


@pytest.mark.parametrize("expression", ["MIT OR GPL-3.0-only", "GPL-2.0-or-later OR Apache-2.0", "Apache-2.0 AND MIT"])
def test_of_a_choice_the_free_one_is_taken(expression: str) -> None:
    assert problem("some-package", expression) == ""


def test_the_page_names_every_licence_and_every_package_that_was_judged() -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [name for name in (*FREE, *JUDGED, *(package for some in JUDGED.values() for package in some)) if name not in page]
    assert not missing
