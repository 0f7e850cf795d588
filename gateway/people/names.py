"""Names of people, groups and connections, as they are typed. Pure."""

import re
from collections.abc import Sequence
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{0,126}")
_GROUP: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_CONNECTION: Final = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
GROUPS_MAX: Final = 100


class BadName(ValueError):
    """It cannot be a name. Says what one looks like."""


def checked_name(name: str) -> str:
    """The name of a person. Raises `BadName`."""
    if not _NAME.fullmatch(name):
        raise BadName("a name has small letters, digits and . _ - @, and begins with a letter or a digit: li.wei")
    return name


def checked_groups(groups: Sequence[str]) -> frozenset[str]:
    """Names of groups. Raises `BadName`."""
    if len(groups) > GROUPS_MAX or not all(_GROUP.fullmatch(group) for group in groups):
        raise BadName(f"up to {GROUPS_MAX} groups, of small letters, digits and . _ -: treasury")
    return frozenset(groups)


def checked_connections(connections: Sequence[str]) -> tuple[str, ...]:
    """Ids of connections, or "*". None at all is "none". Raises `BadName`."""
    if not all(_CONNECTION.fullmatch(one) for one in connections):
        raise BadName('ids of connections, or "*" for all there are')
    return tuple(sorted(set(connections)))
