"""Talk to the artifact store over TLS, and try to do without."""

import contextlib
import datetime
import ftplib
import io
import os
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import certificate
import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from stores import Store, refused, store, until

CONTENT = b"whole" * 10_000


@pytest.fixture(scope="module")
def running(tmp_path_factory, free_port) -> Iterator[Store]:
    with store(tmp_path_factory.mktemp("store"), free_port(), "--tls") as up:
        yield up


def trust(up: Store) -> ssl.SSLContext:
    """Return what a client that has been given the certificate trusts."""
    return ssl.create_default_context(cafile=up.root.with_name("ftp_tls") / "certificate.pem")


class Reusing(ftplib.FTP_TLS):
    """A client that goes on with the session of its control connection on the data connections."""

    reused: bool | None = None

    def ntransfercmd(self, command, rest=None):
        connection, size = ftplib.FTP.ntransfercmd(self, command, rest)
        connection = self.context.wrap_socket(connection, server_hostname=self.host, session=self.sock.session)
        self.reused = connection.session_reused
        return connection, size


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_logins_and_data_go_over_tls_with_a_certificate_that_is_made_at_first_start(running, host):
    with running.login(ftplib.FTP_TLS(context=trust(running), timeout=20), host) as ftp:
        ftp.storbinary("STOR file", io.BytesIO(CONTENT))
        got = bytearray()
        ftp.retrbinary("RETR file", got.extend)
        assert got == CONTENT
        assert [name for name, _ in ftp.mlsd()] == ["file"]
        assert ftp.sock.version() in ("TLSv1.2", "TLSv1.3")


versions = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@versions
def test_what_is_empty_comes_and_goes_over_tls_too(running, version):
    context = trust(running)
    context.maximum_version = version
    with running.login(ftplib.FTP_TLS(context=context, timeout=20)) as ftp:
        ftp.mkd(folder := f"/{version.name}")
        ftp.cwd(folder)
        for _ in range(5):
            assert ftp.nlst() == list(ftp.mlsd()) == []
        for _ in range(5):
            ftp.storbinary("STOR file", io.BytesIO())
            ftp.retrbinary("RETR file", pytest.fail)


@versions
def test_the_session_of_the_control_connection_is_good_for_the_data_connections(running, version):
    context = trust(running)
    context.maximum_version = version
    with running.login(Reusing(context=context, timeout=20)) as ftp:
        for _ in range(3):
            ftp.storbinary("STOR file", io.BytesIO(CONTENT))
            assert ftp.reused
            got = bytearray()
            ftp.retrbinary("RETR file", got.extend)
            assert ftp.reused
            assert got == CONTENT


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_versions_of_tls_are_refused(running):
    context = trust(running)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)), running.login(ftplib.FTP_TLS(context=context, timeout=20)):
        pass


def test_no_login_is_taken_in_the_clear(running):
    with ftplib.FTP(timeout=20) as ftp:
        ftp.connect("127.0.0.1", running.port)
        for command in ("USER guest", f"PASS {running.password}"):
            with pytest.raises(ftplib.error_perm, match="550 SSL/TLS required on the control channel"):
                ftp.sendcmd(command)
    with running.stranger() as stranger:
        stranger.send(f"USER guest\r\nPASS {running.password}\r\nPWD\r\n")
        assert [line[:3] for line in stranger.rest()] == ["220", "550", "550", "530"]


def test_what_was_sent_in_the_clear_behind_auth_is_not_taken_for_a_part_of_the_session(running):
    with running.stranger() as stranger:
        stranger.send(f"AUTH TLS\r\nUSER guest\r\nPASS {running.password}\r\n")
        assert [line[:3] for line in stranger.rest()] == ["220", "503"]


def test_no_data_go_in_the_clear(running):
    with running.login(ftplib.FTP_TLS(context=trust(running), timeout=20)) as ftp:
        with pytest.raises(ftplib.error_perm, match="534"):
            ftp.prot_c()
        before = set(running.root.iterdir())
        with socket.create_connection(("127.0.0.1", ftplib.parse227(ftp.sendcmd("PASV"))[1]), timeout=20) as data:
            ftp.putcmd("STOR clear")
            data.sendall(b"this is no TLS" * 100)
            with contextlib.suppress(OSError):
                assert b"this" not in data.recv(1000)
        answers = [ftp.getline()[:3], ftp.getline()[:3]]
        assert "522" in answers
        until(lambda: set(running.root.iterdir()) == before)
    with ftplib.FTP_TLS(context=trust(running), timeout=20) as ftp:
        ftp.connect("127.0.0.1", running.port)
        ftp.login("guest", running.password)
        with pytest.raises(ftplib.error_perm, match="550 SSL/TLS required on the data channel"):
            ftp.sendcmd("PASV")


def test_a_client_that_does_not_begin_tls_keeps_the_server_waiting_and_not_busy(running):
    (running.root / "big").write_bytes(CONTENT * 10)
    with (
        running.login(ftplib.FTP_TLS(context=trust(running), timeout=20)) as ftp,
        socket.create_connection(("127.0.0.1", ftplib.parse227(ftp.sendcmd("PASV"))[1]), timeout=20),
    ):
        assert ftp.sendcmd("RETR big")[:3] in ("125", "150")
        before = sum(psutil.Process(running.process.pid).cpu_times()[:2])
        time.sleep(0.5)
        assert sum(psutil.Process(running.process.pid).cpu_times()[:2]) - before < 0.2


@pytest.mark.parametrize("end", ["ABOR", "SIGTERM"])
def test_an_upload_over_tls_that_is_ended_in_the_middle_leaves_nothing(end, tmp_path, free_port):
    first = "ftpserver.STOP_SECONDS = 0.5"
    with (
        store(tmp_path, free_port(), "--tls", first=first) as up,
        up.login(ftplib.FTP_TLS(context=trust(up), timeout=20)) as ftp,
        ftp.transfercmd("STOR file") as data,
    ):
        data.sendall(CONTENT)
        until(lambda: [path for path in up.partial() if path.stat().st_size == len(CONTENT)])
        if end == "ABOR":
            ftp.putcmd("ABOR")
            assert {ftp.getline()[:3], ftp.getline()[:3]} == {"426", "226"}
            assert ftp.pwd() == "/"
        else:
            up.process.terminate()
            assert up.process.wait(20) == 0
        assert list(up.root.iterdir()) == []


@pytest.mark.parametrize("control", ["stays", "ends"])
def test_a_stream_that_was_cut_off_is_no_file(running, control):
    (running.root / "cut").write_bytes(b"old")
    with running.login(ftplib.FTP_TLS(context=trust(running), timeout=20)) as ftp:
        with ftp.transfercmd("STOR cut") as data:
            data.sendall(CONTENT)
            until(lambda: [path for path in running.partial() if path.stat().st_size == len(CONTENT)])
            data.shutdown(socket.SHUT_RDWR)  # without TLS's own word that this was all
        if control == "stays":
            with pytest.raises(ftplib.error_temp, match="426 Connection lost; nothing was stored"):
                ftp.voidresp()
            ftp.storbinary("STOR next", io.BytesIO(CONTENT))
    until(lambda: not running.partial())
    assert (running.root / "cut").read_bytes() == b"old"


def test_a_full_disk_is_answered_over_tls_too(tmp_path, free_port):
    with (
        store(tmp_path, free_port(), "--tls", limit=1 << 20) as up,
        up.login(ftplib.FTP_TLS(context=trust(up), timeout=20)) as ftp,
    ):
        for size in (2**20 + 1, 3 * 2**20):
            with pytest.raises(ftplib.error_temp, match="452 File too large"):
                ftp.storbinary("STOR file", io.BytesIO(bytes(size)))
        assert list(up.root.iterdir()) == []


def test_the_certificate_made_at_first_start_is_for_this_machine_and_its_key_for_nobody_else(tmp_path):
    paths = certificate.self_signed(tmp_path / "ftp_tls", "192.0.2.7")
    assert paths == certificate.self_signed(tmp_path / "ftp_tls", "192.0.2.8"), "it is made once"
    own = x509.load_pem_x509_certificate(paths[0].read_bytes())
    names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "::1", "192.0.2.7"} == {str(ip) for ip in names.get_values_for_type(x509.IPAddress)}
    assert own.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=3640)
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["certificate.pem", "key.pem"]
    if os.name == "posix":
        assert stat.S_IMODE(paths[1].stat().st_mode) == 0o600


def test_a_certificate_of_ones_own_is_used(tmp_path, free_port):
    own = certificate.self_signed(tmp_path / "own", "127.0.0.1")
    with store(tmp_path, free_port(), "--tls", "--certificate", str(own[0]), "--key", str(own[1])) as up:
        assert not up.root.with_name("ftp_tls").exists()
        context = ssl.create_default_context(cafile=own[0])
        with up.login(ftplib.FTP_TLS(context=context, timeout=20)) as ftp:
            assert ftp.nlst() == []


@pytest.mark.parametrize("wrong", ["missing", "no certificate", "other key", "no key", "readable key"])
def test_a_certificate_that_will_not_do_is_named(wrong, tmp_path, free_port):
    chain, key = certificate.self_signed(tmp_path / "own", "127.0.0.1")
    expected = {
        "missing": f"ftpserver: there is no file {chain}.",
        "no certificate": f"ftpserver: {chain} is not a certificate in PEM format.",
        "readable key": f"ftpserver: {key} can be read by others; make it yours alone with: chmod 600 {key}.",
    }.get(wrong, f"ftpserver: {key} is not the key of {chain}, in PEM format and without a passphrase.")
    if wrong == "missing":
        chain.unlink()
    elif wrong == "no certificate":
        chain.write_text("none")
    elif wrong == "no key":
        key.write_text("none")
    elif wrong == "other key":
        key.write_bytes(other_key())
    elif os.name == "posix":
        key.chmod(0o640)
    else:
        pytest.skip("Windows has no modes")
    files = ["--tls", "--certificate", str(chain), "--key", str(key)]
    assert refused(*files, "--port", str(free_port()), "--root", str(tmp_path / "root")) == expected


def other_key() -> bytes:
    """Return a key that belongs to no certificate."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_half_a_certificate_is_a_mistake(tmp_path):
    assert refused("--tls", "--key", str(tmp_path)).endswith("error: --certificate and --key go together")
    assert refused("--key", str(tmp_path), "--certificate", str(Path())).endswith("are for --tls")
