"""The dashboard for use by others: the same pages, by a server that is made for it.

    python dashboard/serve.py --port 8050 --threads 8

It listens on this machine only. For others to reach it, put a web server with HTTPS and a login in front of it, or say
``--host 0.0.0.0`` in a network that you trust: whoever reaches the port sees the pages.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import waitress

from dashboard.app import start  # first, as it says how patient MLflow is to be
from dashboard.settings import add_options, from_options


def threads(text: str) -> int:
    """Return a number of threads from 1 to 64."""
    if text.isdecimal() and 1 <= int(text) <= 64:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1 to 64, found {text!r}")


def main() -> None:
    """Serve the dashboard until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Recorded and predicted wind and solar power, for use by others.")
    add_options(parser)
    parser.add_argument("--threads", type=threads, default=8, help="answers at the same time, default: %(default)s")
    options = parser.parse_args()
    settings = from_options(options)
    app = start(settings)
    try:
        waitress.serve(app.server, host=settings.host, port=settings.port, threads=options.threads, ident=None)
    except OSError as error:
        sys.exit(
            f"serve: can't listen on {settings.host}, port {settings.port} ({error.strerror}). Choose another: --port"
        )


if __name__ == "__main__":
    main()
