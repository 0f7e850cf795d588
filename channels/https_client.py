"""How we speak HTTP: whom we believe, what we show, and when a request has begun.

aiohttp is used so that "never sent" can be told from "unknown": it raises classes of its own for everything that happens
before a connection stands, and its trace says when the first byte of a request is written. Both must agree.
"""

import asyncio
import base64
import errno
import os
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import aiohttp
import yarl
from aiohttp import hdrs

from channels.channel import ChannelError
from channels.content import BadArrival
from channels.https_profile import HttpRoute, TlsSettings
from channels.references import References, Unresolved

_PIECE = 1 << 20

_BEFORE_SENDING = (
    aiohttp.ClientConnectorError,  # refused, no such host, TLS failed, certificate not trusted
    aiohttp.ConnectionTimeoutError,  # TCP or TLS took longer than timeouts.connect
    aiohttp.ServerFingerprintMismatch,  # not the pinned certificate
    aiohttp.ClientHttpProxyError,  # a proxy made no tunnel (RFC 9110, section 9.3.6): the request is for its other end
)


@dataclass(slots=True)
class Progress:
    """How far one upload has come. `began`: a byte of the request may have left; `whole`: all of the content was written."""

    began: bool = False
    whole: asyncio.Event = field(default_factory=asyncio.Event)


def never_sent(error: BaseException, progress: Progress) -> bool:
    """Whether two witnesses agree that nothing left: the class of the error, and the trace."""
    return isinstance(error, _BEFORE_SENDING) and not progress.began


class _Once(Exception):
    """Carries an error past aiohttp's own repetition, see `_no_second_try`."""


async def _no_second_try(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a PUT a second time by itself when the connection breaks (RFC 9112, section 9.3.1, lets a client do so).

    It does so only for these two classes, seen outside of middleware. Wrapped, they end the request. (The questions' session
    goes without this: asking again is what one wants there.)
    """
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ServerFingerprintMismatch, aiohttp.ConnectionTimeoutError):
        raise  # nothing was sent, and aiohttp does not repeat these
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Once from error


def cause(error: BaseException) -> BaseException:
    """The error itself, out of its wrapping."""
    return error.__cause__ if isinstance(error, _Once) and error.__cause__ is not None else error


def plainly(error: BaseException) -> str:
    """An error in words of ours: aiohttp's own texts repeat what the server said, which may be anything."""
    if isinstance(error, ChannelError):
        return str(error)
    name = type(error).__name__
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"{name}: the proxy answered {error.status} and made no tunnel"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"{name}: {getattr(error.certificate_error, 'verify_message', '') or 'the certificate is not believed'}"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, ssl.SSLError):
        return f"{name}: {error.reason or 'TLS failed'}"
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return f"{name}: {os.strerror(error.errno)}"
    if isinstance(error, TimeoutError):
        return f"{name}: nothing came in time"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"{name}: the other side ended the connection without an answer"
    return name


async def _began(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    if isinstance(context.trace_request_ctx, Progress):
        context.trace_request_ctx.began = True


class HttpsClient:
    """Two sessions with one identity: a fresh connection for every upload, kept connections for questions and fetching.

    An upload on a kept connection could meet a server that is just closing it, and end in doubt for nothing.
    """

    def __init__(
        self, profile: HttpRoute, references: References, *, version: aiohttp.HttpVersion = aiohttp.HttpVersion11
    ) -> None:
        self._profile = profile
        self._version = version
        self._references = references
        self._uploads: aiohttp.ClientSession | None = None
        self._questions: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | bool = True
        self._proxy_headers: dict[str, str] = {}

    async def open(self) -> None:
        """Reads certificates and keys, if that was not done yet. Raises `Unresolved`."""
        if self._uploads is not None:
            return
        self._context, headers = await asyncio.to_thread(self._read)
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_began)
        trace.on_request_chunk_sent.append(_began)
        self._uploads = self._session(headers, force_close=True, trace_configs=[trace], middlewares=(_no_second_try,))
        self._questions = self._session(headers, force_close=False)

    async def close(self) -> None:
        """Ends kept connections; the next `open` reads certificates and keys anew."""
        sessions, self._uploads, self._questions = (self._uploads, self._questions), None, None
        for session in sessions:
            if session is not None:
                await session.close()

    def upload(self, method: str, path: str, *, body: Any, headers: Mapping[str, str], progress: Progress) -> Any:
        """A request with content, as an asynchronous context manager of the response. Sent at most once."""
        assert self._uploads is not None  # noqa: S101 - `open` comes first
        return self._uploads.request(
            method, self._url(path), data=body, headers=headers, trace_request_ctx=progress, **self._rules()
        )

    def ask(self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """A request that changes nothing, as an asynchronous context manager of the response."""
        assert self._questions is not None  # noqa: S101 - `open` comes first
        return self._questions.request(method, self._url(path), data=body, headers=headers, **self._rules())

    def _rules(self) -> dict[str, Any]:
        rules: dict[str, Any] = {"allow_redirects": False, "ssl": self._context}
        if self._profile.proxy is not None:
            rules |= {"proxy": self._profile.proxy, "proxy_headers": self._proxy_headers}
        return rules

    def _url(self, path: str) -> yarl.URL:
        return yarl.URL(self._profile.base_url.rstrip("/") + path, encoded=True)

    def _session(self, headers: Mapping[str, str], *, force_close: bool, **options: Any) -> aiohttp.ClientSession:
        times = self._profile.timeouts
        pins = self._profile.server_certificate_sha256
        connector = aiohttp.TCPConnector(force_close=force_close, ssl=Pins(pins) if pins else True, ttl_dns_cache=30)
        return aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(
                total=times.total, connect=times.connect, sock_connect=times.connect, sock_read=times.read
            ),
            headers=headers,
            trust_env=False,  # no proxy and no password out of the environment
            cookie_jar=aiohttp.DummyCookieJar(),
            version=self._version,
            auto_decompress=False,  # we ask for bytes as they are and never unpack what we did not ask for
            **options,
        )

    def _read(self) -> tuple[ssl.SSLContext | bool, dict[str, str]]:
        headers = {hdrs.USER_AGENT: "bankgate", hdrs.ACCEPT_ENCODING: "identity", **self._profile.headers}
        for name, reference in self._profile.secret_headers.items():
            headers[name] = self._references.text(f"secret_headers.{name}", reference, private=True)
        self._proxy_headers = self._proxy_login()
        if self._profile.base_url.startswith("http://"):
            return True, headers
        return tls_context(self._profile, self._references), headers

    def _proxy_login(self) -> dict[str, str]:
        """What we say to the proxy, and to nobody else (RFC 7617; in UTF-8)."""
        if self._profile.proxy_login is None:
            return {}
        login = self._references.text("proxy_login", self._profile.proxy_login, private=True)
        user, colon, _ = login.partition(":")
        if not (user and colon):
            raise Unresolved(f"proxy_login: {self._profile.proxy_login} holds no user:password")
        return {hdrs.PROXY_AUTHORIZATION: "Basic " + base64.b64encode(login.encode()).decode("ascii")}


def tls_context(route: TlsSettings, references: References) -> ssl.SSLContext:
    """Believes whom the settings name and nobody else, and shows what they name. Reads keys. Raises `Unresolved`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies the chain and the host name; believes nobody yet
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # the server's own certificate can be the anchor
    for reference in route.trust:
        try:
            context.load_verify_locations(cadata=references.text("trust", reference))
        except (ssl.SSLError, ValueError) as error:
            raise Unresolved(f"trust: {reference} has no certificate in PEM form") from error
    _show_ourselves(context, route, references)
    return context


def _show_ourselves(context: ssl.SSLContext, route: TlsSettings, references: References) -> None:
    shown = route.shown_certificate
    if shown is None or route.client_key is None:
        return
    passphrase = ""
    if route.client_key_passphrase is not None:
        passphrase = references.text("client_key_passphrase", route.client_key_passphrase, private=True)
    with ExitStack() as paths:
        certificate = paths.enter_context(references.path("client_certificate", shown, certificate=True))
        references.refuse_clear_key("client_key", route.client_key)
        key = paths.enter_context(references.path("client_key", route.client_key, private=True))
        try:
            context.load_cert_chain(certificate, key, password=lambda: passphrase)
        except (ssl.SSLError, OSError) as error:
            raise Unresolved(
                f"client_key: {route.client_key} does not open with client_key_passphrase, or does not belong to "
                f"client_certificate: {shown}"
            ) from error


async def bounded(response: Any, limit: int) -> AsyncGenerator[bytes, None]:
    """The answer's content as it came, to its end. Raises `BadArrival` beyond `limit` or where it is packed."""
    if response.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise BadArrival("the answer has a Content-Encoding that we did not ask for")
    size = 0
    async for piece in response.content.iter_chunked(_PIECE):
        size += len(piece)
        if size > limit:
            raise BadArrival(f"the answer has more than {limit} bytes")
        yield piece


class Pins(aiohttp.Fingerprint):
    """The pinned certificates of the server, more than one around a renewal."""

    def __init__(self, pins: tuple[str, ...]) -> None:
        digests = [bytes.fromhex(pin.replace(":", "")) for pin in pins]
        super().__init__(digests[0])
        self._digests = digests

    def check(self, transport: asyncio.Transport) -> None:
        """Raises `aiohttp.ServerFingerprintMismatch` unless one of the pins is the certificate of this connection."""
        for digest in self._digests[:-1]:
            try:
                aiohttp.Fingerprint(digest).check(transport)
            except aiohttp.ServerFingerprintMismatch:
                continue
            return
        aiohttp.Fingerprint(self._digests[-1]).check(transport)
