"""The dashboard for use by others: the same pages, by a server that is made for it.

    python dashboard/serve.py --port 8050 --threads 8

It listens on this machine only. For others to reach it, put a web server with HTTPS and a login in front of it, or say
``--host 0.0.0.0`` in a network that you trust: whoever reaches the port sees the pages.
"""

import argparse
import sys
from dataclasses import dataclass

import waitress

from dashboard.app import start
from dashboard.settings import Settings, add_options, number_from


@dataclass(frozen=True)
class ServeSettings(Settings):
    """The dashboard's settings, and the server's."""

    threads: int = 8


def main() -> None:
    """Serve the dashboard until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Show the dashboard to others.")
    add_options(parser)
    threads = number_from(int, 1, 64, "a number")
    parser.add_argument("--threads", type=threads, default=8, help="answers at the same time, default: %(default)s")
    settings = ServeSettings(**vars(parser.parse_args()))
    app = start(settings)
    try:
        waitress.serve(app.server, host=settings.host, port=settings.port, threads=settings.threads, ident=None)
    except OSError as error:
        sys.exit(
            f"serve: can't listen on {settings.host}, port {settings.port} ({error.strerror}). Choose another: --port"
        )


if __name__ == "__main__":
    main()
