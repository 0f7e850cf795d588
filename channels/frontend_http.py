"""One request over HTTP and its whole reply: to a front machine, and to the sign service beside it.

As for files (`channels.https`): `NotSent` only where two witnesses agree that no byte left, a connection of its own for each
request, and nothing is ever repeated by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs

from channels.channel import ChannelError, InDoubt, NotSent
from channels.https_client import HttpsClient, Progress, bounded, cause, never_sent, plainly
from channels.https_profile import HttpRoute
from channels.references import References

VERSIONS: Mapping[str, aiohttp.HttpVersion] = {"1.0": aiohttp.HttpVersion10, "1.1": aiohttp.HttpVersion11}


class HttpLine:
    """Posts to one server."""

    def __init__(self, route: HttpRoute, references: References, *, version: str, reply_bytes_max: int) -> None:
        self._client = HttpsClient(route, references, version=VERSIONS[version])
        self._reply_bytes_max = reply_bytes_max
        self._patience = route.timeouts.read

    async def prepare(self) -> None:
        """Reads certificates and keys, if that was not done yet. Raises `NotSent`."""
        try:
            await self._client.open()
        except Exception as error:  # whatever it is: no connection was made
            raise NotSent(str(error) if isinstance(error, ChannelError) else f"preparing: {plainly(error)}") from error

    async def post(self, path: str, body: bytes, content_type: str) -> bytes:
        """The reply, whole. Raises `NotSent`, `InDoubt`."""
        await self.prepare()
        progress = Progress()
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: content_type, hdrs.CONTENT_LENGTH: str(len(body))}
        request = self._client.upload("POST", path, body=_told(body, progress), headers=headers, progress=progress)
        try:
            async with request as response:
                pieces = [piece async for piece in bounded(response, self._reply_bytes_max)]
                status = response.status
                if status == HTTPStatus.OK:
                    # A reply before all was said is not about all. The last write may be seen just after the reply to it.
                    async with asyncio.timeout(self._patience):
                        await progress.whole.wait()
        except Exception as error:
            original = cause(error)
            await self._client.close()  # a renewed certificate or key is read at the next try
            if never_sent(original, progress):
                raise NotSent(f"no connection: {plainly(original)}") from error
            raise InDoubt(f"the request was begun and not answered whole: {plainly(original)}") from error
        if status != HTTPStatus.OK:
            raise InDoubt(f"answered HTTP {status}, which proves nothing")
        return b"".join(pieces)

    async def close(self) -> None:
        """See `Exchanger.close`."""
        await self._client.close()


async def _told(body: bytes, progress: Progress) -> AsyncIterator[bytes]:
    """The body as aiohttp takes it; it comes back once more after writing the piece."""
    if body:
        yield body
    progress.whole.set()
