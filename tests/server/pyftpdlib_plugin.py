"""A plugin for pytest with which pyftpdlib's own tests start our server instead of theirs; see test_pyftpdlib.py.

It is loaded where the package ``tests`` is theirs.
"""

import argparse
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler

import tests
from server import ftpserver

PORTS = range(30000, 31000)  # the default of --passive-ports
# Why a test is left out, and the patterns of CLASS::TEST that it is so for.
LEFT_OUT = {
    "needs a command that is refused: PORT, EPRT, STOU, SITE, MFMT, REIN or a second USER": (
        "*::test_abor_port *::test_active_conn_error *::test_disabled_port_timeout *::test_eprt* *::test_permit_* "
        "*::test_port_race_condition TestIPv4Environment*::test_port_v4 *::test_repr *::test_stor_active *::test_stou* "
        "*::test_invalid_mfmt_timeval *::test_mfmt *::test_missing_mfmt_timeval_arg *::test_site* *::test_arg_cmds "
        "*::test_help *::test_no_arg_cmds *::test_max_connections *::test_max_login_attempts *::test_rein* "
        "*::test_user*"
    ),
    "is cut off because it sends something else before a login, or no password, or logs in before TLS has begun": (
        "*::test_auth_cmds *::test_no_auth_cmds *::test_anon_auth TestFTPS::test_tls_*_required TestFTPS::test_auth "
        "TestFTPS::test_unforseen_ssl_shutdown *TLSMixin::test_wrong_cmds_order TestFTPS::test_pbsz TestFTPS::test_prot"
    ),
    "takes the third failed login for the last, where the first one is": "*::test_auth_failed *::test_max_auth",
    "ends an upload without TLS's own word for the end, so that it counts as cut off": (
        "*TLSMixin::test_quit_during_transfer"
    ),
    "wants any port when those of the range are used up": "*::test_passive_ports_busy",
    "listens beyond loopback, where the password of these tests is refused": "TestIPv6MixedEnvironment::*",
    "puts a handler of pyftpdlib in the place of ours": "TestCallbacks::* TestThrottleBandwidth::*",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests out; the second file imports the first one's, which need not run twice."""
    patterns = " ".join(LEFT_OUT.values()).split()
    once = [item for item in items if "_ssl" not in item.nodeid or re.search("::(.*TLSMixin|TestFTPS)::", item.nodeid)]
    matching = {item: {pattern for pattern in patterns if fnmatch(item.nodeid, f"*.py::{pattern}")} for item in once}
    if unknown := set(patterns) - set().union(*matching.values()):
        raise pytest.UsageError(f"what is left out has to be there: {unknown}")
    items[:] = [item for item in once if not matching[item]]


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
