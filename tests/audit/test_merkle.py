"""The tree, against the values that the authors of RFC 6962 published, and against the definition itself."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.merkle import EMPTY_ROOT, Frontier, Tree, is_consistent, leaf_hash, node_hash, root_by_inclusion, root_of

# The eight leaves, the roots over the first n of them and the proofs of certificate-transparency's reference tests
# (merkle_tree_test.cc), which follow the text of RFC 6962.
LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
PATH_0_OF_8 = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
PATH_5_OF_8 = (
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
)
CONSISTENCY_6_TO_8 = (
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
)


def hexes(hashes: list[bytes]) -> tuple[str, ...]:
    return tuple(one.hex() for one in hashes)


def by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(by_definition(leaves[:k]), by_definition(leaves[k:]))


def test_roots_and_proofs_are_the_published_ones() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert tuple(root_of(LEAVES[:size]).hex() for size in range(1, 9)) == ROOTS
    assert hexes(Tree(LEAVES).inclusion(0)) == PATH_0_OF_8
    assert hexes(Tree(LEAVES).inclusion(5)) == PATH_5_OF_8
    assert hexes(Tree(LEAVES).consistency(6)) == CONSISTENCY_6_TO_8


def test_every_leaf_of_every_small_tree_is_proved_and_no_other() -> None:
    leaves = [bytes([number]) for number in range(20)]
    for size in range(1, 21):
        tree = Tree(leaves[:size])
        assert tree.root == root_of(leaves[:size]) == by_definition(leaves[:size])
        for index in range(size):
            path = tree.inclusion(index)
            assert root_by_inclusion(leaves[index], index, size, path) == tree.root
            assert root_by_inclusion(b"other", index, size, path) != tree.root


def test_every_beginning_of_every_small_tree_is_proved_and_no_other() -> None:
    leaves = [bytes([number]) for number in range(16)]
    for size in range(1, 17):
        tree = Tree(leaves[:size])
        for first in range(1, size + 1):
            proof = tree.consistency(first)
            before = root_of(leaves[:first])
            assert is_consistent(first, before, size, tree.root, proof)
            assert not is_consistent(first, root_of([b"x", *leaves[1:first]]), size, tree.root, proof)
            assert not is_consistent(first, before, size, leaf_hash(b"x"), proof)


@given(st.lists(st.binary(max_size=4), max_size=40), st.integers(0, 40))
def test_a_frontier_that_was_kept_goes_on_as_if_it_never_stopped(leaves: list[bytes], stop: int) -> None:
    before = Frontier()
    before.extend(leaves[:stop])
    after = Frontier(before.size, before.packed)
    after.extend(leaves[stop:])
    assert after.root == by_definition(leaves)


def test_proofs_and_roots_are_the_same_where_the_first_leaves_are_gone() -> None:
    for size in range(1, 34):
        leaves = [bytes([number]) * 32 for number in range(size)]
        whole = Tree(leaves)
        for gone in range(size):
            frontier = Frontier()
            frontier.extend(leaves[:gone])
            rest = Tree(leaves[gone:], frontier)
            assert (rest.size, rest.root) == (size, whole.root)
            assert [rest.inclusion(index) for index in range(gone, size)] == [
                whole.inclusion(index) for index in range(gone, size)
            ]
