"""Schemas that the user brings from a bank: they win over the catalogue's, and they can reach no file but each other.

Given as texts by file name, as one directory holds them. A file is the schema of the message that its `targetNamespace` or its
own name says; any other must be included or imported by one of these. Includes and imports name files of the same directory by
their plain names; anything else (a path, an address) is refused before libxml2 sees it, and again when libxml2 asks.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from lxml import etree

import formats.schemas_start  # noqa: F401 - before the first schema is compiled
from formats.errors import FormatError

_XML_SCHEMA: Final = "{http://www.w3.org/2001/XMLSchema}"
_REFERENCES: Final = tuple(f"{_XML_SCHEMA}{name}" for name in ("include", "import", "redefine"))
_COMPARING: Final = tuple(f"{_XML_SCHEMA}{name}" for name in ("unique", "key", "keyref"))
_MESSAGE_NAME: Final = re.compile(r"(?<![a-z])[a-z]{4}\.\d{3}\.\d{3}\.\d{2}(?:\.[a-z]{2}\.\d{2})?(?!\d)")
_ROOTS: Final = ("Document", "AppHdr")


class BrokenSchemas(FormatError):
    """The operator's: schemas brought from a bank cannot be used. `problems` are (file, what is wrong with it), all of them."""

    def __init__(self, problems: tuple[tuple[str, str], ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{file}: {problem}" for file, problem in problems))


class _OnlyThese(etree.Resolver):
    """Answers libxml2's wish for another schema file from the files given, and for anything else with an error."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__()
        self._files = files

    # lxml gives a context too, which its stubs leave out.
    def resolve(self, system_url: str, _public_id: str | None, context: Any) -> Any:  # type: ignore[override]
        name = system_url.removeprefix("./")
        if name not in self._files:
            raise LookupError(f"{system_url} is not among the schema files")
        return self.resolve_string(self._files[name], context, base_url=name)


@dataclass(frozen=True, kw_only=True)
class OwnSchema:
    """The schema of one message: the file it stands in, and the SHA-256 of that file."""

    message_name: str
    file: str
    namespace: str
    sha256: str
    files: Mapping[str, bytes] = field(repr=False, compare=False)

    @property
    def text(self) -> bytes:
        """The schema as it stands in its file."""
        return self.files[self.file]

    @cached_property
    def digest(self) -> str:
        """What tells it from every other schema: the SHA-256 over its directory's files, since it may include any of them."""
        together = sha256(self.file.encode())
        for name in sorted(self.files):
            together.update(sha256(name.encode()).digest() + sha256(self.files[name]).digest())
        return together.hexdigest()

    @property
    def stands_alone(self) -> bool:
        """Whether it includes and imports nothing."""
        return next(self.tree().iter(*_REFERENCES), None) is None

    def can_be_cut_at(self, element: str) -> bool:
        """Whether a file may be judged in pieces that end at `element`: where the schema stands in one file, lets the element
        repeat without bound, declares it once and with a named type, and compares nothing across the pieces."""
        tree = self.tree()
        if next(tree.iter(*_REFERENCES, *_COMPARING), None) is not None:
            return False
        declared = [one for one in tree.iter(f"{_XML_SCHEMA}element") if one.get("name") == element]
        return len(declared) == 1 and declared[0].get("maxOccurs") == "unbounded" and declared[0].get("type") is not None

    def tree(self) -> etree._Element:
        """The schema, parsed afresh; what it includes and imports comes from the files given, and from nowhere else."""
        return etree.fromstring(self.text, _parser(self.files))


class OwnSchemas:
    """The schemas of one directory, by message name. Immutable; validators keep their compiled form (`formats.schemas`)."""

    def __init__(self, schemas: Mapping[str, OwnSchema]) -> None:
        self._schemas = dict(schemas)

    def get(self, message_name: str) -> OwnSchema | None:
        """The schema of a message, or None where the catalogue's holds."""
        return self._schemas.get(message_name)

    def __iter__(self) -> Iterator[OwnSchema]:
        return iter([self._schemas[name] for name in sorted(self._schemas)])

    @staticmethod
    def of(files: Mapping[str, bytes]) -> "OwnSchemas":
        """From the texts of the files by name. Raises `BrokenSchemas` naming every file that is not right."""
        reading = _Reading(files)
        reading.look_at_each()
        schemas = reading.schemas()
        if reading.problems:
            raise BrokenSchemas(tuple(sorted(set(reading.problems))))
        return OwnSchemas(schemas)


class _Reading:
    """Looks through the files once, and collects what is wrong."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._trees: dict[str, etree._Element] = {}
        self._uses: dict[str, set[str]] = {}
        self.problems: list[tuple[str, str]] = []

    def look_at_each(self) -> None:
        """Whether each is a schema at all, and which of the others it uses."""
        if not self._files:
            self.problems.append(("", "there is no .xsd file"))
        for name, text in self._files.items():
            try:
                tree = etree.fromstring(text, _parser({}))
            except (etree.XMLSyntaxError, ValueError, LookupError) as error:
                self.problems.append((name, f"is not well-formed XML: {error}"))
                continue
            if tree.getroottree().docinfo.internalDTD is not None:
                self.problems.append((name, "declares a DTD; take the <!DOCTYPE …> out, the schema means the same without it"))
            elif tree.tag != f"{_XML_SCHEMA}schema":
                self.problems.append((name, f"is no XML schema: its root is <{etree.QName(tree).localname}>"))
            else:
                self._trees[name] = tree
                self._uses[name] = self._used_by(name, tree)

    def _used_by(self, name: str, tree: etree._Element) -> set[str]:
        used = set()
        for reference in tree.iter(*_REFERENCES):
            location = reference.get("schemaLocation")
            if location is None:
                continue
            if location.removeprefix("./") not in self._files:
                hint = "put that file beside this one, and write its plain name there"
                self.problems.append((name, f"uses {location!r}, which is no file of its directory; {hint}"))
            used.add(location.removeprefix("./"))
        return used

    def schemas(self) -> dict[str, OwnSchema]:
        """The schema of each message."""
        found: dict[str, OwnSchema] = {}
        helpers = []
        for name, tree in self._trees.items():
            message_name = self._message_name(name, tree)
            if message_name is None:
                helpers.append(name)
            elif message_name in found:
                self.problems.append((name, f"is a second schema of {message_name}, beside {found[message_name].file}"))
            else:
                found[message_name] = self._schema(name, message_name, str(tree.get("targetNamespace")))
        used = set().union(*self._uses.values())
        unused = "is for no known message, neither by its name nor by its targetNamespace, and no other file uses it"
        self.problems += [(name, unused) for name in helpers if name not in used]
        if not self.problems:
            for schema in found.values():
                self._compile(schema)
        return found

    def _message_name(self, name: str, tree: etree._Element) -> str | None:
        by_namespace = _MESSAGE_NAME.search(tree.get("targetNamespace") or "")
        by_name = _MESSAGE_NAME.match(name)
        if by_namespace and by_name and not by_name[0].startswith(by_namespace[0]):
            self.problems.append((name, f"says by its name {by_name[0]}, and by its targetNamespace {by_namespace[0]}"))
        found = by_name or by_namespace
        return None if found is None or tree.get("targetNamespace") is None else found[0]

    def _schema(self, name: str, message_name: str, namespace: str) -> OwnSchema:
        digest = sha256(self._files[name]).hexdigest()
        return OwnSchema(message_name=message_name, file=name, namespace=namespace, sha256=digest, files=self._files)

    def _compile(self, schema: OwnSchema) -> None:
        tree = schema.tree()
        reached = self._reached(schema.file)
        declared = {one.get("name") for name in reached for one in self._trees[name].findall(f"{_XML_SCHEMA}element")}
        if not declared.intersection(_ROOTS):
            self.problems.append((schema.file, "declares no element Document, so that no message could be valid by it"))
        try:
            etree.XMLSchema(tree)
        except (etree.XMLSchemaParseError, LookupError) as error:
            self.problems.append((schema.file, f"is not a valid XML schema: {error}"))

    def _reached(self, name: str) -> set[str]:
        reached, waiting = set(), [name]
        while waiting:
            one = waiting.pop()
            if one not in reached:
                reached.add(one)
                waiting += self._uses[one]
        return reached


def _parser(files: Mapping[str, bytes]) -> etree.XMLParser:
    """A parser that resolves no entity, loads no DTD, and reaches for nothing but the files given."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    parser.resolvers.add(_OnlyThese(files))
    return parser
