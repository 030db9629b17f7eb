"""Run pyftpdlib's own functional tests, from its source distribution, against our server."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

HOW = (
    "pyftpdlib's tests are not here. Set PYFTPDLIB_SOURCE to the file or folder that comes by: "
    "pip download pyftpdlib==2.2.0 --no-deps --no-binary :all: --no-build-isolation"
)
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
PASSED = 169  # at least


@pytest.fixture
def their_tests(tmp_path) -> Path:
    """Return a folder in which the folder ``tests`` of pyftpdlib's source distribution is; CI has to have it."""
    if not (named := os.environ.get("PYFTPDLIB_SOURCE")):
        pytest.fail(HOW) if os.environ.get("CI") else pytest.skip(HOW)
    source = Path(named)
    if source.is_file():
        with tarfile.open(source) as archive:
            archive.extractall(tmp_path / "unpacked", filter="data")
        (source,) = (tmp_path / "unpacked").iterdir()
    shutil.copytree(source / "tests", tmp_path / "theirs" / "tests")
    (tmp_path / "theirs" / "tests" / "keycert.pem").chmod(0o600)
    return tmp_path / "theirs"


def type_pytest(folder: Path, *arguments: str) -> str:
    """Run pytest in the folder, where servers are ours, and return what it says."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-p", "pyftpdlib_plugin", "-p", "no:cacheprovider", "-p", "no:dash"]
    done = subprocess.run(
        [*command, "-q", "--tb=short", *arguments],
        cwd=folder,
        env=env | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_pyftpdlibs_own_functional_tests_pass_where_they_are_about_what_we_allow(their_tests):
    collected = type_pytest(their_tests, "--collect-only", "tests/test_functional.py", "tests/test_functional_ssl.py")
    nodes = re.findall(r"^tests/.+::.+$", collected, re.MULTILINE)
    # The second file imports the first one's tests, which need not run twice.
    nodes = [node for node in nodes if "_ssl" not in node or re.search("::(.*TLSMixin|TestFTPS)::", node)]
    patterns = " ".join(LEFT_OUT.values()).split()
    matching = {node: {pattern for pattern in patterns if fnmatch.fnmatch(node, f"*.py::{pattern}")} for node in nodes}
    assert set().union(*matching.values()) == set(patterns), "what is left out has to be there"
    wanted = [node for node in nodes if not matching[node]]
    (their_tests / "wanted").write_text("\n".join(wanted), encoding="utf-8")
    said = type_pytest(their_tests, "@wanted")
    assert int(re.search(r"(\d+) passed", said)[1]) >= PASSED, said
