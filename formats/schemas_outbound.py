"""The hard gate before sealing: a rendered pain.001 of any size against its schema, in constant memory; what is small, whole.

The file is judged in pieces (`formats.schemas_pieces`) up to the first bad one. What cannot be judged in pieces is a violation
too: our writers make none of the markup that stands in the way, so nothing is lost by refusing it.
"""

from typing import BinaryIO, Final

from lxml import etree

import formats.schemas_start  # noqa: F401 - before the first schema is compiled
from formats.errors import FormatError
from formats.schemas_pieces import CUTS, PieceValidator, Uncuttable, hardened_parser
from formats.schemas_problems import GivenUp, SchemaProblem, keeps_to, not_well_formed, problem, problems_of

WHOLE_BYTES_MAX: Final = 8 << 20
"""What is validated as a whole and is larger is not sent: its tree would take 8.5 times its size."""


class SchemaViolation(FormatError):
    """Ours: what was rendered breaks the official schema. It is not sealed and not sent. Holds the problems of the first bad
    piece."""

    def __init__(self, problems: tuple[SchemaProblem, ...]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems[:5])))


class OutboundValidator:
    """Validates files of one message, given its official schema. Holds the state of the last validation: one for each thread."""

    def __init__(self, schema: bytes) -> None:
        """`schema` is the text of a pain.001 XSD from the catalogue."""
        self._pieces = PieceValidator(schema, CUTS["pain.001"][0])

    def validate(self, source: BinaryIO) -> None:
        """Reads `source` to its end, or to the end of the piece with the first fault, and raises `SchemaViolation` there."""
        try:
            found = next(self._pieces.faults(source), ())
        except Uncuttable as refused:
            raise SchemaViolation((refused.problem,)) from None
        if found:
            raise SchemaViolation(found)


class WholeValidator:
    """Validates messages of one kind as trees: requests to a bank, and payments by a schema that cannot be judged in pieces."""

    def __init__(self, schema: etree._Element, message_name: str) -> None:
        self._schema = etree.XMLSchema(schema)
        self._message_name = message_name
        self._parser = hardened_parser()

    def validate(self, source: BinaryIO) -> None:
        """Reads `source` from where it stands. Raises `SchemaViolation`."""
        text = source.read(WHOLE_BYTES_MAX + 1)
        if len(text) > WHOLE_BYTES_MAX:
            words = f"more than {WHOLE_BYTES_MAX >> 20} MiB of {self._message_name}, judged as a whole here: send less at once"
            raise SchemaViolation((problem("TOO_LARGE", words),))
        try:
            document = etree.fromstring(text, self._parser)
        except etree.XMLSyntaxError as error:
            raise SchemaViolation((not_well_formed(error, error.lineno),)) from None
        try:
            valid = keeps_to(self._schema, document)
        except GivenUp as refused:
            raise SchemaViolation((refused.problem,)) from None
        if not valid:
            raise SchemaViolation(problems_of(self._schema, document))
