"""The settings of an EBICS route: the bank's parameter sheet as data."""

from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator

from channels.ebics import orders
from channels.ebics.names import VERSIONS, Subscriber, Version, VersionName
from channels.https_profile import Fingerprint, HttpsProfile, HttpsTimeouts
from channels.settings import Bytes, Secret, Settings
from keys.ebics_encryption import SEGMENT_CHARS, SEGMENT_CHARS_MAX
from keys.ebics_keys import DigestKind, SignatureVersion
from keys.profile_base import Reference, passphrase_problem

OrderType = Annotated[str, Field(pattern=r"^[A-Z0-9]{3}$")]
Token = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^\S+$")]
Line = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]


RECALLS: Final = "camt.055."
"""How the names of messages begin that ask for a payment back."""


class KeySettings(Settings):
    """One of our three keys: a key of the key store (which brings its certificate), in a token, or in an encrypted file."""

    key: Reference
    passphrase: Reference | None = None
    certificate: Reference | None = None  # beside a key outside the key store; H004 needs one only where the bank wants it

    @model_validator(mode="after")
    def _opens(self) -> Self:
        if problem := passphrase_problem(self.key, self.passphrase):
            raise ValueError(problem)
        return self

    @property
    def certificate_reference(self) -> str | None:
        """Where the certificate of this key is; None: it has none."""
        return self.certificate or (self.key if self.key.startswith("store:") else None)


class ServiceSettings(Settings):
    """A BTF, each part exactly as the bank's table has it, absence too (`channels.ebics.orders.Service`)."""

    name: Token
    message: Token
    scope: Token | None = None
    option: Token | None = None
    container: Literal["SVC", "XML", "ZIP"] | None = None
    version: Token | None = None
    variant: Token | None = None
    format: Token | None = None

    def service(self) -> orders.Service:
        return orders.Service(**self.model_dump())


class OrderSettings(Settings):
    """How one kind of document is ordered: exactly one of the three."""

    order_type: OrderType | None = None  # H004: CCT, CIP, CDD, STA, C53, Z53, …
    file_format: Line | None = None  # H004 in France (FUL, FDL): pain.001.001.03.sct, camt.xxx.cfonb120.stm, …
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "FR"  # of file_format
    parameters: dict[Line, Line] = Field(default_factory=dict)  # of file_format, e.g. { TEST = "TRUE" }
    service: ServiceSettings | None = None  # H005

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(given is not None for given in (self.order_type, self.file_format, self.service)) != 1:
            raise ValueError("give exactly one of order_type (H004), file_format (H004, France) and service (H005)")
        return self

    def file(self) -> orders.File:
        """The French file type; only where `file_format` is given."""
        return orders.File(format=self.file_format or "", country=self.country, parameters=tuple(self.parameters.items()))


class UploadSettings(OrderSettings):
    """`[channel.upload]`."""

    authorised: bool = True  # our signature authorises the order; false: it is released at the bank by other means
    park: bool = False  # H005: if our signature does not suffice, the order waits for others (EDS)

    @property
    def verifies_payees(self) -> bool:
        """Whether the bank verifies the payees first and waits for the release (`orders.verifies_payees`)."""
        return orders.verifies_payees(self.order_type, None if self.service is None else self.service.service())

    def order(self) -> orders.Order:
        if self.service is not None:
            business = orders.BusinessUpload(service=self.service.service(), authorised=self.authorised, park=self.park)
            return orders.business_upload(business)
        if self.file_format is not None:
            return orders.file_upload(self.file(), signed=self.authorised)
        return orders.upload(self.order_type or "", signed=self.authorised)


class DownloadSettings(OrderSettings):
    """One of `[[channel.downloads]]`. Containers need no setting: what a bank sends as ZIP is opened where it is read."""

    def order(self) -> orders.Order:
        if self.service is not None:
            return orders.business_download(orders.BusinessDownload(service=self.service.service()))
        if self.file_format is not None:
            return orders.file_download(self.file())
        return orders.download(self.order_type or "")


class LetterSettings(Settings):
    """What stands on the letter to the bank in clear words."""

    bank: Line = "-"
    customer: Line = "-"
    subscriber: Line = "-"


class EbicsProfile(Settings):
    """`[channel]` with kind = "ebics"."""

    kind: Literal["ebics"]
    url: str
    allow_plaintext_loopback: bool = False  # "http://" to this machine only, for tests
    trust: tuple[Secret, ...] = ()  # PEM certificates to believe: the bank's CA, or the server's own; nothing else is
    server_certificate_sha256: tuple[Fingerprint, ...] = ()
    timeouts: HttpsTimeouts = HttpsTimeouts(total=180.0)  # of one message; an unanswered one goes out up to three times
    user_agent: Line = "bankgate"
    proxy: str | None = None  # as of an HTTPS channel: http://HOST:PORT, asked for a tunnel
    proxy_login: Secret | None = None  # user:password, where the proxy wants it

    version: VersionName = "H005"
    host_id: str
    partner_id: str
    user_id: str
    system_id: str | None = None  # a technical user: its signatures transport and do not authorise
    product: Annotated[str, Field(min_length=1, max_length=64)] = "bankgate"  # our name in every message
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"  # of product

    signature_process: SignatureVersion = "A006"
    signature: KeySettings  # A005 or A006: what moves money
    authentication: KeySettings  # X002
    encryption: KeySettings  # E002
    by_authority: bool = False  # keys go in certificates of an authority that the bank trusts (H3K), without a letter
    bank_key_digest: DigestKind | None = None  # by which hash we name the bank's keys; None: certificate in H005

    upload: UploadSettings | None = None  # of payments; None: this route sends none
    recalls: UploadSettings | None = None  # of camt.055, an order of its own in the bank's table; None: this route sends none
    downloads: tuple[DownloadSettings, ...] = ()
    segment_chars: int = Field(default=SEGMENT_CHARS, ge=4, le=SEGMENT_CHARS_MAX, multiple_of=4)
    file_bytes_max: Bytes = 2 << 30
    letter: LetterSettings = LetterSettings()

    @property
    def protocol(self) -> Version:
        return VERSIONS[self.version]

    @property
    def subscriber(self) -> Subscriber:
        return Subscriber(
            host_id=self.host_id,
            partner_id=self.partner_id,
            user_id=self.user_id,
            system_id=self.system_id,
            product=self.product,
            language=self.language,
        )

    @property
    def digest_kind(self) -> DigestKind:
        """The hash that names the bank's keys in our messages: banks that speak H005 sent certificates, most of them."""
        return self.bank_key_digest or ("certificate" if self.version == "H005" else "public-key")

    @property
    def scope(self) -> str:
        """Whose notes these are: a subscriber at a bank, in one version. Connections may share it."""
        return f"ebics/{self.host_id}/{self.partner_id}/{self.user_id}/{self.version}"

    @property
    def with_certificates(self) -> bool:
        """Whether our keys go to the bank in certificates."""
        outside = (self.signature, self.authentication, self.encryption)
        return self.version == "H005" or self.by_authority or any(key.certificate for key in outside)

    @property
    def certificate_references(self) -> tuple[str, ...]:
        """Every certificate whose end must be seen coming: those we believe and, where the bank has ours, ours."""
        ours = (self.signature, self.authentication, self.encryption) if self.with_certificates else ()
        return (*self.trust, *(found for key in ours if (found := key.certificate_reference) is not None))

    @property
    def key_references(self) -> tuple[str, ...]:
        return (self.signature.key, self.authentication.key, self.encryption.key)

    def ordered(self, message: str) -> UploadSettings | None:
        """How a message of this name ("camt.055.001.09") is ordered; None: this route does not send it."""
        return self.recalls if message.startswith(RECALLS) else self.upload

    @property
    def uploads(self) -> tuple[tuple[str, UploadSettings], ...]:
        """What is sent, each with the name of its setting."""
        named = (("upload", self.upload), ("recalls", self.recalls))
        return tuple((where, found) for where, found in named if found is not None)

    @property
    def path(self) -> str:
        """What is asked for on the bank's server."""
        return urlsplit(self.url).path or "/"

    def https(self) -> HttpsProfile:
        """How the bank's server is reached. Raises `ValidationError`."""
        parts = urlsplit(self.url)
        return HttpsProfile(
            kind="https",
            base_url=f"{parts.scheme}://{parts.netloc}" + (f"?{parts.query}" if parts.query else ""),
            allow_plaintext_loopback=self.allow_plaintext_loopback,
            trust=self.trust,
            server_certificate_sha256=self.server_certificate_sha256,
            upload_mode="post",
            upload_path=self.path,
            timeouts=self.timeouts,
            headers={"User-Agent": self.user_agent},
            proxy=self.proxy,
            proxy_login=self.proxy_login,
        )

    @model_validator(mode="after")
    def _reaches(self) -> Self:
        try:
            self.https()
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
            raise ValueError(said.replace("base_url", "url")) from None
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _ = self.subscriber  # raises ValueError in words of its own
        business = self.version == "H005"
        downloads = ((f"downloads[{place}]", found) for place, found in enumerate(self.downloads))
        for where, order in (*self.uploads, *downloads):
            if (order.service is not None) is not business:
                wanted = "service (its BTF)" if business else "order_type or file_format"
                raise ValueError(f"{where}: {self.version} names an order by {wanted}")
        if len(set(self.key_references)) != 3:
            raise ValueError("signature, authentication and encryption are three different keys")
        for where, sent in self.uploads:
            if self.version == "H004" and sent.park:
                raise ValueError(f"{where}.park: H004 knows no such flag; the bank's agreement decides it")
        if self.with_certificates:
            for name in ("signature", "authentication", "encryption"):
                if getattr(self, name).certificate_reference is None:
                    raise ValueError(
                        f"{name}.certificate: is required for a key outside the key store, since keys go in certificates"
                    )
        return self
