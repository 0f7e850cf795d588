"""The settings of the verification of payee (`gateway.payee`): the table [payee]."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from channels.https_profile import HttpRoute

Wanted = Literal["pass", "approval", "hold"]


class PayeeServiceSettings(HttpRoute):
    """A verification service over HTTPS: `bankgate.toml`, [payee.service]."""

    kind: Literal["https"] = "https"
    path: str = Field(default="/vop/v1/payee-verifications", pattern=r"^/[A-Za-z0-9._~/-]*$")
    answer_bytes_max: int = Field(default=64 * 1024, ge=1024, le=1024 * 1024)

    @model_validator(mode="after")
    def _believed(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username is not None:
            raise ValueError("base_url: https://, a host, perhaps a port and a path; names of payees go nowhere in clear")
        if not self.trust:
            raise ValueError("trust: name the certificates to believe for this service; the system's list is not used")
        return self


class PayeeSettings(BaseModel):
    """What is asked, how long, and what an answer asks for in its turn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: PayeeServiceSettings | None = None  # None: nobody is asked
    seconds: Annotated[float, Field(gt=0, le=60)] = 5.0  # for one answer, the scheme's longest (EPC218-23)
    at_once: int = Field(default=16, ge=1, le=1000)  # questions under way together
    all_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0  # for the questions about many payments: then no more are begun
    currencies: tuple[str, ...] = ("EUR",)  # of payments that are verified; the account must be an IBAN
    no_match: Literal["approval", "hold"] = "hold"
    close_match: Wanted = "approval"
    not_available: Wanted = "pass"
    approvers: str = Field(default="approvers", min_length=1)  # the group that approves where an answer asks for it
