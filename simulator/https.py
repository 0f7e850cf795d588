"""The HTTPS door: TLS with a required client certificate, which says who the customer is.

    PUT    /files/{name}           upload; needs `If-None-Match: *`. 201; 412 if the name was EVER used (names stay for good)
    HEAD   /files/{name}           whether it was received: its Content-Length, and its SHA-256 in X-Content-SHA256; else 404
    GET    /files/{name}/status    what became of it, as JSON (HEAD too); 404 if the name was never used
    POST   /payments               upload under an `Idempotency-Key`: the same again is answered as the first time, never
                                   executed again; another body under a used key is 422
                                   (draft-ietf-httpapi-idempotency-key-header). The file's name is the header X-File-Name,
                                   or the key
    GET    /outbox                 the answers on offer, oldest first
    GET    /outbox/{name}          one of them
    DELETE /outbox/{name}          "got it": the answer is offered no more. 404 if it is not on offer

An upload's header `Content-Digest: sha-256=:…:` (RFC 9530) is checked where it is sent.
"""

import base64
import hashlib
import re
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from simulator.bank import Bank
from simulator.customer import Customer
from simulator.moods import Mood
from simulator.settings_base import split_address

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PIECE = 256 * 1024

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_CustomerHandler = Callable[[web.Request, Customer], Awaitable[web.StreamResponse]]


class HttpsDoor:
    """A listening server. `start` makes one."""

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self.host = host
        self.port = port

    @classmethod
    async def start(cls, bank: Bank, listen: str, context: ssl.SSLContext, file_bytes_max: int) -> "HttpsDoor":
        """Opens the door. Raises `OSError` if the address cannot be used."""
        host, port = split_address(listen)
        runner = web.AppRunner(
            _Door(bank, file_bytes_max).application(), access_log=None, handler_cancellation=True, shutdown_timeout=2
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, ssl_context=context)
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        return cls(runner, host, int(runner.addresses[0][1]))

    async def close(self) -> None:
        """Closes the door and every connection through it."""
        await self._runner.cleanup()


def server_context(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer that insists on a client certificate. A certificate listed in `client_ca` is trusted itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _refuse(status: int, code: str, text: str, **more: Any) -> web.Response:
    return web.json_response({"error": code, "text": text, **more}, status=status)


class _Door:
    def __init__(self, bank: Bank, file_bytes_max: int) -> None:
        self._bank = bank
        self._file_bytes_max = file_bytes_max
        self._pins = {
            pin: customer
            for customer in bank.customers.values()
            if customer.settings.https is not None
            for pin in customer.settings.https.certificate_sha256
        }

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_put("/files/{name}", self._by_customer(self._put))
        application.router.add_head("/files/{name}", self._by_customer(self._head))
        application.router.add_get("/files/{name}/status", self._by_customer(self._status))  # and HEAD
        application.router.add_post("/payments", self._by_customer(self._post))
        application.router.add_get("/outbox", self._by_customer(self._list))
        application.router.add_get("/outbox/{name}", self._by_customer(self._get))
        application.router.add_delete("/outbox/{name}", self._by_customer(self._delete))
        return application

    def _by_customer(self, handler: _CustomerHandler) -> _Handler:
        """The handler, for those only whose certificate is pinned and for names that are names."""

        async def known(request: web.Request) -> web.StreamResponse:
            tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
            certificate = None if tls is None else tls.getpeercert(binary_form=True)
            customer = None if certificate is None else self._pins.get(hashlib.sha256(certificate).hexdigest())
            if customer is None:
                return _refuse(403, "certificate.unknown", "this certificate belongs to no customer")
            name = request.match_info.get("name")
            if name is not None and not _NAME.fullmatch(name):
                return _refuse(400, "name.malformed", "a name is 1 to 100 letters, digits, dots, hyphens and underscores")
            return await handler(request, customer)

        return known

    # in --------------------------------------------------------------------------------------------------------------------

    async def _put(self, request: web.Request, customer: Customer) -> web.StreamResponse:
        name = request.match_info["name"]
        if request.headers.get("If-None-Match") != "*":
            return _refuse(428, "if-none-match.missing", "an upload needs the header If-None-Match: *")
        upload = await self._upload(request, customer)
        if isinstance(upload, web.StreamResponse):
            return upload
        file, size, digest = upload
        if not self._bank.records.claim(customer.id, name, size, digest):
            file.unlink()
            return _refuse(412, "name.used", "a file of this name was received before", **(self._known(customer, name)))
        self._bank.take(customer, name, file)
        return self._answered(request, customer, web.json_response(self._known(customer, name), status=201))

    async def _post(self, request: web.Request, customer: Customer) -> web.StreamResponse:
        key = request.headers.get("Idempotency-Key", "")
        if not _NAME.fullmatch(key) or not _NAME.fullmatch(request.headers.get("X-File-Name", key)):
            return _refuse(400, "idempotency-key.missing", "needs an Idempotency-Key (and X-File-Name) made as names are")
        upload = await self._upload(request, customer)
        if isinstance(upload, web.StreamResponse):
            return upload
        file, size, digest = upload
        name = request.headers.get("X-File-Name", key)
        before = self._bank.records.request(customer.id, key)
        if before is not None:
            file.unlink()
            if before[0] != digest:
                return _refuse(422, "idempotency-key.reused", "this Idempotency-Key was used with another body")
            return web.json_response(self._known(customer, before[1]), status=201, headers={"Idempotency-Replayed": "true"})
        if not self._bank.records.claim(customer.id, name, size, digest):
            file.unlink()
            return _refuse(409, "name.used", "a file was uploaded under this name before")
        self._bank.records.keep_request(customer.id, key, digest, name)
        self._bank.take(customer, name, file)
        return self._answered(request, customer, web.json_response(self._known(customer, name), status=201))

    async def _upload(self, request: web.Request, customer: Customer) -> tuple[Path, int, str] | web.StreamResponse:
        """The body in a file of the vault, its size and SHA-256; or why not. A broken connection leaves nothing behind."""
        file = customer.tree.work / f"upload-{self._bank.records.next('work')}"
        digest, size, whole = hashlib.sha256(), 0, False
        try:
            with file.open("wb") as out:
                if self._cut_due(request, customer, 0):
                    return web.Response(status=500)
                async for piece in request.content.iter_chunked(_PIECE):
                    size += len(piece)
                    if self._cut_due(request, customer, size):
                        return web.Response(status=500)
                    if size > self._file_bytes_max:
                        return _refuse(413, "file.too_large", f"at most {self._file_bytes_max} bytes")
                    digest.update(piece)
                    out.write(piece)
            if not _digest_matches(request, digest.digest()):
                return _refuse(400, "digest.wrong", "the body is not what Content-Digest says")
            whole = True
        finally:
            if not whole:
                file.unlink(missing_ok=True)
        return file, size, digest.hexdigest()

    def _cut_due(self, request: web.Request, customer: Customer, received: int) -> bool:
        cut = self._bank.moods.peek(Mood.CUT_AT_BYTE, customer.id)
        if cut is None or received < cut.value:
            return False
        self._bank.moods.take(Mood.CUT_AT_BYTE, customer.id)
        _hang_up(request)
        return True

    def _answered(self, request: web.Request, customer: Customer, answer: web.Response) -> web.Response:
        """The answer, or the line cut in its place. The file is taken already."""
        if self._bank.moods.take(Mood.LOSE_ANSWER, customer.id):
            _hang_up(request)
        return answer

    def _known(self, customer: Customer, name: str) -> dict[str, Any]:
        return dict(self._bank.records.known(customer.id, name) or {})

    async def _head(self, request: web.Request, customer: Customer) -> web.StreamResponse:
        known = self._known(customer, request.match_info["name"])
        if not known:
            return web.Response(status=404)
        headers = {"Content-Length": str(known["size"]), "X-Content-SHA256": known["sha256"] or ""}
        return web.Response(status=200, headers=headers)

    async def _status(self, request: web.Request, customer: Customer) -> web.StreamResponse:
        known = self._known(customer, request.match_info["name"])
        if not known:
            return _refuse(404, "name.unknown", "no file of this name was ever received")
        return web.json_response(known)

    # out -------------------------------------------------------------------------------------------------------------------

    async def _list(self, _request: web.Request, customer: Customer) -> web.StreamResponse:
        found = []
        for path in customer.tree.outbox.iterdir():
            if path.is_file():
                stat = path.stat()
                found.append((stat.st_mtime_ns, path.name, stat.st_size))
        files = [
            {"name": name, "size": size, "at": datetime.fromtimestamp(at / 1e9, UTC).isoformat(timespec="milliseconds")}
            for at, name, size in sorted(found)
        ]
        return web.json_response(files)

    async def _get(self, request: web.Request, customer: Customer) -> web.StreamResponse:
        file = customer.tree.outbox / request.match_info["name"]
        if not file.is_file():
            return _refuse(404, "name.unknown", "not on offer")
        return web.FileResponse(file, headers={"Content-Type": "application/octet-stream"})

    async def _delete(self, request: web.Request, customer: Customer) -> web.StreamResponse:
        name = request.match_info["name"]
        file = customer.tree.outbox / name
        if not file.is_file():
            return _refuse(404, "name.unknown", "not on offer")
        file.rename(customer.tree.acknowledged / name)
        self._bank.outgoing.emptied(customer, name)
        return web.Response(status=204)


def _digest_matches(request: web.Request, digest: bytes) -> bool:
    said = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", request.headers.get("Content-Digest", ""))
    return said is None or said[1] == base64.b64encode(digest).decode("ascii")


def _hang_up(request: web.Request) -> None:
    """The line is cut: no answer, no TLS goodbye."""
    if request.transport is not None:
        request.transport.abort()
