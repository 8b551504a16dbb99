"""Responses that go on for as long as the client wants: each client gets the newest picture when it can take one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from mjpeg_restore.serve.broadcast import Broadcast, Shot

TRANSPORT = "mjpeg_restore.transport"
"""The key in the scope's state under which the server leaves the connection's `asyncio.Transport`."""


class Streams:
    """The open streams of a server: bounded in number, and ended together."""

    def __init__(self, most: int) -> None:
        """Prepare; in the event loop.

        Args:
            most: streams that may be open at the same time.
        """
        self.most = most
        self.open = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """End all streams."""
        if not self.ended.done():
            self.ended.set_result(None)


class StreamResponse:
    """An ASGI response made of a camera's shots."""

    def __init__(
        self,
        streams: Streams,
        broadcast: Broadcast,
        media_type: str,
        body: Callable[[Shot], bytes],
        *,
        original: bool = False,
        preamble: bytes = b"",
    ) -> None:
        """Prepare.

        Args:
            streams: those of the server.
            broadcast: the camera's.
            media_type: of the response.
            body: what is sent of a shot; nothing if empty.
            original: shots are to have originals.
            preamble: sent first.
        """
        self._streams, self._broadcast = streams, broadcast
        self._media_type, self._body, self._preamble = media_type, body, preamble
        self._original = original

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send shots until the client goes, the camera ends, or the server does."""
        streams = self._streams
        if streams.open >= streams.most or streams.ended.done():
            busy = PlainTextResponse("too many clients\n", 503, {"Retry-After": "5"})
            await busy(scope, receive, send)
            return
        headers = [(b"content-type", self._media_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] != "HEAD":
            streams.open += 1
            transport: asyncio.Transport = scope["state"][TRANSPORT]
            try:
                complete = await self._serve(receive, send, transport)
            finally:
                streams.open -= 1
            if not complete and transport.get_write_buffer_size():
                transport.abort()  # it would wait for ever for a client that takes nothing
                await _until_gone(receive)  # to uvicorn, a response that ends before that is a fault of the program's
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(self, receive: Receive, send: Send, transport: asyncio.Transport) -> bool:
        """Send shots until something ends it.

        Returns:
            Whether that was the end of the camera.
        """
        sending = asyncio.create_task(self._send(send, transport))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, leaving, self._streams.ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            for task in (sending, leaving):
                with suppress(asyncio.CancelledError):
                    await task
        return not sending.cancelled() and sending.exception() is None

    async def _send(self, send: Send, transport: asyncio.Transport) -> None:
        """Send shots until the camera ends."""
        if self._preamble:
            await send(_more(self._preamble))
        with self._broadcast.watch(original=self._original) as watch:
            while (shot := await watch.next()) is not None:
                await send(_more(self._body(shot)))
                if transport.get_write_buffer_size():
                    # The socket did not take all of it. Only when it has, the next picture is chosen.
                    await send(_more(b""))


async def _until_gone(receive: Receive) -> None:
    """Wait until the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _more(body: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": True}
