"""Before any handler: where the request comes from, who asks, and the headers that protect the page."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from truechimer_analyzer.server import replies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from truechimer_analyzer.server.auth import Authority, Token

COOKIE = "truechimer_session"
_PUBLIC = frozenset({"/healthz", "/login", "/logout"})
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, authority: Authority) -> None:
        self._app = app
        self._authority = authority

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        try:
            _check_path(scope["path"])
            self._judge(request)
        except replies.Refused as refused:
            await replies.from_exception(request, refused)(scope, receive, send_protected)
            return
        await self._app(scope, receive, send_protected)

    def _judge(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if self._authority.open and not names_this_host(host):
            # A foreign name that resolves to loopback: some web page tries to read us (DNS rebinding).
            raise replies.Refused(
                421, f"this analyzer is not {host!r}", hint="ask for it by localhost or an address"
            )
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise replies.Refused(403, "requests from other sites' pages are refused")
        scope = needed_scope(request.scope["path"])
        if scope is None or self._authority.open:
            return
        token = self._token(request, scope)
        if token is None:
            raise replies.Refused(
                401,
                "a token is needed, and this one is not known"
                if "authorization" in request.headers
                else "a token is needed",
                hint="send Authorization: Bearer TOKEN, or sign in at /login",
                headers={"WWW-Authenticate": 'Bearer realm="truechimer"'},
            )
        if not token.allows(scope):
            raise replies.Refused(403, f"the token {token.name!r} lacks the scope {scope!r}")

    def _token(self, request: Request, scope: str) -> Token | None:
        given = request.headers.get("authorization")
        if given is not None:
            kind, _, secret = given.partition(" ")
            if kind.lower() not in {"bearer", "token"} or not secret.strip():
                return None
            return self._authority.token_of(secret.strip())
        session = request.cookies.get(COOKIE)
        # The page reads; nothing may be written on the strength of a cookie.
        return self._authority.token_of_session(session) if session and scope == "read" else None


def needed_scope(path: str) -> str | None:
    """What a path needs; None for what everybody may see: health, sign-in, and the page without data.

    ``path`` is the scope's, which the router matches too: an address put together from the Host header
    would be another.
    """
    if path in _PUBLIC:
        return None
    if path.startswith("/api/v2/"):
        return "write"
    return "read" if path.startswith(("/api/", "/metrics")) else None


def _check_path(path: str) -> None:
    # A newline at the end would pass for the end of a route's pattern.
    if any(character < " " or character == "\x7f" for character in path):
        raise replies.Refused(400, "control characters in the path")


def names_this_host(host: str) -> bool:
    """Whether a Host header is localhost or an IP address, which no foreign name server can point here."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") <= 1:
        name = name.partition(":")[0]
    if name.rstrip(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
