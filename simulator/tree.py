"""The folders of one customer: what the customer sees, and the vault behind it.

Both are on one file system, so a file moves between them in one step and is always whole where it lies.
"""

import os
from dataclasses import dataclass
from pathlib import Path

UNFINISHED = (".part", ".tmp", ".filepart")
"""Endings of names under which a customer is still writing; the bank leaves these alone."""


def is_final(name: str) -> bool:
    """Whether a name in the inbox says that the file is whole."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything is created at once by `make_tree`."""

    seen: Path  # the customer's root
    vault: Path  # never visible

    @property
    def inbox(self) -> Path:
        return self.seen / "inbox"

    @property
    def outbox(self) -> Path:
        return self.seen / "outbox"

    @property
    def archive(self) -> Path:
        return self.seen / "archive"

    @property
    def taken(self) -> Path:
        return self.seen / "taken"

    @property
    def incoming(self) -> Path:
        """Taken and not yet worked on."""
        return self.vault / "incoming"

    @property
    def done(self) -> Path:
        """Worked on, as received."""
        return self.vault / "done"

    @property
    def quarantine(self) -> Path:
        """What would not open, each with an `.error.txt` beside it."""
        return self.vault / "quarantine"

    @property
    def answers(self) -> Path:
        """Answers of the ledger, in clear, not served yet."""
        return self.vault / "answers"

    @property
    def served(self) -> Path:
        """Answers of the ledger, in clear, that were sealed and put into the outbox."""
        return self.vault / "served"

    @property
    def withheld(self) -> Path:
        """Answers a silent bank keeps for itself."""
        return self.vault / "withheld"

    @property
    def again(self) -> Path:
        """Sealed answers that will be served once more under the same name."""
        return self.vault / "again"

    @property
    def acknowledged(self) -> Path:
        """Sealed answers the customer has acknowledged over HTTPS."""
        return self.vault / "acknowledged"

    @property
    def work(self) -> Path:
        """Files being written; emptied at start."""
        return self.vault / "work"


def make_tree(data: Path, customer: str, *, show_taken: bool) -> Tree:
    """The folders of a customer under the data directory, made where they are missing."""
    tree = Tree(seen=data / "customers" / customer, vault=data / "vault" / customer)
    folders = [tree.inbox, tree.outbox, tree.archive, tree.incoming, tree.done, tree.quarantine, tree.answers, tree.served]
    folders += [tree.withheld, tree.again, tree.acknowledged, tree.work]
    if show_taken:
        folders.append(tree.taken)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for left_over in tree.work.iterdir():
        left_over.unlink()
    return tree


def move_new(source: Path, target: Path) -> None:
    """Moves a file to a name that must be free, in one step: link, then unlink, as OpenSSH's sftp-server renames.

    Raises `FileExistsError`; then both files are untouched. (`rename(2)` would silently replace what is there.)
    """
    os.link(source, target)
    source.unlink()
