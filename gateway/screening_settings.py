"""The settings of screening: which lists, and from which score a name is held."""

from collections.abc import Iterator
from datetime import date as CalendarDay  # noqa: N812 - the setting is called `date`
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ListKind = Literal["own", "opensanctions-csv", "opensanctions-ftm", "ofac-csv", "ofac-xml", "un-xml", "eu-xml"]

PUBLISHED_AGE_DAYS = 7  # after which a list that others publish is called old


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListSettings(_Settings):
    """One list. Files are relative to the configuration directory."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")  # stands in findings: screening.<id>
    file: str
    kind: ListKind
    action: Literal["hold", "block", "pass"] = "hold"
    alias_file: str | None = None  # ofac-csv: ALT.CSV
    date: CalendarDay | None = None  # None: as the file says, else its time of modification
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")  # of `file`: any other content is refused
    tolerant: bool = False  # rows that cannot be read are counted and left out, instead of refusing the list
    age_days_max: Annotated[int, Field(ge=1, le=3650)] | None = None  # None: 7 for published lists, none for own ones

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.kind == "ofac-csv") != (self.alias_file is not None):
            raise ValueError(
                "alias_file: belongs to kind ofac-csv, and is required there: without ALT.CSV no other names would be screened"
            )
        if self.action == "pass" and self.kind != "own":
            raise ValueError("action: only a list of your own can say who may pass")
        if self.kind == "own" and not self.file.lower().endswith((".csv", ".toml")):
            raise ValueError("file: a list of your own is a .csv or a .toml file")
        return self


class ScreeningSettings(_Settings):
    """Screening of payments; without lists there is none."""

    hold_score: int = Field(default=80, ge=60, le=100)
    block_score: int = Field(default=98, ge=60, le=100)  # from which a list with action "block" blocks; below it holds
    told_max: int = Field(default=5, ge=1, le=100)  # hits of one kind that are told one by one
    lists: tuple[ListSettings, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.block_score < self.hold_score:
            raise ValueError("block_score: must not be below hold_score")
        return self


def screening_problems(settings: ScreeningSettings, directory: Path) -> Iterator[tuple[str, str, str]]:
    """(key, problem, hint) for the settings: ids, files that are not there. What is in the files is told when they are read."""
    seen: set[str] = set()
    for place, one in enumerate(settings.lists):
        where = f"screening.lists[{place}]"
        if one.id in seen:
            yield f"{where}.id", f"{one.id!r} is used more than once", "each list has its own id: findings are named by it"
        seen.add(one.id)
        for key, name in (("file", one.file), ("alias_file", one.alias_file)):
            if name is not None and not (directory / name).is_file():
                yield f"{where}.{key}", f"there is no file {name}", "relative paths start at the configuration directory"
