"""The settings of a route to a front machine (前置机), or to a bank's own interface that answers at once.

Front machines are programs of the bank in the customer's own network. They speak plain HTTP or TCP to whoever reaches them, keep
the certificate and talk to the bank. What protects that last stretch is the network, so plaintext to another machine is allowed
only to those who write down how it is protected.
"""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from channels.frontend_frames import Framing
from channels.https_profile import HttpRoute, HttpsTimeouts, Path, TlsSettings, is_loopback
from channels.settings import Bytes, Seconds, Secret, Settings

ContentType = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+/-]{0,100}(; ?[A-Za-z0-9=._-]{1,60})?$")]
Reason = Annotated[str, Field(min_length=20, max_length=500)]
SecretName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Pause = Annotated[float, Field(ge=0, le=3600)]


class FrontendTimeouts(HttpsTimeouts):
    """How long each phase may take."""

    read: Seconds = 90.0  # silence of the front machine once we have said all; it waits for the bank
    total: Seconds = 120.0  # one request with its reply; several of them have to fit the connection's retry.lease_seconds


class SignService(Settings):
    """`[channel.sign_service]`: a program of the bank beside the front machine that signs and verifies (ICBC NC, SPDB)."""

    url: str  # "http://127.0.0.1:449"
    path: Path = "/"
    sign_content_type: ContentType = "INFOSEC_SIGN/1.0"
    verify_content_type: ContentType = "INFOSEC_VERIFY_SIGN/1.0"
    reply_bytes_max: Bytes = 64 << 20
    timeouts: HttpsTimeouts = HttpsTimeouts(read=30.0, total=60.0)


class FrontendProfile(TlsSettings):
    """`[channel]` with kind = "frontend". `url` and `path` are for HTTP, `host`, `port` and `tls` for TCP."""

    kind: Literal["frontend"]
    shape: Literal["http_raw", "http_form", "tcp"] = "http_raw"
    framing: Framing = "none"  # of the body; TCP needs one
    url: str | None = None  # "http://127.0.0.1:8080"
    path: Path = "/"
    http_version: Literal["1.0", "1.1"] = "1.1"
    content_type: ContentType = "application/xml"  # of raw bodies whose bank says no other
    host: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._:-]{1,255}$")
    port: int | None = Field(default=None, ge=1, le=65_535)
    tls: bool = False
    plaintext_network: Reason | None = None  # in words: what keeps others out of the network between us and the front machine
    reply_bytes_max: Bytes = 64 << 20
    timeouts: FrontendTimeouts = FrontendTimeouts()
    login: str = Field(default="", max_length=100)  # connections with this login at this address share the pauses
    payment_pause: Pause | None = None  # seconds after a payment before the next request; None: what the bank asks for
    question_pause: Pause | None = None  # the same after a question
    secrets: dict[SecretName, Secret] = Field(default_factory=dict)  # what the bank's plugin puts into envelopes
    sign_service: SignService | None = None

    @property
    def address(self) -> str:
        """Where it is, for people and as the key of its pauses: no secret is in it."""
        return f"{self.url}{self.path}" if self.url is not None else f"{self.host}:{self.port}"

    def route(self) -> HttpRoute:
        """Of the front machine, where it speaks HTTP. Raises `ValueError` where it does not."""
        if self.url is None:
            raise ValueError("a front machine without url speaks no HTTP")
        return self._route(self.url, self.timeouts)

    def sign_route(self) -> HttpRoute:
        """Of the sign service. Raises `ValueError` where there is none."""
        if self.sign_service is None:
            raise ValueError("there is no sign_service")
        return self._route(self.sign_service.url, self.sign_service.timeouts)

    def _route(self, url: str, timeouts: HttpsTimeouts) -> HttpRoute:
        shared = {name: getattr(self, name) for name in TlsSettings.model_fields}
        return HttpRoute(base_url=url, timeouts=HttpsTimeouts(**timeouts.model_dump()), **shared)

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        if self.shape == "tcp":
            if self.host is None or self.port is None or self.url is not None:
                raise ValueError('shape "tcp": host and port say where; url is for HTTP')
            if self.framing == "none":
                raise ValueError('framing: over TCP the bank\'s header (or "close") says where a message ends; name it')
            if self.tls and self.framing == "close":
                raise ValueError('framing "close": TLS cannot end one direction and leave the other open; use plain TCP')
        else:
            if self.url is None or self.host is not None or self.port is not None or self.tls:
                raise ValueError(f'shape "{self.shape}": url says where; host, port and tls are for TCP')
            if self.framing == "close" or (self.framing != "none" and self.shape == "http_form"):
                raise ValueError(f'framing "{self.framing}" is not for shape "{self.shape}"')
        if self.timeouts.connect >= self.timeouts.total:
            raise ValueError("timeouts.connect: must be shorter than total, or a failed connection could not be told apart")
        return self

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        if self.host is not None:
            self._must_be_protected("host", self.host, secure=self.tls)
        if self.url is not None:
            self._must_be_protected("url", *_of_url("url", self.url))
        if self.sign_service is not None:
            self._must_be_protected("sign_service.url", *_of_url("sign_service.url", self.sign_service.url))
        return self

    def _must_be_protected(self, setting: str, host: str, secure: bool) -> None:
        if secure and not self.trust:
            raise ValueError("trust: name the certificates to believe for this address; the system's list is not used")
        if not secure and not is_loopback(host) and self.plaintext_network is None:
            raise ValueError(
                f"{setting}: payments would cross a network in clear. Use TLS, put the front machine on this machine, or say in "
                "plaintext_network (20 characters or more) what keeps others out of that network, e.g. a segment of its own "
                "with the front machine's address filter on"
            )


def _of_url(setting: str, url: str) -> tuple[str, bool]:
    """Host, and whether it is reached over TLS. Raises `ValueError`."""
    parts = urlsplit(url)
    try:
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    beside = parts.query or parts.fragment or parts.username is not None or parts.path not in {"", "/"}
    if not named or beside or not url.isascii() or parts.scheme not in {"http", "https"}:
        raise ValueError(f"{setting}: http:// or https://, a host and perhaps a port; the rest stands in path")
    return parts.hostname or "", parts.scheme == "https"
