"""docs/rules.md says every rule there is, as it is."""

import re
import subprocess
import sys
from pathlib import Path

from formats.rules.packs import PACKS

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r'rule="([a-z-]+\.[a-z-]+)"')
GIVEN = re.compile(r'^\s+"([a-z-]+\.[a-z-]+)",$', re.MULTILINE)  # the second argument of gateway/rpc/convert.py's own helper


def test_the_page_of_the_rules_is_written_from_the_packs() -> None:
    command = [sys.executable, str(ROOT / "deploy" / "scripts" / "rules_page.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_rule_that_a_caller_can_be_told_is_on_the_page() -> None:
    page = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    packed = {rule.id for pack in PACKS for rule in pack.rules}
    sources = [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "formats").rglob("*.py")]
    sources = [path for path in sources if "policy" not in path.parts]  # what rules of a house find: the pages of each kind tell
    inline = {rule for path in sources for rule in NAMED.findall(path.read_text(encoding="utf-8"))}
    inline |= set(GIVEN.findall((ROOT / "gateway" / "rpc" / "convert.py").read_text(encoding="utf-8")))
    assert {"amount.format", "payment-reference.form"} <= inline
    assert [rule for rule in sorted(packed | inline) if f"| `{rule}` |" not in page] == []
