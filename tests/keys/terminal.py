"""A terminal of its own for tests of `bankgate keys`."""

from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from gateway.cli.keys import app

WORD = "correct horse"


@dataclass
class Terminal:
    """Runs commands in a directory of its own. No command may ever show a traceback, whatever it is given."""

    directory: Path
    output: str = ""
    errors: str = ""

    def run(self, *arguments: str, typed: str | None = None) -> int:
        result = CliRunner().invoke(app, list(arguments), input=typed)
        self.output, self.errors = result.stdout, result.stderr
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        assert WORD not in result.output
        return result.exit_code
