"""The EBICS tables of `simulator.toml`: the door, what it tolerates, the customers' users."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from simulator.settings_base import Address, Seconds, Settings

Identifier = Annotated[str, Field(pattern=r"^[a-zA-Z0-9,=]{1,35}$")]  # schema PartnerIDType, UserIDType


class ToleranceSettings(Settings):
    """What real banks let pass though a strict one would not. Everything is off."""

    raw_signatures: bool = False  # also an electronic signature over D itself, where N(D) is another
    long_data_digest: bool = False  # a DataDigest that is no SHA-256, such as a signature
    flag_content: bool = False  # text inside the empty element SignatureFlag
    any_format: bool = False  # order data that is no XML where XML is due
    any_digest_kind: bool = True  # in H005 the public-key hash of a bank key as well as the certificate's; real banks take both


class EbicsDoorSettings(Settings):
    """The EBICS server. Without TLS it listens on the loopback interface only; its key and certificate are made where none is
    named. The bank's own X002 and E002 keys are made once and kept in the data directory."""

    listen: Address = "127.0.0.1:0"
    tls: bool = False
    certificate: str | None = None  # path of a PEM chain
    key: str | None = None  # path of its unencrypted PEM key
    host_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9,=]{1,35}$")] = "TESTHOST"
    versions: tuple[Literal["H004", "H005"], ...] = Field(default=("H004", "H005"), min_length=1)
    explicit_user_errors: bool = False  # 091003 and 091004 instead of 091002, which tells nobody who exists
    replay_window_seconds: Seconds = 3600.0  # around a request's Timestamp; nonces are remembered for it. 0: not checked
    transaction_seconds: Seconds = 3600.0  # after which an unfinished transaction is forgotten
    recoveries_max: int = Field(default=3, ge=0)  # of one transaction; 0: recovery is not supported (091105)
    finished_uploads: Literal["forgotten", "remembered"] = "forgotten"  # a repeated last segment: 091101, or 061101
    segment_chars: int = Field(default=1_000_000, ge=4, le=1_048_576, multiple_of=4)  # of segments the bank sends
    segments_max: int = Field(default=1000, ge=1)  # an upload announces (091118)
    order_bytes_max: int = Field(default=256 * 1024**2, ge=1)  # of order data, inflated (091117)
    transactions_max: int = Field(default=10, ge=1)  # open ones of a user (091119)
    double_upload_control: bool = False  # 091122 for order data that the customer has sent before
    flagless: Literal["execute", "wait"] = "execute"  # H005 without SignatureFlag: its signature counts, or it waits for paper
    tolerate: ToleranceSettings = ToleranceSettings()

    @model_validator(mode="after")
    def _tls(self) -> "EbicsDoorSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        if not self.tls and self.listen.rpartition(":")[0] not in {"127.0.0.1", "localhost"}:
            raise ValueError("without tls the EBICS door listens on 127.0.0.1 only")
        return self


class EbicsUserSettings(Settings):
    """A person or machine of the customer. `level` is the class of the electronic signature: E alone is enough, A with A or B,
    B with A, T moves nothing."""

    id: Identifier
    name: str = "User"
    level: Literal["E", "A", "B", "T"] = "E"
    activation: Literal["command", "auto"] = (
        "command"  # who turns INITIALISED into READY: the control door, or the second key order
    )
    orders: tuple[str, ...] = ()  # names of order types this user may give; empty: all


class EbicsCustomerSettings(Settings):
    """A customer of the EBICS door."""

    partner: Identifier
    users: tuple[EbicsUserSettings, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _different(self) -> "EbicsCustomerSettings":
        if len({user.id for user in self.users}) < len(self.users):
            raise ValueError("ebics.users: two users have one id")
        return self
