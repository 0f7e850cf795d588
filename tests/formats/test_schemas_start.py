"""The first schema of a process is compiled by one thread alone: libxml2 takes no lock for what it makes at that moment."""

import subprocess
import sys

import pytest

CODE = """
from lxml import etree
made, real = [], etree.XMLSchema
etree.XMLSchema = lambda *given, **named: (made.append(1), real(*given, **named))[1]
import formats.{module}
raise SystemExit(0 if made else "no schema was compiled while there was one thread")
"""


@pytest.mark.parametrize("module", ["schemas", "schemas_inbound", "schemas_outbound", "schemas_own", "schemas_pieces"])
def test_threads_that_compile_the_first_schema_together_break_every_later_one(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE.format(module=module)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
