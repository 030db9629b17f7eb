"""The artifact store: an FTP server for MLflow's models, tables and pictures.

    cd server
    python ftpserver.py

It listens on 127.0.0.1:2121 and lets the user ``guest`` (password ``12345``) into one folder, ``ftp_root``. The MLflow
database and this code lie outside that folder, so FTP does not reach them.
"""

import argparse
import ipaddress
import logging
import os
import sys
from pathlib import Path

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

# List, read, upload, append, make folders, rename and delete; no change of mode (M) or of time (T).
PERMISSIONS = "elradfmw"


def loopback(host: str) -> str:
    """Return the host if it is a loopback address, for the password is known to everybody who reads this file."""
    try:
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected a loopback address such as 127.0.0.1, found {host!r}")


def port(text: str) -> int:
    """Return the port as a number from 1 to 65535."""
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected a number from 1 to 65535, found {text!r}")


def make_server(host: str, port: int, root: Path) -> FTPServer:
    """Open the listening socket for a server of the folder ``root``; raises OSError if the address is taken."""
    authorizer = DummyAuthorizer()
    authorizer.add_user("guest", "12345", str(root), perm=PERMISSIONS)

    class Handler(FTPHandler):
        banner = "MLflow artifact store ready."

    Handler.authorizer = authorizer
    return FTPServer((host, port), Handler)


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="The artifact store: an FTP server for MLflow.")
    parser.add_argument("--host", type=loopback, default="127.0.0.1", help="loopback address (default: %(default)s)")
    parser.add_argument(
        "--port", type=port, default=os.environ.get("FTP_PORT", "2121"), help="default: FTP_PORT, else 2121"
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(__file__).with_name("ftp_root"),
        help="folder that is served; made if it is missing (default: ftp_root beside this file)",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        options.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"ftpserver: cannot make the folder {options.root}: {error}. Choose another one with --root.")
    try:
        server = make_server(options.host, options.port, options.root.resolve())
    except OSError as error:
        sys.exit(
            f"ftpserver: cannot listen on {options.host}:{options.port}: {error}. "
            "Stop the program that uses the port, or choose another one with --port."
        )
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.close_all()


if __name__ == "__main__":
    main()
