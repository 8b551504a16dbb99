"""The URLs: an ASGI app that answers for one camera or for several."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from mjpeg_restore.serve.broadcast import BOUNDARY, PREAMBLE, Broadcast, Shot
from mjpeg_restore.serve.camera import ServedCamera
from mjpeg_restore.serve.metrics import Metrics
from mjpeg_restore.serve.pages import Pages
from mjpeg_restore.serve.streams import StreamResponse, Streams
from mjpeg_restore.sinks.picture_encoder import PictureEncoder

_ENCODERS = 2
"""Threads that encode, for all cameras: a frame's two pictures at the same time."""

_SECOND = 1.0
"""Between two samples."""

_WAIT = 5.0
"""Seconds that a snapshot waits for a picture that can be sent: for one with an original, mostly."""

_MOST_DIGITS = 12
"""Of the number of a sample."""

_MULTIPART = f"multipart/x-mixed-replace; boundary={BOUNDARY}"


class Site:
    """The cameras of a server and what it answers about them. It belongs to one event loop."""

    def __init__(self, cameras: Iterable[ServedCamera], pages: Pages, *, most_streams: int) -> None:
        """Prepare; nothing runs before the app's start.

        Args:
            cameras: the first ones.
            pages: files of the page.
            most_streams: streams that may be open at the same time.
        """
        self._first = list(cameras)
        self._pages = pages
        self._most_streams = most_streams
        self._boot = secrets.token_hex(4)
        self._broadcasts: dict[str, Broadcast] = {}
        self._metrics = Metrics(self._broadcasts.values)
        self._encode = PictureEncoder("jpeg").encode

    def app(self) -> ASGIApp:
        """The app. A camera's URLs stand under `/camera/NAME/`, and under `/` where there is one alone."""
        of_camera = {
            "/stream": self._stream,
            "/snapshot": self._snapshot,
            "/original/stream": self._original_stream,
            "/original/snapshot": self._original_snapshot,
            "/pairs": self._pairs,
            "/state": self._state,
        }
        routes = [
            Route("/", self._page),
            Route("/camera/{name}", self._to_folder),
            Route("/camera/{name}/", self._camera_page),
            Route("/cameras", self._cameras),
            Route("/metrics", self._metrics_page),
            Route("/healthz", self._healthz),
            Route("/camera/{name}/healthz", self._camera_health),
            *(Route(f"{place}/assets/{{file}}", self._asset) for place in ("", "/camera/{name}")),
            *(Route(place + path, to) for place in ("", "/camera/{name}") for path, to in of_camera.items()),
        ]
        app = Starlette(routes=routes, lifespan=self._lifespan)
        app.router.redirect_slashes = False  # it would send browsers to this host, past a proxy's prefix
        return app

    def add(self, camera: ServedCamera) -> None:
        """Serve one more camera, or another one in the place of one of the same name."""
        if before := self._broadcasts.get(camera.name):
            before.close()
        self._broadcasts[camera.name] = Broadcast(camera, self._pool, self._encode, self._boot)

    def remove(self, name: str) -> None:
        """Serve a camera no more."""
        if broadcast := self._broadcasts.pop(name, None):
            broadcast.close()

    def end(self) -> None:
        """End all streams, so that the server can stop."""
        self._streams.end()

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncGenerator[None]:
        self._pool = ThreadPoolExecutor(_ENCODERS, "serve-encode")
        self._streams = Streams(self._most_streams)
        for camera in self._first:
            self.add(camera)
        sampling = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            sampling.cancel()
            with suppress(asyncio.CancelledError):
                await sampling
            for name in [*self._broadcasts]:
                self.remove(name)
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _sample(self) -> None:
        due = asyncio.get_running_loop().time()
        while True:
            due += _SECOND
            await asyncio.sleep(max(due - asyncio.get_running_loop().time(), 0))
            for broadcast in self._broadcasts.values():
                broadcast.monitor.sample()

    def _of(self, request: Request) -> Broadcast:
        """The camera that a request names, or the only one.

        Raises:
            HTTPException: there is no such camera, or the request names none of several.
        """
        name = request.path_params.get("name")
        if name is None and len(self._broadcasts) == 1:
            return next(iter(self._broadcasts.values()))
        if name not in self._broadcasts:
            said = f"no camera {name!r}" if name else "there are several cameras, or none"
            raise HTTPException(404, f"{said}: /cameras lists them\n")
        return self._broadcasts[name]

    # ---- pages ----

    async def _page(self, request: Request) -> Response:
        return self._file("camera.html" if len(self._broadcasts) == 1 else "grid.html")

    async def _camera_page(self, request: Request) -> Response:
        self._of(request)
        return self._file("camera.html")

    async def _to_folder(self, request: Request) -> Response:
        self._of(request)
        # The page's links are relative, so that it also works behind a proxy that adds a prefix.
        return RedirectResponse(f"{request.path_params['name']}/", 308)

    async def _asset(self, request: Request) -> Response:
        return self._file(request.path_params["file"])

    def _file(self, name: str) -> Response:
        if name not in self._pages.assets:
            raise HTTPException(404, f"no file {name!r}\n")
        asset = self._pages.assets[name]
        return Response(asset.content, media_type=asset.media_type)

    # ---- pictures ----

    async def _stream(self, request: Request) -> ASGIApp:
        return StreamResponse(self._streams, self._of(request), _MULTIPART, lambda shot: shot.part, preamble=PREAMBLE)

    async def _original_stream(self, request: Request) -> ASGIApp:
        return StreamResponse(
            self._streams,
            self._of(request),
            _MULTIPART,
            lambda shot: shot.original_part,
            preamble=PREAMBLE,
            original=True,
        )

    async def _pairs(self, request: Request) -> ASGIApp:
        return StreamResponse(
            self._streams, self._of(request), "application/octet-stream", lambda shot: shot.pair, original=True
        )

    async def _snapshot(self, request: Request) -> Response:
        shot = await self._newest(request, original=False)
        return _picture(request, shot, shot.restored if shot else None)

    async def _original_snapshot(self, request: Request) -> Response:
        shot = await self._newest(request, original=True)
        return _picture(request, shot, shot.original if shot else None)

    async def _newest(self, request: Request, *, original: bool) -> Shot | None:
        """The camera's newest frame, or the next one if it has no original and one is wanted; None if none comes."""
        broadcast = self._of(request)
        sink = broadcast.monitor.camera.sink
        if sink.latest is None and (sink.last is None or not sink.on_demand):
            return None
        with suppress(TimeoutError), broadcast.watch(original=original) as watch:
            async with asyncio.timeout(_WAIT):
                while (shot := await watch.next()) is not None:
                    if not original or shot.original is not None:
                        return shot
        return None

    # ---- numbers ----

    async def _state(self, request: Request) -> Response:
        broadcast = self._of(request)
        since = request.query_params.get("since", "")
        number = int(since) if re.fullmatch(rf"[0-9]{{1,{_MOST_DIGITS}}}", since) else None
        return JSONResponse(self._described(broadcast, number))

    async def _cameras(self, request: Request) -> Response:
        return JSONResponse([self._described(broadcast) for broadcast in self._broadcasts.values()])

    def _described(self, broadcast: Broadcast, since: int | None = None) -> dict[str, object]:
        here = {"viewers": broadcast.viewers, "cameras": len(self._broadcasts), "server": self._boot}
        return {**broadcast.monitor.state(since), **here}

    async def _metrics_page(self, request: Request) -> Response:
        content, media_type = self._metrics.page(request.headers.get("accept", ""))
        return Response(content, media_type=media_type)

    async def _healthz(self, request: Request) -> Response:
        # Everybody may ask. A camera's own reason, which may name files and addresses, is for those who may watch.
        ill = sum(not broadcast.monitor.health.ok for broadcast in self._broadcasts.values())
        said = f"{ill} of {len(self._broadcasts)} cameras send no pictures" if ill else "ok"
        # A service is started again for this: one camera that was unplugged must not take the others with it.
        return PlainTextResponse(f"{said}\n", 503 if ill and ill == len(self._broadcasts) else 200)

    async def _camera_health(self, request: Request) -> Response:
        reason = self._of(request).monitor.health.reason
        return PlainTextResponse(f"{reason or 'ok'}\n", 503 if reason else 200)


def _picture(request: Request, shot: Shot | None, jpeg: bytes | None) -> Response:
    if shot is None or jpeg is None:
        return PlainTextResponse("there is no picture yet\n", 503, {"Retry-After": "1"})
    headers = {"ETag": shot.tag}
    if request.headers.get("if-none-match") == shot.tag:
        return Response(status_code=304, headers=headers)
    return Response(jpeg, media_type="image/jpeg", headers=headers)
