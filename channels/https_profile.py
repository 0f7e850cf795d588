"""The settings of an HTTPS route."""

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from channels.settings import FileRules, Reference, Seconds, Secret, Settings, refuse_stray_passphrase


def _path(value: str) -> str:
    if not value.startswith("/") or not value.isprintable() or not value.isascii() or any(c in value for c in " ?#"):
        raise ValueError("a path begins with / and has no spaces, ? or #")
    return value


def _template(value: str) -> str:
    if _path(value).count("{name}") != 1:
        raise ValueError("the place of the file name is written {name}, once")
    return value


Path = Annotated[str, AfterValidator(_path)]
Template = Annotated[str, AfterValidator(_template)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,63}$")]
Status = Annotated[int, Field(ge=200, le=599)]
Fingerprint = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$")]


class HttpsTimeouts(Settings):
    """How long each phase may take."""

    connect: Seconds = 10.0  # name, TCP and TLS
    read: Seconds = 60.0  # silence of the server once we have said all
    total: Seconds = 600.0  # one request with its content and answer; keep it below the connection's retry.lease_seconds


class TlsSettings(Settings):
    """Whom we believe and what we show, the same for every route over TLS."""

    trust: tuple[Secret, ...] = ()  # PEM certificates to believe: the bank's CA, or the server's own; nothing else is
    server_certificate_sha256: tuple[Fingerprint, ...] = ()  # beside trust: the server's certificate is one of these
    client_certificate: Reference | None = None  # PEM chain; a key of the key store brings its own
    client_key: Reference | None = None  # PEM, encrypted PKCS#8; or store:NAME
    client_key_passphrase: Secret | None = None

    @property
    def shown_certificate(self) -> str | None:
        """Where the certificate we show is: named, or with our key in the key store."""
        stored = self.client_key is not None and self.client_key.startswith("store:")
        return self.client_key if self.client_certificate is None and stored else self.client_certificate

    @property
    def certificate_references(self) -> tuple[str, ...]:
        """Every certificate of this route whose end must be seen coming: ours, and those we believe."""
        return (*filter(None, (self.shown_certificate,)), *self.trust)

    @model_validator(mode="after")
    def _identity(self) -> Self:
        if (self.shown_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key go together")
        refuse_stray_passphrase(self.client_key, self.client_key_passphrase)
        return self


class HttpRoute(TlsSettings):
    """What an HTTP client has to know of a server."""

    base_url: str
    headers: dict[Header, str] = Field(default_factory=dict)  # sent with every request: no secrets here
    secret_headers: dict[Header, Secret] = Field(default_factory=dict)  # e.g. an API key
    timeouts: HttpsTimeouts = HttpsTimeouts()
    proxy: str | None = None  # http://HOST:PORT of our own network; asked for a tunnel (CONNECT), and sees no content
    proxy_login: Secret | None = None  # user:password, where the proxy wants it

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.timeouts.connect >= self.timeouts.total:
            raise ValueError("timeouts.connect is shorter than timeouts.total, or a failed connection could not be told apart")
        return self


class HttpsProfile(FileRules, HttpRoute):
    """`[channel]` with kind = "https"."""

    kind: Literal["https"]
    allow_plaintext_loopback: bool = False  # "http://" to this machine only, for tests and local agents
    upload_mode: Literal["put", "post"] = "put"  # put: create {upload_path}/{name} only if absent; post: to upload_path
    upload_path: Path = "/"
    content_type: str = "application/octet-stream"
    digest_headers: tuple[Literal["digest", "content-digest"], ...] = ("digest", "content-digest")  # RFC 3230, RFC 9530
    idempotency_header: Header | None = "Idempotency-Key"  # carries Parcel.key
    file_name_header: Header | None = "X-File-Name"  # post only
    success_statuses: frozenset[Status] = frozenset({200, 201, 202, 204})
    already_statuses: frozenset[Status] = frozenset({409, 412})  # "I have one by this name"
    conflict_means_arrived: bool = False  # the bank confirmed that already_statuses is only said about a file it has whole
    refuse_statuses: frozenset[Status] = frozenset({400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 415, 421, 422, 431, 451})
    not_taken_statuses: frozenset[Status] = frozenset()  # e.g. 429, 503: where the bank confirmed that it took nothing

    status_path: Path | None = None  # {status_path}/{name} is asked; put: upload_path unless set; post: nothing unless set
    status_method: Literal["HEAD", "GET"] = "HEAD"
    status_shows_size: bool = True  # the answer's Content-Length is the file's
    status_sha256_header: Header | None = None  # the answer's header with the file's SHA-256 in hex

    list_path: Path | None = None  # None: this route fetches nothing
    list_format: Literal["json", "lines"] = "json"  # json: an array of names or of {"name": …, "size": …}
    file_path: Template | None = None  # None: {list_path}/{name}
    acknowledge_method: Literal["DELETE", "POST"] = "DELETE"
    acknowledge_path: Template | None = None  # None: file_path

    @property
    def status_base(self) -> str | None:
        """Where a file sent before is asked for; None: this bank cannot be asked."""
        return self.status_path or (self.upload_path if self.upload_mode == "put" else None)

    @property
    def file_template(self) -> str:
        """The path of a file on offer."""
        return self.file_path or f"{(self.list_path or '').rstrip('/')}/{{name}}"

    @model_validator(mode="after")
    def _address(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.query or parts.fragment or parts.username is not None or not parts.hostname or not self.base_url.isascii():
            raise ValueError("base_url: a scheme, a host, perhaps a port and a path; no user, query or fragment")
        if parts.scheme == "http":
            if not (self.allow_plaintext_loopback and is_loopback(parts.hostname)):
                raise ValueError("base_url: http is for this machine only, and with allow_plaintext_loopback = true; use https")
        elif parts.scheme != "https":
            raise ValueError("base_url: begins with https://")
        elif not self.trust:
            raise ValueError("trust: name the certificates to believe for this bank; the system's list is not used")
        return self

    @model_validator(mode="after")
    def _way_out(self) -> Self:
        if self.proxy is None:
            if self.proxy_login is not None:
                raise ValueError("proxy_login is for a proxy, and none is named")
            return self
        parts = urlsplit(self.proxy)
        bare = parts.username is None and parts.path in {"", "/"} and not (parts.query or parts.fragment)
        if parts.scheme != "http" or not parts.hostname or not _has_port(self.proxy) or not bare:
            raise ValueError("proxy: is http://HOST:PORT and no more; what goes through it is encrypted for the bank")
        if urlsplit(self.base_url).scheme != "https":
            raise ValueError("proxy: carries https only; a proxy could read and change anything else")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        meanings = (self.success_statuses, self.already_statuses, self.refuse_statuses, self.not_taken_statuses)
        if len(frozenset().union(*meanings)) != sum(map(len, meanings)):
            raise ValueError("a status has one meaning: success, already, refuse or not_taken; one of them is listed twice")
        if any(300 <= status < 400 for status in frozenset().union(*meanings)):
            raise ValueError("redirects are never followed and mean nothing about a file: no 3xx in the lists of statuses")
        return self


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port is not None
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its address or by the name localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
