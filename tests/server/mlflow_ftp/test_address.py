"""What an address says, who logs in, and which addresses the MLflow server takes."""

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow_ftp import FTPArtifactRepository
from mlflow_ftp.address import parse
from mlflow_ftp.settings import find_login

ENVIRONMENT = ("MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD", "NETRC")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch, tmp_path) -> None:
    """Let no user and password be anywhere."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def netrc(text: str) -> Path:
    """Write the netrc file of the user."""
    path = Path(os.environ["HOME"], ".netrc")
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("uri", "host", "port", "path", "user", "password"),
    [
        ("ftp://h", "h", 21, "/", None, None),
        ("ftp://H:2121/a/b/", "h", 2121, "/a/b", None, None),
        ("ftps://ada:b%40c%2Fd%25@h//a%20b%23c%3F//d", "h", 21, "/a b#c?/d", "ada", "b@c/d%"),
        ("ftp://gr%C3%B6%C3%9Fe:@[::1]:99/%C3%A4/./x", "::1", 99, "/ä/x", "größe", ""),
        ("ftp://ada@h/a\\b;c", "h", 21, "/a\\b;c", "ada", None),
    ],
)
def test_the_parts_of_an_address_are_decoded(uri, host, port, path, user, password):
    address = parse(uri)
    assert (address.host, address.port, address.path) == (host, port, path)
    assert (address.user, address.password) == (user, password)


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://ada:s3cret@/path",
        "ftp://ada:s3cret@h:x/path",
        "ftp://ada:s3cret@h:0/path",
        "ftp://ada:s3cret@h/%ff",
        "ftp://ada:s3cret@h/a?b",
        "ftp://ada:s3cret@h/a/%2E%2E/b",
        "ftp://ada:s3cret%0AQUIT@h/a",
        "ftp://ada:s3cret@h/a%0d",
        "http://ada:s3cret@h/a",
    ],
)
def test_an_address_that_is_none_is_an_error_without_its_password(uri):
    with pytest.raises(MlflowException, match="can't be used") as error:
        FTPArtifactRepository(uri)
    assert "ftp://HOST:PORT/PATH" in error.value.message
    assert error.value.error_code == "INVALID_PARAMETER_VALUE"
    assert error.value.__context__ is None
    shown = "".join(traceback.format_exception_only(error.value)) + repr(error.value)
    assert "cret" not in shown


def test_a_repository_shows_neither_user_nor_password():
    repository = FTPArtifactRepository("ftp://ada:s3cret@h:99/a%20b")
    assert repository.artifact_uri == "ftp://h:99/a%20b"
    assert "ada" not in repr(repository)
    assert "s3cret" not in repr(vars(repository))


def test_user_and_password_come_from_the_address_then_the_environment_then_netrc_then_nowhere(monkeypatch, tmp_path):
    def found(user: str | None = None, password: str | None = None) -> tuple[str, str]:
        login = find_login("h", user, password)
        return login.user, login.password

    assert found() == ("anonymous", "anonymous@")
    assert found("ada") == ("ada", "")
    netrc("machine other login x password y\nmachine h login grace password of-netrc\n")
    assert found() == ("grace", "of-netrc")
    assert found("grace") == ("grace", "of-netrc")
    assert found("ada") == ("ada", ""), "the password of somebody else is not sent"
    monkeypatch.setenv("MLFLOW_FTP_USERNAME", "grace")
    assert found() == ("grace", "of-netrc")
    monkeypatch.setenv("MLFLOW_FTP_PASSWORD", "of-environment")
    assert found() == ("grace", "of-environment")
    assert found("grace") == ("grace", "of-environment")
    assert found("ada") == ("ada", "")
    monkeypatch.delenv("MLFLOW_FTP_USERNAME")
    assert found("ada") == ("ada", "of-environment")
    assert found("ada", "of-address") == ("ada", "of-address")
    assert found("ada", "") == ("ada", "")
    with pytest.raises(MlflowException, match="Set MLFLOW_FTP_USERNAME too"):
        found()
    monkeypatch.delenv("MLFLOW_FTP_PASSWORD")
    (tmp_path / "other").write_text("default login ada password s3cret")
    monkeypatch.setenv("NETRC", str(tmp_path / "other"))
    assert found() == ("ada", "s3cret")
    assert "s3cret" not in repr(find_login("h", None, None))


def test_a_netrc_file_that_is_none_is_named_without_what_is_in_it(monkeypatch, tmp_path):
    for text in ("machine h login ada password s3cret\nrubbish-s3cret\n", "machine h s3cret\n", "machine h login \xe9"):
        netrc("").write_text(text, encoding="latin-1")
        with pytest.raises(MlflowException, match=r"^Cannot take the password for h from the netrc file ") as error:
            find_login("h", None, None)
        assert "s3cret" not in "".join(traceback.format_exception_only(error.value))
        assert error.value.__context__ is None
    if os.name != "nt":
        netrc("machine h login ada password s3cret").chmod(0o644)
        with pytest.raises(MlflowException, match="others can read it"):
            find_login("h", None, None)
    monkeypatch.setenv("NETRC", str(tmp_path / "missing"))
    with pytest.raises(MlflowException, match="No such file"):
        find_login("h", None, None)


@pytest.mark.parametrize(
    ("root", "address", "taken"),
    [
        ("ftps://h:99/root", "ftps://ada:s3cret@h:99/other", True),
        ("ftps://ada:s3cret@h/root", "ftps://H:21/other", True),
        ("ftps://h:99/root", "ftps://h:98/root", False),
        ("ftps://h/root", "ftps://other/root", False),
        ("ftps://h/root", "ftp://ada:s3cret@h/root", False),
        ("./mlartifacts", "ftps://h/root", False),
    ],
)
@pytest.mark.parametrize("variable", ["_MLFLOW_SERVER_ARTIFACT_ROOT", "_MLFLOW_SERVER_ARTIFACT_DESTINATION"])
def test_inside_the_mlflow_server_only_its_own_store_is_taken(monkeypatch, variable, root, address, taken):
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
    monkeypatch.setenv(variable, root)
    if not taken:
        with pytest.raises(MlflowException, match="The MLflow server does not connect to") as error:
            FTPArtifactRepository(address)
        assert "s3cret" not in str(error.value)
        monkeypatch.setenv("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES", address.split(":")[0])
    FTPArtifactRepository(address)


def test_mlflow_takes_this_repository_for_both_schemes_even_if_it_is_imported_first():
    code = (
        "import mlflow_ftp.pool\n"
        "from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository\n"
        "print([type(get_artifact_repository(uri)).__module__ for uri in ('ftp://h/a', 'ftps://h/a')])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "['mlflow_ftp.repository', 'mlflow_ftp.repository']\n", done.stderr
