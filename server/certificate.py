"""The certificate of the artifact store: its owner's, or one that it signs itself at its first start."""

import datetime
import ipaddress
import os
import socket
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL

from forecasting.errors import UserError
from forecasting.files import replacing

YEARS = 10


def private(path: Path) -> None:
    """Raise UserError if others can read a file that holds a secret; Windows has no modes to look at."""
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UserError(f"{path} can be read by others; make it yours alone with: chmod 600 {path}.")


def self_signed(folder: Path, host: str) -> tuple[Path, Path]:
    """Return the certificate and the key in ``folder``, made for this host if they are missing."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists()):
        secret = ec.generate_private_key(ec.SECP256R1())
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        for path, content, mode in (
            (key, secret.private_bytes(pem, pkcs8, serialization.NoEncryption()), 0o600),
            (certificate, signed(secret, host).public_bytes(pem), 0o644),
        ):
            with replacing(path) as written:  # in a folder that only its owner can enter
                written.write_bytes(content)
                written.chmod(mode)
    return certificate, key


def signed(key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    """Return a certificate for localhost and ``host``, signed with its own key."""
    names: dict[x509.GeneralName, None] = {x509.DNSName("localhost"): None}  # a set that keeps the order
    for text in ("127.0.0.1", "::1", host, socket.gethostname()):
        try:
            names[x509.IPAddress(ipaddress.ip_address(text))] = None
        except ValueError:
            names[x509.DNSName(text)] = None
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "MLflow artifact store")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def context(certificate: Path, key: Path) -> SSL.Context:
    """Return the settings of TLS; raises UserError that names the unusable file."""
    for path in (certificate, key):
        if not path.is_file():
            raise UserError(f"there is no file {path}.")
    private(key)
    tls = SSL.Context(SSL.TLS_SERVER_METHOD)
    tls.set_min_proto_version(SSL.TLS1_2_VERSION)
    tls.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    tls.set_session_id(b"MLflow artifact store")  # data connections go on with the session of the control connection
    try:
        tls.use_certificate_chain_file(str(certificate))
    except SSL.Error:
        raise UserError(f"{certificate} is not a certificate in PEM format.") from None
    try:
        tls.use_privatekey_file(str(key))
        tls.check_privatekey()
    except SSL.Error:
        raise UserError(f"{key} is not the key of {certificate}, in PEM format and without a passphrase.") from None
    return tls
