"""Talk to the artifact store over TLS, and try to do without."""

import contextlib
import datetime
import ftplib
import io
import os
import socket
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from stores import Store, refused, until

from server import certificate

OPTIONS = ("--tls",)
CONTENT = b"whole" * 10_000


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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_logins_and_data_full_or_empty_go_over_tls_in_one_session(running, version):
    context = trust(running)
    context.maximum_version = version
    with running.login(Reusing(context=context, timeout=20), "localhost") as ftp:
        ftp.mkd(folder := f"/{version.name}")
        ftp.cwd(folder)
        for content in (CONTENT, b"") * 3:
            assert ftp.nlst() == list(ftp.mlsd()) == []
            ftp.storbinary("STOR file", io.BytesIO(content))
            assert ftp.reused
            got = bytearray()
            ftp.retrbinary("RETR file", got.extend)
            assert ftp.reused
            assert got == content
            ftp.delete("file")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_versions_of_tls_are_refused(running):
    context = trust(running)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, OSError)), running.login(ftplib.FTP_TLS(context=context, timeout=20)):
        pass


def test_no_login_is_taken_in_the_clear(running):
    for first, answers in (("", ["550", "550", "530"]), ("AUTH TLS\r\n", ["503"])):
        with running.stranger() as stranger:
            stranger.send(f"{first}USER guest\r\nPASS {running.password}\r\nPWD\r\n")
            assert [line[:3] for line in stranger.rest()] == ["220", *answers]


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


def test_an_upload_over_tls_that_is_aborted_leaves_nothing(running):
    before = set(running.root.iterdir())
    with (
        running.login(ftplib.FTP_TLS(context=trust(running), timeout=20)) as ftp,
        ftp.transfercmd("STOR aborted") as data,
    ):
        data.sendall(CONTENT)
        until(lambda: [path for path in running.partial() if path.stat().st_size == len(CONTENT)])
        ftp.putcmd("ABOR")
        assert {ftp.getline()[:3], ftp.getline()[:3]} == {"426", "226"}
        assert ftp.pwd() == "/"
        assert set(running.root.iterdir()) == before


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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (lambda chain, key: chain.unlink(), "there is no file {chain}."),
        (lambda chain, key: chain.write_text("none"), "{chain} is not a certificate in PEM format."),
        (lambda chain, key: key.write_text("none"), "{key} is not the key of {chain}, in PEM format"),
        (lambda chain, key: key.write_bytes(other_key()), "{key} is not the key of {chain}, in PEM format"),
        (lambda chain, key: key.chmod(0o640), "{key} can be read by others; make it yours alone with: chmod 600"),
    ],
)
def test_a_certificate_that_will_not_do_is_named(deed, reason, tmp_path, free_port):
    chain, key = certificate.self_signed(tmp_path / "own", "127.0.0.1")
    deed(chain, key)
    files = ["--tls", "--certificate", str(chain), "--key", str(key)]
    said = refused(*files, "--port", str(free_port()), "--root", str(tmp_path / "root"))
    assert said.startswith(f"ftpserver: {reason.format(chain=chain, key=key)}")


def other_key() -> bytes:
    """Return a key that belongs to no certificate."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_half_a_certificate_is_a_mistake(tmp_path):
    assert refused("--tls", "--key", str(tmp_path)).endswith("error: --certificate and --key go together")
    assert refused("--key", str(tmp_path), "--certificate", str(Path())).endswith("are for --tls")
