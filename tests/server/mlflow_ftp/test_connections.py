"""Connections are kept, and not shared with a fork; certificates are verified."""

import os
import socket
import time
from pathlib import Path

import pytest
from clients import forked, upload_in_a_fork_too
from mlflow.exceptions import MlflowException
from mlflow_ftp import FTPArtifactRepository, pool


def test_a_connection_is_kept_for_the_next_operation_and_the_next_repository(plain_store, relay, tmp_path):
    through, repository = relay(plain_store)
    (tmp_path / "file").touch()
    for _ in range(3):
        repository.log_artifact(tmp_path / "file")
        repository.list_artifacts()
        FTPArtifactRepository(repository.artifact_uri).download_artifacts("file")
    assert through.clients == 1


def test_two_hundred_files_are_listed_with_two_commands_and_moved_with_few(plain_store, relay, tmp_path):
    for number in range(200):
        (tmp_path / f"{number}").write_text(f"{number}")
    through, repository = relay(plain_store)
    repository.log_artifacts(tmp_path, "many")
    assert len(through.commands) < 5.2 * 200
    assert 1 < through.clients <= 4
    relayed = [idle for server, idle in pool._idle.items() if (server.host, server.port) == ("127.0.0.2", through.port)]
    assert sum(map(len, relayed)) == 1, "one stays open"
    through.commands.clear()
    assert len(repository.list_artifacts("many")) == 200
    assert [command.split()[0] for command in through.commands] == ["PASV", "MLSD"]
    through.commands.clear()
    repository.download_artifacts("many")
    assert len(through.commands) < 2.2 * 200


def test_a_server_that_ended_an_idle_connection_and_is_gone_is_an_error_at_once(start_store, tmp_path):
    up = start_store(tmp_path)
    repository = FTPArtifactRepository(up.address)
    repository.list_artifacts()
    up.process.terminate()  # it says 421 to who is connected
    up.process.wait()
    start = time.monotonic()
    with pytest.raises(MlflowException, match="no FTP server answers"):
        repository.list_artifacts()
    assert time.monotonic() - start < 4, "half of the time-out"


@pytest.mark.parametrize("while_away", ["killed", "stopped"])
def test_a_connection_that_the_server_closed_is_opened_again(start_store, tmp_path, while_away):
    up = start_store(tmp_path)
    repository = FTPArtifactRepository(up.address)
    (tmp_path / "file").write_text("text")
    repository.log_artifact(tmp_path / "file")
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_forked_child_has_connections_of_its_own(plain_store, tmp_path):
    # In a process of its own, as threads of this one would not live on in the child.
    parent, _ = forked(upload_in_a_fork_too, plain_store.address, tmp_path)
    parent.start()
    parent.join(60)
    assert parent.exitcode == 0
    assert len(list((plain_store.folder / "forked").iterdir())) == 100
    assert all(path.read_text() == path.name for path in (plain_store.folder / "forked").iterdir())


def test_a_server_with_an_ipv6_address(start_store, tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    up = start_store(tmp_path, host="::1")
    (tmp_path / "file").write_text("text")
    repository = FTPArtifactRepository(up.address)
    repository.log_artifact(tmp_path / "file")
    assert Path(repository.download_artifacts("file")).read_text() == "text"
    up.stop()
    with pytest.raises(MlflowException, match=rf"no FTP server answers at \[::1\]:{up.port}; start it with: python"):
        repository.list_artifacts()


def test_another_password_is_another_connection(plain_store, monkeypatch):
    repository = FTPArtifactRepository(plain_store.address)
    repository.list_artifacts()
    monkeypatch.setenv("MLFLOW_FTP_PASSWORD", "wrong")
    with pytest.raises(MlflowException, match="does not let the user 'guest' in"):
        repository.list_artifacts()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"not trusted \(self.signed certificate\).*MLFLOW_FTP_CA_FILE"),
        ("missing", "cannot read the certificates in missing"),
        (__file__, f"cannot read the certificates in {__file__}"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_named_as_is_a_file_without_one(tls_store, monkeypatch, text, reason):
    monkeypatch.setenv("MLFLOW_FTP_CA_FILE", text)
    with pytest.raises(MlflowException, match=reason):
        FTPArtifactRepository(tls_store.address).list_artifacts()


def test_tls_on_one_side_only_is_named_and_no_password_is_sent_in_the_clear(
    plain_store, tls_store, relay, certificate, monkeypatch
):
    monkeypatch.setenv("MLFLOW_FTP_CA_FILE", str(certificate))
    through, repository = relay(plain_store)
    secure = FTPArtifactRepository(repository.artifact_uri.replace("ftp:", "ftps:"))
    with pytest.raises(MlflowException, match=r"offers no TLS \(5\d\d") as error:
        secure.list_artifacts()
    assert error.value.error_code == "INTERNAL_ERROR", "to wait would not help"
    assert through.commands == ["AUTH TLS"]
    with pytest.raises(MlflowException, match="it seems to want TLS, so write ftps://"):
        FTPArtifactRepository(tls_store.address.replace("ftps:", "ftp:")).list_artifacts()
