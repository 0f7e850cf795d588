"""What somebody can hold open who only opens connections: calls that never send their request, and the public streams.

gRPC reads the request of a call before it hands it over, without a bound in time, and each such call takes one of the places
there are. Here the request is read under a bound instead: on the wire nothing changes. The services that everybody may use
(health, reflection) get a few places for their streams, and the rest stays for callers. Used where a listener asks for no client
certificate.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc

PUBLIC_STREAMS_MAX: Final = 100
PUBLIC_QUIET_SECONDS: Final = 60.0
PUBLIC: Final = ("/grpc.health.", "/grpc.reflection.")

Context = grpc.aio.ServicerContext[Any, Any]


class Strangers(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Bounds for calls before anybody knows who makes them. `request_seconds`: for the request of one; 0: none."""

    def __init__(self, request_seconds: float) -> None:
        self._seconds = request_seconds or None
        self._streams = 0

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """The handler of a call, reading its request under the bound."""
        found = await continuation(handler_call_details)
        if found is None:
            return found
        coders = found.request_deserializer, found.response_serializer
        if found.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._answering(found.unary_unary), *coders)
        public = str(handler_call_details.method).startswith(PUBLIC)
        if found.unary_stream is not None:
            behaviour = self._streaming(found.unary_stream)
        elif public:
            behaviour = self._hearing(found.stream_stream)
        else:
            return found
        return grpc.stream_stream_rpc_method_handler(self._few(behaviour) if public else behaviour, *coders)

    def _answering(self, behaviour: Any) -> Any:
        async def call(requests: AsyncIterator[Any], context: Context) -> Any:
            return await behaviour(await self._request(requests, context), context)

        return call

    def _streaming(self, behaviour: Any) -> Any:
        async def call(requests: AsyncIterator[Any], context: Context) -> None:
            await _written(behaviour(await self._request(requests, context), context), context)

        return call

    def _hearing(self, behaviour: Any) -> Any:
        async def heard(requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
            while True:
                try:
                    async with asyncio.timeout(PUBLIC_QUIET_SECONDS):
                        request = await anext(requests, None)
                except TimeoutError:
                    await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "nothing came for a while")
                if request is None:
                    return
                yield request

        async def call(requests: AsyncIterator[Any], context: Context) -> None:
            await _written(behaviour(heard(requests, context), context), context)

        return call

    def _few(self, behaviour: Any) -> Any:
        async def call(requests: AsyncIterator[Any], context: Context) -> None:
            if self._streams >= PUBLIC_STREAMS_MAX:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many such streams are open; come again later")
            self._streams += 1
            try:
                await behaviour(requests, context)
            finally:
                self._streams -= 1

        return call

    async def _request(self, requests: AsyncIterator[Any], context: Context) -> Any:
        try:
            async with asyncio.timeout(self._seconds):
                return await anext(requests)
        except TimeoutError:
            text = f"the request did not come within {self._seconds or 0:g} seconds; nothing was done"
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, text)
        except StopAsyncIteration:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call ended without its request; nothing was done")


async def _written(answers: Any, context: Context) -> None:
    """Waits for a behaviour that writes by itself, or writes what one gives that is a generator."""
    if not isinstance(answers, AsyncIterator):
        await answers
        return
    async for answer in answers:
        await context.write(answer)
