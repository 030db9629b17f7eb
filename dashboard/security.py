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
# Styles are unsafe because the components write theirs into the page.
POLICY = (
    "default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def protect(app: Dash) -> None:
    """Send these headers with every answer; call it when all callbacks are there."""

    @cache
    def policy() -> str:
        hashes = (digest.strip("'") for digest in app.csp_hashes())
        return POLICY.format(scripts=" ".join(f"'{digest}'" for digest in hashes))

    @app.server.after_request
    def add(answer: flask.Response) -> flask.Response:
        answer.headers.update(HEADERS | {"Content-Security-Policy": policy()})
        return answer
