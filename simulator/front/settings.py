"""The table `[front]` of `simulator.toml`: one bank's front machine, its customer, its accounts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simulator.front.banks import NAMES
from simulator.front.fates import Pace
from simulator.settings_base import Address, Seconds, Settings

Yuan = Annotated[str, Field(pattern=r"^\d{1,13}\.\d{2}$")]


class FrontAccountSettings(Settings):
    """An account of the customer."""

    number: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,35}$")]
    name: str = Field(default="甲公司", min_length=1)
    balance: Yuan = "1000000.00"  # in yuan, when the account is opened; a restart leaves it as it was


class PaceSettings(Settings):
    """How long things take at the bank, in seconds; see `simulator.front.fates`."""

    settle: Seconds = 1.0
    pending: Seconds = 60.0
    doubtful: Seconds = 60.0
    manual: Seconds = 60.0
    returned: Seconds = 60.0
    hidden: Seconds = 60.0

    def pace(self) -> Pace:
        return Pace(**self.model_dump())


class FrontSettings(Settings):
    """A front machine, or a bank's own door for messages (cmb_cloud)."""

    bank: str
    listen: Address = "127.0.0.1:0"
    sign_listen: Address = "127.0.0.1:0"  # of the sign service, at banks that have one
    shape: Literal["http", "tcp"] | None = None  # None: the bank's usual one. http takes raw bodies and forms
    framing: Literal["spdb", "cmb", "abc", "pingan", "close"] | None = None  # of tcp; None: the bank's own
    database: str | None = None  # path: keep the books over a restart
    customer: dict[str, str] = Field(default_factory=dict)  # how the customer's messages name it; passwords and keys too
    accounts: tuple[FrontAccountSettings, ...] = Field(min_length=1)
    page_rows: int = Field(default=20, ge=1, le=10_000)  # on a page of history
    quiet_hours: bool = True  # keep the hours in which the bank gives no service
    manners: dict[str, bool] = Field(default_factory=dict)  # other readings of the bank's sheet than the usual, by name
    pacing: bool = False  # answer "too often" to requests that come faster than the bank wants
    pace: PaceSettings = PaceSettings()

    @model_validator(mode="after")
    def _sound(self) -> "FrontSettings":
        if self.bank not in NAMES:
            raise ValueError(f"bank: is one of {', '.join(NAMES)}")
        for listen in (self.listen, self.sign_listen):
            if listen.rpartition(":")[0] not in {"127.0.0.1", "localhost"}:
                raise ValueError("a front machine speaks in clear and listens on 127.0.0.1 only")
        numbers = [account.number for account in self.accounts]
        if len(set(numbers)) < len(numbers):
            raise ValueError("accounts: two have one number")
        return self
