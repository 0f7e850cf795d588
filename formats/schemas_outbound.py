"""The hard gate before sealing: a rendered pain.001 of any size against its official schema, in constant memory.

The file is judged in pieces (`formats.schemas_pieces`) up to the first bad one. What cannot be judged in pieces is a violation
too: our writers make none of the markup that stands in the way, so nothing is lost by refusing it.
"""

from typing import BinaryIO

from formats.errors import FormatError
from formats.schemas_pieces import CUTS, PieceValidator, Uncuttable
from formats.schemas_problems import SchemaProblem


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
