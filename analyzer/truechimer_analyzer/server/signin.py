"""Signing in to the page: a form, then a cookie that scripts cannot read and other sites cannot use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, RedirectResponse, Response

from truechimer_analyzer.server.bodies import read_body
from truechimer_analyzer.server.guard import COOKIE

if TYPE_CHECKING:
    from starlette.requests import Request

    from truechimer_analyzer.server.auth import Authority

log = logging.getLogger(__name__)

_FORM_LIMIT = 4096
_FORM = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>truechimer: sign in</title>
  <link rel="icon" href="icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="style.css">
</head>
<body>
  <main>
    <h1>Sign in to truechimer</h1>
    {said}
    <form method="post" action="login">
      <p><label>Token <input type="password" name="token" required autofocus
        autocomplete="current-password"></label>
      <button type="submit">Sign in</button></p>
    </form>
    <p>Any token with the scope <code>read</code> of the analyzer's tokens file.</p>
  </main>
</body>
</html>
"""
_SECURITY = {
    "Cache-Control": "no-store",
    # Under no-referrer a browser sends the form with "Origin: null", which is refused.
    "Referrer-Policy": "same-origin",
}


async def sign_in(request: Request, authority: Authority) -> Response:
    """GET: the form. POST: the cookie and the page, or the form again."""
    if authority.open:
        return RedirectResponse("./", 303)
    if request.method != "POST":
        return HTMLResponse(_FORM.format(said=""), headers=_SECURITY)
    form = parse_qs((await read_body(request, _FORM_LIMIT)).decode("utf-8", "replace"))
    token = authority.token_of(form.get("token", [""])[0].strip())
    if token is None or not token.allows("read"):
        peer = request.client.host if request.client else "?"
        log.warning("sign-in refused peer=%s", peer)
        said = '<p role="alert">This token is not known here, or may not read.</p>'
        return HTMLResponse(_FORM.format(said=said), 401, headers=_SECURITY)
    response = RedirectResponse("./", 303, headers=_SECURITY)
    response.set_cookie(
        COOKIE,
        authority.begin_session(token),
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


async def sign_out(request: Request, authority: Authority) -> Response:
    """End the session and forget the cookie."""
    authority.end_session(request.cookies.get(COOKIE, ""))
    response = RedirectResponse("login", 303, headers=_SECURITY)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response
