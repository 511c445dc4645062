"""What keeps a page of hostile text and a form that changes things safe in a browser."""

import secrets
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.problem import problem_response

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: under that, browsers send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
TOKEN_FIELD: Final = "csrf_token"  # noqa: S105 - the field's name, no secret
_TOKEN_COOKIE: Final = "ops_assist_csrf"  # noqa: S105 - the cookie's name, no secret
_TOKEN_BYTES: Final = 32
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_EVERY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
_OTHER_HOST: Final = "The dashboard answers at localhost and at its HOST only; set HOST=0.0.0.0 to let any name in."
_TOKEN_LENGTH: Final = len(secrets.token_urlsafe(_TOKEN_BYTES))


class SecurityHeaders:
    """Puts the headers on every answer; a page is never stored, as it holds log text and a token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


class OwnHostOnly:
    """Refuses requests under other names than this machine's own.

    A stranger's page can have its own name lead to this address (DNS rebinding), and would then pass for ours.

    Args:
        app: what is served.
        host: the address that is listened on. Where that is every address, people may use any name, and all pass.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = None if host in _EVERY_ADDRESS else {*_LOOPBACK, host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or self._names is None or _host_name(scope) in self._names:
            await self._app(scope, receive, send)
        else:
            await problem_response(421, _OTHER_HOST)(scope, receive, send)


def _host_name(scope: Scope) -> str | None:
    """The name of the Host header, without port and brackets."""
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
    except ValueError:
        return None


class ForgeryError(Exception):
    """A form that did not come from one of our own pages; the text says what was wrong."""


def token_of(request: Request) -> str:
    """The token of this browser: that of its cookie, else a new one."""
    present = request.cookies.get(_TOKEN_COOKIE, "")
    return present if len(present) == _TOKEN_LENGTH else secrets.token_urlsafe(_TOKEN_BYTES)


def keep_token(response: Response, token: str) -> None:
    """Give the browser the token to send back with its forms."""
    response.set_cookie(_TOKEN_COOKIE, token, httponly=True, samesite="strict")


def check_same_origin(request: Request, token: str) -> None:
    """Refuse a form from another site, by the headers that a page cannot forge and by the double-submitted token.

    Raises:
        ForgeryError: where any of them does not fit.
    """
    site = request.headers.get("sec-fetch-site")
    if site not in {None, "same-origin"}:
        raise ForgeryError("The form was sent by a page of another site.")
    origin = request.headers.get("origin")
    if site is None and origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForgeryError("The form was sent by a page of another origin.")
    cookie = request.cookies.get(_TOKEN_COOKIE, "")
    if len(cookie) != _TOKEN_LENGTH or not secrets.compare_digest(cookie.encode(), token.encode()):
        raise ForgeryError("The form's token does not fit this browser's cookie. Load the page again, with cookies on.")
