"""What stands before the pages: who may ask, and the headers that every answer has."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mjpeg_restore.serve.access import Access, allowed_host
from mjpeg_restore.serve.pages import Pages

OPEN = "/healthz"
"""The one path that everybody may ask for: it tells nothing but whether pictures come."""

_BASIC = 'Basic realm="mjpeg-restore", charset="UTF-8"'
"""Asks for a password, or for a token in its place, which most programs can send no other way."""
_BEARER = 'Bearer realm="mjpeg-restore"'
"""Asks for a token; a browser shows the page, and no window of its own."""

_METHODS = "GET, HEAD, OPTIONS"
_YEAR = 365 * 24 * 3600

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI middleware: refuses what may not be asked, and adds headers."""

    def __init__(self, app: ASGIApp, access: Access, hosts: Sequence[str] | None, pages: Pages) -> None:
        """Prepare.

        Args:
            app: answers what is allowed.
            access: what a request must bring.
            hosts: names of this server that a request may name, beside those of the loopback interface; None: any.
            pages: the page that asks for a token.
        """
        self._app, self._access, self._hosts, self._pages = app, access, hosts, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have the app answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._app if scope["path"] == OPEN else self._refusal(scope) or self._app
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that the app does not get."""
        headers = Headers(scope=scope)
        if self._hosts is not None and not allowed_host(headers.get("host", ""), self._hosts):
            # Otherwise any web page could give a name of its own this address, and its script would read the pictures.
            return PlainTextResponse("this server is not called that: use its address\n", 403)
        if scope["method"] == "OPTIONS":
            return Response(status_code=204, headers={"Allow": _METHODS})
        token = QueryParams(scope["query_string"]).get("token")
        for_page = "text/html" in headers.get("accept", "") and scope["path"].endswith("/")
        if self._access.allows(headers.get("authorization", ""), headers.get("cookie", ""), token):
            return self._welcome(scope) if for_page and token and self._access.token else None
        if for_page and not self._access.password:
            login = self._pages.login
            headers = {"WWW-Authenticate": _BEARER, "Content-Security-Policy": login.policy}
            return HTMLResponse(login.content, 401, headers)
        return PlainTextResponse("a token or a password is needed\n", 401, {"WWW-Authenticate": _BASIC})

    def _welcome(self, scope: Scope) -> Response:
        """The page again, without the token in its address: the browser has it in a cookie now."""
        response = RedirectResponse(".", 303)
        name, value = self._access.cookie
        response.set_cookie(name, value, max_age=_YEAR, path="/", httponly=True, samesite="lax")
        return response
