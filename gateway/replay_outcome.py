"""What a replay came to, in a form that stays the same from run to run, and in what two of them differ. Pure.

    {"files": [{"file", "message", "changes": [{"payment", "from", "to", "code", "bank_text", "matched_by", "place",
                             "line"}],
                "problems": [{"kind", "line", "facts"}]}],
     "payments": [{"payment", "state"}]}

Left out is what differs between two runs over the same files: ids that the gateway makes, moments, and its own wording. Changes
and problems are in the order of the file. `payments` is there where payments were expected: where each of them stood at the end.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_VARYING: Final = frozenset({"source", "candidates", "payments", "why"})  # ids of ours, and words
_RECORD: Final = re.compile(r"record (\d+)")


class BadOutcome(ValueError):
    """Not an outcome as `--record` writes it. Says what is wrong with it."""


@dataclass(slots=True)
class Outcome:
    """Gathers the results of a replay, as the service gives them: dicts with one of the keys change, problem, file, payment."""

    files: list[dict[str, Any]] = field(default_factory=list)
    payments: list[dict[str, str]] | None = None
    _changes: list[dict[str, Any]] = field(default_factory=list)
    _problems: list[dict[str, Any]] = field(default_factory=list)

    def add(self, result: Mapping[str, Any]) -> None:
        """The next result."""
        if "change" in result:
            self._changes.append(_change(result["change"]))
        elif "problem" in result:
            self._problems.append(_problem(result["problem"]))
        elif "payment" in result:
            payment = result["payment"]
            self.payments = [] if self.payments is None else self.payments
            self.payments.append({"payment": payment["payment_reference"], "state": payment["state"]})
        else:
            file = result["file"]
            changes, self._changes = sorted(self._changes, key=_order), []
            problems, self._problems = self._problems, []
            self.files.append(
                {"file": file["file"], "message": file.get("message") or None, "changes": changes, "problems": problems}
            )

    def as_json(self) -> dict[str, Any]:
        """The whole, as it is recorded."""
        whole: dict[str, Any] = {"files": self.files}
        if self.payments is not None:
            whole["payments"] = sorted(self.payments, key=lambda payment: payment["payment"])
        return whole


def differences(expected: Any, found: Mapping[str, Any]) -> list[str]:
    """In what they differ, one sentence each; none: they are the same. Raises `BadOutcome` where the first is no outcome."""
    wanted, happened = list(_lines(_checked(expected))), list(_lines(found))
    missing, surplus = Counter(wanted) - Counter(happened), Counter(happened) - Counter(wanted)
    told = [f"expected, and did not happen: {line}" for line in _taken(wanted, missing)]
    return told + [f"happened, and was not expected: {line}" for line in _taken(happened, surplus)]


def _taken(lines: Iterable[str], counted: Counter[str]) -> Iterator[str]:
    for line in lines:
        if counted[line] > 0:
            counted[line] -= 1
            yield line


def _checked(outcome: Any) -> Mapping[str, Any]:
    if not isinstance(outcome, dict) or not isinstance(outcome.get("files"), list) or set(outcome) - {"files", "payments"}:
        raise BadOutcome('expected an object with "files" and perhaps "payments", as --record writes it')
    for place, file in enumerate(outcome["files"]):
        if not isinstance(file, dict) or not isinstance(file.get("file"), str):
            raise BadOutcome(f"files[{place}]: expected an object that names its file")
        for name in ("changes", "problems"):
            items = file.get(name, [])
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise BadOutcome(f"files[{place}].{name}: expected a list of objects")
    payments = outcome.get("payments", [])
    if not isinstance(payments, list) or not all(isinstance(item, dict) for item in payments):
        raise BadOutcome("payments: expected a list of objects")
    return outcome


def _lines(outcome: Mapping[str, Any]) -> Iterator[str]:
    """Every fact as a line of its own, so that a difference can be shown as one."""
    for file in outcome["files"]:
        name = file["file"]
        yield f"{name} is read as {file.get('message') or 'nothing that can be read'}"
        for change in file.get("changes", []):
            move = f"{change.get('payment')}: {change.get('from')} → {change.get('to')}"
            yield f"{name}: {move}, {_rest(change, 'payment', 'from', 'to')}"
        for problem in file.get("problems", []):
            yield f"{name}: {problem.get('kind')}, {_rest(problem, 'kind')}"
    for payment in outcome.get("payments") or ():
        yield f"at the end {payment.get('payment')} is {payment.get('state')}"


def _rest(item: Mapping[str, Any], *shown: str) -> str:
    return json.dumps({key: item[key] for key in sorted(item) if key not in shown}, ensure_ascii=False, sort_keys=True)


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    reason = change.get("reason") or {}
    return {
        "payment": change.get("payment_reference", ""),
        "from": _state(change.get("from")),
        "to": _state(change.get("to")),
        "code": reason.get("code", ""),
        "bank_text": reason.get("bank_text", ""),
        "matched_by": change.get("matched_by", ""),
        "place": change.get("place", ""),
        "line": change.get("line") or None,
    }


def _problem(problem: Mapping[str, Any]) -> dict[str, Any]:
    facts = json.loads(problem.get("evidence") or "{}")
    return {
        "kind": problem.get("kind", ""),
        "line": problem.get("line") or None,
        "facts": {key: facts[key] for key in sorted(facts) if key not in _VARYING},
    }


def _order(change: Mapping[str, Any]) -> tuple[int, str, str]:
    found = _RECORD.match(change["place"])
    return (int(found[1]) if found else 0, change["payment"], change["to"])


def _state(name: Any) -> str:
    return str(name or "").removeprefix("PAYMENT_STATE_").lower()
