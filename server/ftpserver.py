"""The artifact store: an FTP server for MLflow's models, tables and pictures.

    cd server
    python ftpserver.py

It listens on 127.0.0.1:2121 and serves one folder, ``ftp_root``, to the user ``guest`` (password ``12345``). The MLflow
database and this code lie outside that folder, so FTP does not reach them. On an address that others can reach it wants
a password of your own, and ``--tls`` hides that from the network. logins.py checks who logs in;
uploads.py and transfers.py give a file its name only when it is complete; certificate.py makes the certificate.
"""

import argparse
import errno
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import ClassVar

import pyftpdlib.ioloop  # noqa: F401, first of all, because it imports asyncore without a warning
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

from forecasting.errors import UserError
from server import certificate
from server.logins import LoginHandler, Logins, choose_password
from server.options import port
from server.transfers import TLSChannel, TransferHandler
from server.uploads import check_carried, sweep

# Active connections (PORT, EPRT) could be aimed at others; nobody here needs the rest.
REFUSED = ("PORT", "EPRT", "STOU", "SITE", "SITE HELP", "SITE CHMOD", "MFMT", "REIN")
STOP_SECONDS = 5  # for transfers that run when the server is to end


class Session(LoginHandler, TransferHandler):
    """What one client may do."""

    banner = "MLflow artifact store ready."
    timeout = 120  # seconds without a command
    proto_cmds: ClassVar = {k: v for k, v in FTPHandler.proto_cmds.items() if k not in REFUSED}


class TLSSession(TLS_FTPHandler, Session):
    """The same over TLS, without which it takes neither a login nor data."""

    dtp_handler = TLSChannel
    tls_control_required = tls_data_required = True
    proto_cmds: ClassVar = {k: v for k, v in TLS_FTPHandler.proto_cmds.items() if k not in REFUSED}

    def ftp_AUTH(self, line: str) -> None:
        """Begin TLS, unless more was sent in the clear behind it, which somebody may have put there."""
        if self.ac_in_buffer:
            self.leave("503 Wait for the answer to AUTH.")
        else:
            super().ftp_AUTH(line)

    def ftp_PROT(self, line: str) -> None:
        """Protect the data connections; never the other way round."""
        if line.upper() == "C":
            self.respond("534 Data connections have to be private.")
        else:
            super().ftp_PROT(line)


class Server(FTPServer):
    """One process for all clients: 16 of four threads each, with a data connection, are 128 connections."""

    max_cons = 512
    max_cons_per_ip = 128
    deadline: float | None = None

    def run(self) -> None:
        """Serve until stop is called, and then until no transfer runs any more."""
        self.ioloop.call_every(0.2, self.wind_up)
        wait = 0  # the original's own loop would wait for a first client before anything else
        try:
            while self.ioloop.socket_map:
                wait = self.ioloop.loop(wait, blocking=False)
        finally:
            self.close_all()

    def stop(self, *signal_and_frame: object) -> None:
        """Note that the end has come, so that wind_up does the rest between two events; a second time, end at once."""
        if self.deadline is not None:
            sys.exit(1)
        self.deadline = time.monotonic() + STOP_SECONDS

    def wind_up(self) -> None:
        """When the end has come, take no one new and let go of everybody who has no transfer running."""
        if self.deadline is None:
            return
        self.close()
        for session in [known for known in self.ioloop.socket_map.values() if isinstance(known, Session)]:
            if not session.data_channel and not session.leaving:
                session.leave("421 The server is being stopped.")
        if time.monotonic() > self.deadline:
            self.close_all()


def ports(text: str) -> range:
    """Return the ports FIRST-LAST."""
    try:
        first, last = map(port, text.split("-"))
    except (ValueError, argparse.ArgumentTypeError):
        first, last = 1, 0
    if first > last:
        raise argparse.ArgumentTypeError(f"expected FIRST-LAST such as 30000-30999, found {text!r}")
    return range(first, last + 1)


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description="The artifact store: an FTP server for MLflow.")
    user, root = os.environ.get("MLFLOW_FTP_USERNAME") or "guest", Path(__file__).with_name("ftp_root")
    for option, kind, default, text in (
        ("--host", str, "127.0.0.1", "address to listen on (default: %(default)s, which only this machine reaches)"),
        ("--port", port, os.environ.get("FTP_PORT", "2121"), "port to listen on (default: FTP_PORT, else 2121)"),
        ("--root", Path, root, "folder that is served; made if it is missing (default: ftp_root beside this file)"),
        ("--user", str, user, "the user who may log in (default: MLFLOW_FTP_USERNAME, else guest)"),
        ("--password-file", Path, None, "file of mode 0600 (default: MLFLOW_FTP_PASSWORD, else 12345 on loopback)"),
        ("--passive-ports", ports, "30000-30999", "FIRST-LAST, for the data connections (default: %(default)s)"),
        ("--certificate", Path, None, "for --tls, PEM (default: one signed by itself, in ftp_tls beside the root)"),
        ("--key", Path, None, "the certificate's key, PEM, mode 0600 (default: key.pem in ftp_tls)"),
    ):
        parser.add_argument(option, type=kind, default=default, help=text)
    parser.add_argument("--tls", action="store_true", help="FTPS: TLS for logins and data, always (default: off)")
    options = parser.parse_args()
    if (options.certificate is None) != (options.key is None):
        parser.error("--certificate and --key go together")
    if options.certificate and not options.tls:
        parser.error("--certificate and --key are for --tls")
    if options.user == "anonymous" or not options.user:
        parser.error("argument --user: expected a name of your own, found " + repr(options.user))
    return options


def make_server(options: argparse.Namespace) -> Server:
    """Open the listening socket; raises OSError if that fails, UserError for an unusable password or certificate."""
    check_carried(options.user, "--user, or else MLFLOW_FTP_USERNAME,")
    settings = {
        "authorizer": Logins(options.user, choose_password(options.password_file, options.host), options.root),
        "passive_ports": options.passive_ports,
    }
    if options.tls:
        own = options.certificate, options.key
        files = own if all(own) else certificate.self_signed(options.root.with_name("ftp_tls"), options.host)
        settings["ssl_context"] = certificate.context(*files)
    return Server((options.host, options.port), type("Handler", (TLSSession if options.tls else Session,), settings))


def main() -> None:
    """Serve until Ctrl-C."""
    options = parse()
    os.umask(0o077)  # what is stored is for the user who runs the server, and for who logs in
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        options.root.mkdir(parents=True, exist_ok=True)
        if not os.access(options.root, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(options.root))
        options.root = options.root.resolve()
    except OSError as error:
        sys.exit(f"ftpserver: cannot serve the folder {options.root}: {error}. Choose another one with --root.")
    try:
        server = make_server(options)
    except UserError as error:
        sys.exit(f"ftpserver: {error}")
    except OSError as error:
        sys.exit(
            f"ftpserver: cannot listen on {options.host}:{options.port}: {error}. "
            "Stop the program that uses the port, or choose another one with --port."
        )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, server.stop)
    swept = sweep(options.root)
    logging.info("serving %s on %s:%d%s", options.root, *server.address, ", with TLS" if options.tls else "")
    logging.info("swept %d files of uploads that were never finished", swept)
    server.run()


if __name__ == "__main__":
    main()
