"""Connections are kept, shared by nobody, and closed; certificates are verified."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import certificate as certificates
import psutil
import pytest
from mlflow.exceptions import MlflowException
from mlflow_ftp import FTPArtifactRepository
from mlflow_ftp.connection import Connection


def connected(plain_store) -> int:
    """Return how many control connections a server has."""
    connections = psutil.Process(plain_store.process.pid).net_connections("tcp")
    return sum(one.status == "ESTABLISHED" and one.laddr.port == plain_store.port for one in connections)


def wait_until(true, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def many(tmp_path) -> Path:
    """Return a folder with two hundred small files."""
    for number in range(200):
        (tmp_path / f"{number}").write_text(f"{number}")
    return tmp_path


def test_a_connection_is_kept_for_the_next_operation_and_the_next_repository(plain_store, relay, tmp_path):
    through, repository = relay(plain_store)
    (tmp_path / "file").touch()
    for _ in range(3):
        repository.log_artifact(tmp_path / "file")
        repository.list_artifacts()
        FTPArtifactRepository(repository.artifact_uri).download_artifacts("file")
    assert through.clients == 1


def test_two_hundred_files_are_listed_with_two_commands_and_moved_with_few(plain_store, relay, many):
    through, repository = relay(plain_store)
    repository.log_artifacts(many, "many")
    assert len(through.commands) < 5.2 * 200
    assert through.clients <= 4
    through.commands.clear()
    assert len(repository.list_artifacts("many")) == 200
    assert [command.split()[0] for command in through.commands] == ["PASV", "MLSD"]
    through.commands.clear()
    repository.download_artifacts("many")
    assert len(through.commands) < 2.2 * 200


@pytest.mark.parametrize("while_away", ["killed", "stopped with 421"])
def test_a_connection_that_the_server_closed_is_opened_again(start_store, tmp_path, while_away):
    up = start_store(tmp_path)
    repository = FTPArtifactRepository(up.address)
    (tmp_path / "file").write_text("text")
    repository.log_artifact(tmp_path / "file")
    try:
        for deed in (
            lambda: repository.list_artifacts(),
            lambda: repository.log_artifact(tmp_path / "file"),
            lambda: repository.download_artifacts("file"),
            lambda: repository.delete_artifacts("file"),
        ):
            up.process.kill() if while_away == "killed" else up.process.terminate()
            up.process.wait()
            up = start_store(tmp_path, ports=(up.port, up.passive))
            deed()
    finally:
        up.stop()


def test_a_connection_is_closed_when_its_thread_ends(plain_store):
    before = connected(plain_store)
    repository = FTPArtifactRepository(plain_store.address)
    inside = []

    def work() -> None:
        repository.list_artifacts()
        inside.append(connected(plain_store))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert inside == [before + 1]
    wait_until(lambda: connected(plain_store) == before)


def test_a_process_ends_without_a_warning_about_its_connections(plain_store):
    code = (
        f"import mlflow_ftp; mlflow_ftp.FTPArtifactRepository({plain_store.address!r}).list_artifacts(); print('done')"
    )
    command = [sys.executable, "-X", "dev", "-W", "ignore", "-W", "always::ResourceWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "ResourceWarning: unclosed" not in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_forked_child_has_connections_of_its_own(plain_store, tmp_path):
    # In a process of its own, as threads of this one would not live on in the child.
    code = f"""
import os
from mlflow_ftp import FTPArtifactRepository
repository = FTPArtifactRepository({plain_store.address!r})
repository.list_artifacts()
child = os.fork()
for number in range(50):
    name = f"{{'child' if child == 0 else 'parent'}} {{number}}"
    open({str(tmp_path)!r} + "/" + name, "w").write(name)
    repository.log_artifact({str(tmp_path)!r} + "/" + name, "forked")
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
files = sorted(info.path for info in repository.list_artifacts("forked"))
assert len(files) == 100, files
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert all(path.read_text() == path.name for path in (plain_store.folder / "forked").iterdir())


def test_a_server_with_an_ipv6_address(start_store, tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    up = start_store(tmp_path, host="::1")
    try:
        (tmp_path / "file").write_text("text")
        repository = FTPArtifactRepository(up.address)
        repository.log_artifact(tmp_path / "file")
        assert Path(repository.download_artifacts("file")).read_text() == "text"
    finally:
        up.stop()
    with pytest.raises(MlflowException, match=rf"no FTP server answers at \[::1\]:{up.port}; start it with: python"):
        repository.list_artifacts()


def test_another_password_is_another_connection(plain_store, monkeypatch):
    repository = FTPArtifactRepository(plain_store.address)
    repository.list_artifacts()
    monkeypatch.setenv("MLFLOW_FTP_PASSWORD", "wrong")
    with pytest.raises(MlflowException, match="does not let the user 'guest' in"):
        repository.list_artifacts()


def test_data_channels_use_the_tls_session_of_the_control_channel(tls_store, certificate, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_FTP_CA_FILE", str(certificate))
    reused, opened = [], Connection.channel

    def channel(self, *arguments, **options):
        data = opened(self, *arguments, **options)
        reused.append((data.session_reused, data.version()))
        return data

    monkeypatch.setattr(Connection, "channel", channel)
    repository = FTPArtifactRepository(tls_store.address)
    (tmp_path / "file").touch()
    repository.log_artifact(tmp_path / "file")
    repository.list_artifacts()
    assert len(reused) >= 2
    assert all(again for again, _ in reused)


def test_a_certificate_that_is_not_trusted_is_named_with_the_variable(tls_store, monkeypatch):
    monkeypatch.delenv("MLFLOW_FTP_CA_FILE", raising=False)
    with pytest.raises(MlflowException, match=r"not trusted \(self.signed certificate\).*MLFLOW_FTP_CA_FILE"):
        FTPArtifactRepository(tls_store.address).list_artifacts()


def test_a_certificate_of_another_host_is_not_trusted(start_store, relay, tmp_path, monkeypatch):
    own, key = certificates.self_signed(tmp_path / "other", "other.example")
    up = start_store(tmp_path, "--tls", "--certificate", own, "--key", key)
    monkeypatch.setenv("MLFLOW_FTP_CA_FILE", str(own))
    try:
        through, repository = relay(up)
        with pytest.raises(MlflowException, match=r"not trusted \(.*not valid for '127\.0\.0\.2'"):
            repository.list_artifacts()
        assert through.commands[0] == "AUTH TLS"
    finally:
        up.stop()


@pytest.mark.parametrize("text", [None, "this is no certificate"])
def test_a_file_of_certificates_that_is_none_is_named(tls_store, monkeypatch, tmp_path, text):
    file = tmp_path / "ca.pem"
    if text:
        file.write_text(text)
    monkeypatch.setenv("MLFLOW_FTP_CA_FILE", str(file))
    with pytest.raises(MlflowException, match=f"cannot read the certificates in {file}"):
        FTPArtifactRepository(tls_store.address).list_artifacts()


def test_without_tls_on_the_server_no_password_is_sent(plain_store, relay, certificate, monkeypatch):
    monkeypatch.setenv("MLFLOW_FTP_CA_FILE", str(certificate))
    through, repository = relay(plain_store)
    secure = FTPArtifactRepository(repository.artifact_uri.replace("ftp:", "ftps:"))
    with pytest.raises(MlflowException, match=r"offers no TLS \(5\d\d"):
        secure.list_artifacts()
    assert through.commands == ["AUTH TLS"]


def test_a_server_that_wants_tls_is_told_from_one_that_wants_another_password(tls_store):
    with pytest.raises(MlflowException, match="it seems to want TLS, so write ftps://"):
        FTPArtifactRepository(tls_store.address.replace("ftps:", "ftp:")).list_artifacts()
