"""The Merkle tree over the hashes of the log's lines (RFC 6962 section 2.1; the proofs as RFC 9162 sections 2.1.3 and 2.1.4).

A leaf is SHA-256(0x00 || line hash), a node SHA-256(0x01 || left || right); the left subtree of n leaves is the largest power of
two below n. A root tells every line of the log up to a size; an inclusion proof that one line is among them, a consistency proof
that an earlier root is of the same log's beginning.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
HASH_BYTES: Final = 32


def leaf_hash(data: bytes) -> bytes:
    """Of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Of a node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over the data of leaves."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root


class Frontier:
    """The roots of the full subtrees that a number of leaves consist of, largest first: all that adding leaves needs."""

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        """Raises ValueError if `packed` is no frontier of that size."""
        if len(packed) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"{len(packed)} bytes are no frontier of {size} leaves")
        self.size = size
        self._roots = [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]

    @property
    def packed(self) -> bytes:
        """All of it, to be kept."""
        return b"".join(self._roots)

    @property
    def roots(self) -> tuple[bytes, ...]:
        """All of it, one by one."""
        return tuple(self._roots)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Adds leaves, given as data."""
        for data in leaves:
            self._roots.append(leaf_hash(data))
            full = self.size
            while full & 1:
                right = self._roots.pop()
                self._roots.append(node_hash(self._roots.pop(), right))
                full >>= 1
            self.size += 1

    @property
    def root(self) -> bytes:
        """Of all leaves so far."""
        if not self._roots:
            return EMPTY_ROOT
        root = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            root = node_hash(left, root)
        return root


class Tree:
    """All hashes of a tree, for many proofs: 64 bytes a leaf. `before`: of leaves in front of these that are gone, their frontier
    at that time; the proofs are of the leaves that are there."""

    def __init__(self, leaves: Iterable[bytes], before: Frontier | None = None) -> None:
        gone, roots = (before.size, before.roots) if before else (0, ())
        left = list(roots)
        self._levels = [[leaf_hash(data) for data in leaves]]
        self._firsts: list[int] = []  # the place of the first node of each level: those before it are not known, nor needed
        self.size = gone + len(self._levels[0])  # how many leaves there are, the gone ones among them
        while True:
            level, place = self._levels[-1], gone >> len(self._firsts)
            if place & 1:
                level.insert(0, left.pop())
                place -= 1
            self._firsts.append(place)
            if place + len(level) <= 1:
                break
            pairs = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
            # A subtree that is not full has no node of its own at this level; its last leaf stands for it until it meets another.
            self._levels.append(pairs + level[len(level) & ~1 :])

    @property
    def root(self) -> bytes:
        """Of all."""
        return self._levels[-1][0] if self.size else EMPTY_ROOT

    def inclusion(self, index: int) -> list[bytes]:
        """PATH(index, all), leaf index from 0: the hashes that lead from the leaf to the root, lowest first."""
        path = []
        for level, first in zip(self._levels[:-1], self._firsts, strict=False):
            beside = (index ^ 1) - first
            if beside < len(level):
                path.append(level[beside])
            index >>= 1
        return path

    def consistency(self, size: int) -> list[bytes]:
        """PROOF(size, all): that the first `size` leaves, from 1 on, are the beginning of these."""
        return self._subproof(size, 0, self.size, whole=True)

    def _subproof(self, size: int, start: int, count: int, *, whole: bool) -> list[bytes]:
        if size == count:
            return [] if whole else [self._range(start, count)]
        left = 1 << ((count - 1).bit_length() - 1)
        if size <= left:
            return [*self._subproof(size, start, left, whole=whole), self._range(start + left, count - left)]
        return [*self._subproof(size - left, start + left, count - left, whole=False), self._range(start, left)]

    def _range(self, start: int, count: int) -> bytes:
        """The root over leaves that are a subtree of this tree."""
        level = (count - 1).bit_length()
        if count & (count - 1) == 0:
            return self._levels[level][start >> level]
        left = 1 << (level - 1)
        return node_hash(self._range(start, left), self._range(start + left, count - left))


def root_by_inclusion(data: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a proof leads to (RFC 9162, 2.1.3.2). Raises ValueError for a proof that cannot be one of that leaf."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is none of {size}")
    place, last, found = index, size - 1, leaf_hash(data)
    for beside in path:
        if last == 0:
            raise ValueError("the proof is too long")
        if place & 1 or place == last:
            found = node_hash(beside, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the proof is too short")
    return found


def is_consistent(first_size: int, first: bytes, second_size: int, second: bytes, path: Sequence[bytes]) -> bool:
    """Whether the proof shows that the first root is of the second's beginning (RFC 9162, 2.1.4.2)."""
    if first_size == second_size:
        return first == second and not path
    hashes = [first, *path] if first_size & (first_size - 1) == 0 else list(path)
    if not 0 < first_size < second_size or not hashes:
        return False
    place, last = first_size - 1, second_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = hashes[0]
    for beside in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(beside, old), node_hash(beside, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, beside)
        place, last = place >> 1, last >> 1
    return last == 0 and (old, new) == (first, second)
