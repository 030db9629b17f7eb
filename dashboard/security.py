"""What a browser is told about the pages: to load nothing from elsewhere, and to show them in no other page."""

from functools import cache

import flask
from dash import Dash

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def protect(app: Dash) -> None:
    """Send these headers with every answer; call it when all callbacks are there."""

    @cache
    def policy() -> str:
        scripts = " ".join(["'self'", *(f"'{digest.strip(chr(39))}'" for digest in app.csp_hashes())])
        return "; ".join(
            [
                "default-src 'self'",
                f"script-src {scripts}",
                "style-src 'self' 'unsafe-inline'",  # the components write their styles into the page
                "img-src 'self' data: blob:",
                "font-src 'self' data:",
                "object-src 'none'",
                "base-uri 'none'",
                "form-action 'self'",
                "frame-ancestors 'none'",
            ]
        )

    @app.server.after_request
    def add(answer: flask.Response) -> flask.Response:
        answer.headers.update(HEADERS | {"Content-Security-Policy": policy()})
        return answer
