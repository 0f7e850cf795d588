"""What is noted of a change of our keys."""

import json
from dataclasses import dataclass
from typing import Final, get_args

from channels.ebics.key_change import ChangeOrder, KeyChange, KeyUse, standing
from channels.ebics.notes import Note, Notes, UploadNote, open_note, read_upload
from channels.ebics.own import KeyReferences

CHANGE: Final = "key-change"
"""The last part of the name of the note about a subscriber's last change of keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeNote:
    """A change of keys. `old`, `new`: references into the key store with their versions; `names`: the hashes of our three keys as
    they are after it; `upload`: the name of the note about the order; `closed`: the key store has the new keys in use, or the
    change was given up."""

    order: ChangeOrder
    old: KeyReferences
    new: KeyReferences
    names: str
    upload: str
    closed: bool = False

    def to_text(self) -> str:
        found = {
            "closed": self.closed,
            "names": self.names,
            "new": dict(self.new),
            "old": dict(self.old),
            "order": self.order,
            "upload": self.upload,
        }
        return json.dumps(found, sort_keys=True, separators=(",", ":"))


def read_change(text: str) -> ChangeNote:
    """Raises `ValueError` for what is no such note."""
    found = json.loads(text)
    if not isinstance(found, dict) or set(found) != {"closed", "names", "new", "old", "order", "upload"}:
        raise ValueError("the stored change of keys lacks a field or has one more; it was written by another version")
    order = next((known for known in get_args(ChangeOrder) if known == found["order"]), None)
    if order is None or not isinstance(found["closed"], bool) or not all(isinstance(found[n], str) for n in ("names", "upload")):
        raise ValueError("the stored change of keys is malformed")
    return ChangeNote(
        order=order,
        old=_references(found["old"]),
        new=_references(found["new"]),
        names=found["names"],
        upload=found["upload"],
        closed=found["closed"],
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A change as found: its note, and that of its order."""

    note: Note
    stands: ChangeNote
    upload_note: Note
    upload: UploadNote | None

    @property
    def change(self) -> KeyChange:
        """Which keys are in force."""
        return standing(KeyChange(order=self.stands.order), None if self.upload is None else self.upload.state)


async def open_change(notes: Notes, scope: str) -> tuple[Note, Change | None]:
    """The change that is under way, if one is. Raises `ValueError` where it cannot be read, and what the notes raise."""
    note = await open_note(notes, f"{scope}/{CHANGE}")
    if note.text is None:
        return note, None
    stands = read_change(note.text)
    if stands.closed:
        return note, None
    upload = await open_note(notes, stands.upload)
    return note, Change(note, stands, upload, None if upload.text is None else read_upload(upload.text))


def _references(found: object) -> KeyReferences:
    uses: tuple[KeyUse, ...] = get_args(KeyUse)
    if not isinstance(found, dict) or not set(found) <= set(uses) or not all(isinstance(name, str) for name in found.values()):
        raise ValueError("the references of the stored change of keys are malformed")
    return tuple((use, found[use]) for use in uses if use in found)
