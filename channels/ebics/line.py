"""One message to the bank and its answer, over HTTPS. Knows nothing of what is in them.

Three things can come of it, and the machines need to know which: an answer; no answer that was heard whole; or the certainty that
nothing left (`https_client.never_sent`).
"""

from aiohttp import hdrs

from channels.channel import ChannelError
from channels.ebics.profile import EbicsProfile
from channels.https_client import HttpsClient, Progress, cause, never_sent, plainly
from channels.references import References
from keys.ebics_auth import MESSAGE_BYTES_MAX

_OK = 200  # EBICS says its errors in the message


class NotLeft(ChannelError):
    """No connection stood: not one byte of the message left us."""


class NoAnswer(ChannelError):
    """The message may have reached the bank, and no answer to it was heard whole."""


class Line:
    """The bank's server. Each message goes over a connection of its own, and at most once."""

    def __init__(self, profile: EbicsProfile, references: References) -> None:
        self._path = profile.path
        self._client = HttpsClient(profile.https(), references)

    async def post(self, message: bytes) -> bytes:
        """The bank's answer. Raises `NotLeft`, `NoAnswer`."""
        progress = Progress()
        try:
            await self._client.open()
        except ChannelError as error:
            raise NotLeft(str(error)) from error
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: "text/xml; charset=UTF-8", hdrs.CONTENT_LENGTH: str(len(message))}
        answer = bytearray()
        try:
            async with self._client.upload("POST", self._path, body=message, headers=headers, progress=progress) as response:
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > MESSAGE_BYTES_MAX:
                        raise NoAnswer(f"the answer is larger than {MESSAGE_BYTES_MAX >> 20} MiB")
                status: int = response.status
        except Exception as error:
            original = cause(error)
            await self._client.close()  # a renewed certificate is read at the next try
            if isinstance(original, NoAnswer):
                raise
            if never_sent(original, progress):
                raise NotLeft(f"no connection: {plainly(original)}") from error
            raise NoAnswer(f"not answered whole: {plainly(original)}") from error
        if status != _OK:
            raise NoAnswer(f"answered HTTP {status}, which is no answer of EBICS")
        return bytes(answer)

    async def close(self) -> None:
        await self._client.close()
