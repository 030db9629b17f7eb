"""One door to the workshop.

    python workshop.py run         the whole main job: servers, models, report, dashboard
    python workshop.py servers     just the two servers, to follow the chapters by hand
    python workshop.py notebook    JupyterLab beside the two servers
    python workshop.py check       what is done, step by step, and what to do next
    python workshop.py test        all tests; what follows goes to pytest

The first call makes the environment .venv and installs requirements.txt into it. The commands themselves run inside it
and are in server/__main__.py. This file needs nothing but Python, and a Python 3.6 can read it, so that it can refuse.
"""

import os
import runpy
import signal
import sys
from pathlib import Path

SERVER = Path(__file__).resolve().parent / "server"


def main():
    """Refuse what can't work, make the environment, and go on inside it."""
    version = sys.version_info[:2]
    if not (3, 11) <= version <= (3, 13):
        return (
            "workshop.py: expected Python 3.11, 3.12 or 3.13 (tensorflow has no build for others), found Python "
            f"{version[0]}.{version[1]}. Install one from https://www.python.org/downloads/ and type, for example: "
            "python3.13 workshop.py run"
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        # --help and a mistake end here, before anything is installed.
        runpy.run_path(str(SERVER / "options.py"))["parse"](sys.argv[1:])
        environment = runpy.run_path(str(SERVER / "environment.py"))
        # Isolated (-I) from what this terminal has set for other work with Python.
        command = [str(environment["make_environment"]()), "-I", "-m", "server", *sys.argv[1:]]
        return environment["become"](command, dict(os.environ))
    except OSError as error:
        return f"workshop.py: {error}"
    except KeyboardInterrupt:
        print("Stopped before it was done.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
