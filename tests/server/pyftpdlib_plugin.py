"""A plugin for pytest with which pyftpdlib's own tests start our server instead of theirs; see test_pyftpdlib.py.

It is loaded where the package ``tests`` is theirs.
"""

import argparse
from pathlib import Path

from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler

import tests
from server import ftpserver

PORTS = range(30000, 31000)  # the default of --passive-ports


def our_server(handler: type[FTPHandler], server_class: type, addr: tuple | None = None) -> ftpserver.Server:
    """Return a server of ours in place of theirs, on the same folder and for the same user."""
    host, port = addr or (tests.HOST, 0)
    server = ftpserver.make_server(
        argparse.Namespace(
            host=host,
            port=port,
            root=Path(tests.HOME),
            user=tests.USER,
            passive_ports=PORTS,
            tls=issubclass(handler, TLS_FTPHandler),
            certificate=Path(tests.CERTFILE),
            key=Path(tests.CERTFILE),
            password_file=None,
        )
    )
    # Their tests set options on the classes, and none of that may reach the next test.
    own = {name: type(name, (getattr(server.handler, name),), {}) for name in ("dtp_handler", "passive_dtp")}
    server.handler = type("Session", (server.handler,), own)
    return server


class OurThread(tests.FtpdThreadWrapper):
    """Their thread around a server, with a handler that is ours."""

    def __init__(self, addr: tuple | None = None):
        """Open the listening socket."""
        super().__init__(addr)
        self.handler = self.server.handler


tests.setup_server = our_server
tests.FtpdThreadWrapper = OurThread
