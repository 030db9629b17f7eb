"""How few bytes a browser loads: text is compressed, and files are kept by the browser."""

import gzip
from functools import lru_cache, partial

import flask
from dash import Dash

LIBRARIES, ASSETS = "/_dash-component-suites/", "/assets/"  # the files of Dash and its components, and ours
DAY, YEAR = 86_400, 31_536_000  # seconds
TEXT = ("text/", "application/json", "application/javascript")
SMALLEST = 1000  # bytes; to compress less is not worth the time

pack = partial(gzip.compress, compresslevel=5)
pack_file = lru_cache(64)(pack)  # each file once


def lighten(app: Dash) -> None:
    """Compress what the app sends, and let browsers keep its files."""
    # Addresses of assets have their time, as those of most other files have a version: what is new has another address.
    app.server.config["SEND_FILE_MAX_AGE_DEFAULT"] = YEAR

    @app.server.after_request
    def light(answer: flask.Response) -> flask.Response:
        path = flask.request.path
        if path.startswith(LIBRARIES) and answer.cache_control.max_age is None:
            answer.cache_control.max_age = DAY  # plotly.js and the grid: their addresses have no version
        if answer.status_code == 200 and (answer.mimetype or "").startswith(TEXT):
            answer.vary.add("Accept-Encoding")
            if flask.request.accept_encodings["gzip"]:
                answer.direct_passthrough = False  # an asset has not been read yet
                content = answer.get_data()
                if len(content) >= SMALLEST:
                    answer.set_data((pack_file if path.startswith((LIBRARIES, ASSETS)) else pack)(content))
                    answer.content_encoding = "gzip"
        return answer
