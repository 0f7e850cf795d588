"""The settings of screening: which lists, and from which score a name is held."""

from collections.abc import Iterator
from datetime import date as CalendarDay  # noqa: N812 - the setting is called `date`
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ListKind = Literal[
    "own", "opensanctions-csv", "opensanctions-ftm", "ofac-csv", "ofac-xml", "ofac-advanced", "un-xml", "eu-xml", "eu-csv"
]

PUBLISHED_AGE_DAYS = 7  # after which a list that others publish is called old
PUBLISHED_SHRINKS_PERCENT = 50  # of its entries that such a list may lose from one time to the next


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListSettings(_Settings):
    """One list. Files are relative to the configuration directory."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")  # stands in findings: screening.<id>
    file: str
    kind: ListKind
    action: Literal["hold", "block", "pass"] = "hold"
    alias_file: str | None = None  # ofac-csv: ALT.CSV
    address_file: str | None = None  # ofac-csv: ADD.CSV, for what people are shown
    comments_file: str | None = None  # ofac-csv: SDN_COMMENTS.CSV, the rest of long remarks: weak names and BICs stand there
    date: CalendarDay | None = None  # None: as the file says, else its time of modification
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")  # of `file`: any other content is refused
    tolerant: bool = False  # rows that cannot be read are counted and left out, instead of refusing the list
    age_days_max: Annotated[int, Field(ge=1, le=3650)] | None = None  # None: 7 for published lists, none for own ones
    entries_min: Annotated[int, Field(ge=1)] = 1  # with fewer a published list is not plausible
    shrinks_percent_max: Annotated[int, Field(ge=0, le=100)] | None = None  # None: 50 for published lists, own ones may shrink
    when_implausible: Literal["refuse", "hold", "tell"] = "refuse"  # see gateway.policy.screening.plausible
    decisions_lift_blocks: bool = False  # whether "not the same" counts where this list blocks; else only where it holds

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.kind == "ofac-csv") != (self.alias_file is not None):
            raise ValueError(
                "alias_file: belongs to kind ofac-csv, and is required there: without ALT.CSV no other names would be screened"
            )
        if self.kind != "ofac-csv" and (self.address_file or self.comments_file):
            raise ValueError("address_file, comments_file: belong to kind ofac-csv")
        if self.decisions_lift_blocks and self.action != "block":
            raise ValueError('decisions_lift_blocks: belongs to a list with action = "block"')
        if self.action == "pass" and self.kind != "own":
            raise ValueError("action: only a list of your own can say who may pass")
        if self.kind == "own" and not self.file.lower().endswith((".csv", ".toml")):
            raise ValueError("file: a list of your own is a .csv or a .toml file")
        return self

    @property
    def files(self) -> dict[str, str]:
        """The list's files by the setting that names them, in the order in which they are read."""
        given = {name: getattr(self, name) for name in ("file", "alias_file", "address_file", "comments_file")}
        return {name: file for name, file in given.items() if file is not None}

    @property
    def may_shrink_percent(self) -> int:
        """How much of its entries the list may lose at once."""
        if self.shrinks_percent_max is not None:
            return self.shrinks_percent_max
        return 100 if self.kind == "own" else PUBLISHED_SHRINKS_PERCENT

    @property
    def old_after_days(self) -> int | None:
        """After how many days it is old; None: never."""
        return self.age_days_max or (None if self.kind == "own" else PUBLISHED_AGE_DAYS)


class ScreeningSettings(_Settings):
    """Screening of payments; without lists there is none."""

    hold_score: int = Field(default=80, ge=60, le=100)
    block_score: int = Field(default=98, ge=60, le=100)  # from which a list with action "block" blocks; below it holds
    told_max: int = Field(default=5, ge=1, le=100)  # hits of one kind that are told one by one
    rescreen_days: int = Field(default=30, ge=0, le=400)  # so far back payments in messages are looked at again; 0: not
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
        for key, name in one.files.items():
            if not (directory / name).is_file():
                yield f"{where}.{key}", f"there is no file {name}", "relative paths start at the configuration directory"
