"""Run pyftpdlib's own functional tests, from its source distribution, against our server."""

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


@pytest.mark.slow
def test_pyftpdlibs_own_functional_tests_pass_where_they_are_about_what_we_allow(their_tests):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "pyftpdlib_plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-p", "no:dash", "tests/test_functional.py", "tests/test_functional_ssl.py"],
        cwd=their_tests,
        env=env | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert int(re.search(r"(\d+) passed", said)[1]) >= PASSED, said
