"""Send a report by mail, with settings from the environment.

SMTP_HOST      the mail server
SMTP_PORT      its port (default: 587, or 465 if SMTP_SECURITY is tls)
SMTP_SECURITY  starttls (default), tls, or none, which is accepted only for a server on this machine
SMTP_USER      the login, if the server asks for one
SMTP_PASSWORD  its password
SMTP_FROM      the sender (default: SMTP_USER, if that is an address)
"""

import base64
import contextlib
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import NamedTuple

from forecasting.errors import UserError

SETTINGS = __doc__.partition("\n\n")[2]
SECONDS = 30  # to wait for the server to connect and to answer a login
PATIENCE = 600  # seconds to wait for its answer to the whole message (RFC 5321, 4.5.3.2.6)
PAUSES = (60, 300)  # seconds before the next attempt; greylisting servers want five minutes after the first one
ADDRESS = r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+"


@dataclass(frozen=True)
class MailSettings:
    """How mail is sent; the password does not appear in its representation."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


class Refusal(NamedTuple):
    """Why an address did not get the mail, and whether a later attempt may succeed."""

    reason: str
    temporary: bool


def is_address(text: str) -> bool:
    """Return whether a text is one plain mail address."""
    return bool(re.fullmatch(ADDRESS, text)) and text.isascii()


def read_settings(environment: Mapping[str, str]) -> MailSettings:
    """Read the settings; raises UserError that names the variable that is missing or wrong."""
    names = ("HOST", "PORT", "SECURITY", "USER", "PASSWORD", "FROM")
    # A carriage return comes from a file that was written on Windows.
    host, port, security, user, password, sender = (environment.get(f"SMTP_{name}", "").strip("\r\n") for name in names)
    security, sender = security.lower() or "starttls", sender or user
    port = port or ("465" if security == "tls" else "587")
    given, missing = ("SMTP_USER", "SMTP_PASSWORD") if user else ("SMTP_PASSWORD", "SMTP_USER")
    checks = {
        "To send mail, set SMTP_HOST to the name of your mail server; --help lists all settings.": bool(host),
        f"SMTP_SECURITY: expected starttls, tls or none, found {security!r}.": security in ("starttls", "tls", "none"),
        f"SMTP_SECURITY is none, and {host} is another machine: mail and password could be read on the way. "
        "Set it to starttls or tls.": security != "none" or host.lower() in ("localhost", "127.0.0.1", "::1"),
        f"SMTP_PORT: expected a number from 1 to 65535, found {port!r}.": (
            port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535
        ),
        f"{given} is set and {missing} is not. Set both, or neither if the server asks for no login.": (
            bool(user) == bool(password)
        ),
        "SMTP_USER and SMTP_PASSWORD: expected ASCII characters only, found others.": (user + password).isascii(),
        f"SMTP_FROM: expected the sender's mail address, found {sender!r}.": is_address(sender),
    }
    for sentence, passed in checks.items():
        if not passed:
            raise UserError(sentence)
    return MailSettings(host, int(port), security, sender, user, password)


def compose(sender: str, to: list[str], subject: str, text: str, files: list[Path], when: datetime) -> EmailMessage:
    """Return a plain-text message with the files of the report attached."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(to), subject
    message["Date"] = format_datetime(when)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # so that no out-of-office reply answers (RFC 3834)
    message.set_content(text, cte="quoted-printable")  # some servers do not accept 8-bit mail
    for path in files:
        if path.suffix == ".html":
            message.add_attachment(path.read_text(encoding="utf-8"), subtype="html", cte="base64", filename=path.name)
        else:
            message.add_attachment(path.read_bytes(), "application", path.suffix[1:], filename=path.name)
    return message


def preview(message: EmailMessage) -> str:
    """Return the headers and the text of a message, and a line for each attachment."""
    lines = [f"{name}: {message[name]}" for name in ("From", "To", "Subject", "Date")]
    text, *attachments = (part for part in message.walk() if not part.is_multipart())
    lines += ["", text.get_content().rstrip(), ""]
    for part in attachments:
        lines.append(f"[attached: {part.get_filename()}, {len(part.get_payload(decode=True)) / 1000:.0f} kB]")
    return "\n".join(lines)


def send(message: EmailMessage, settings: MailSettings, wait: Callable[[float], None] = time.sleep) -> dict[str, str]:
    """Send a message to each recipient once; return the reason for each address that did not get it.

    A temporary refusal is followed by another attempt after each of PAUSES. A permanent one is not, and neither is a
    connection that broke while the mail was handed over, because the server may have accepted it.
    """
    waiting, failed = [address.addr_spec for address in message["To"].addresses], {}
    for pause in (*PAUSES, 0):
        refusals = attempt(message, waiting, settings)
        waiting = [to for to, refusal in refusals.items() if refusal.temporary and pause > 0]
        failed |= {to: refusal.reason for to, refusal in refusals.items() if to not in waiting}
        if not waiting:
            break
        print(f"report: {refusals[waiting[0]].reason} The next attempt is in {pause} s.", flush=True)
        wait(pause)
    return failed


def attempt(message: EmailMessage, to: list[str], settings: MailSettings) -> dict[str, Refusal]:
    """Offer a message to the server once; names and certificates are checked wherever there is TLS."""
    context, handing_over = ssl.create_default_context(), False
    try:
        if settings.security == "tls":
            server = smtplib.SMTP_SSL(settings.host, settings.port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
        with contextlib.closing(server):
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.user:
                server.login(settings.user, settings.password)
            if server.sock:
                server.sock.settimeout(PATIENCE)
            handing_over = True
            replies = server.send_message(message, settings.sender, to)
            with contextlib.suppress(OSError):  # the mail is accepted, whatever the server answers now
                server.quit()
    except smtplib.SMTPRecipientsRefused as error:
        last = [*error.recipients.values()][-1]  # a server that hangs up (421) has not heard all addresses
        replies = {address: error.recipients.get(address, last) for address in to}
    except (OSError, ValueError) as error:  # smtplib's errors are OSErrors
        return dict.fromkeys(to, refusal(error, settings, handing_over))
    return {to: refusal(smtplib.SMTPResponseException(*reply), settings, True) for to, reply in replies.items()}


def refusal(error: OSError | ValueError, settings: MailSettings, handing_over: bool) -> Refusal:
    """Explain an error in a sentence or two, without the password."""
    said, hint, code = str(error) or type(error).__name__, "", 0
    if isinstance(error, smtplib.SMTPResponseException):
        code, words = error.smtp_code, error.smtp_error
        said = f"{code} {words.decode(errors='replace') if isinstance(words, bytes) else words}"
    # A server may repeat the password as it is, or as a login encodes it.
    secret = settings.password
    encoded = [base64.b64encode(part.encode()).decode() for part in (secret, f"\0{settings.user}\0{secret}")]
    for hidden in (secret, *encoded) if secret else ():
        said = said.replace(hidden, "***")
    said = " ".join(said.split()).rstrip(".")[:300]
    # Of smtplib's own errors only a broken connection passes within minutes, and an unknown host name does not.
    lasting = isinstance(error, (smtplib.SMTPException, ssl.SSLError, ValueError)) or error.errno == socket.EAI_NONAME
    temporary = 400 <= code < 500 or isinstance(error, smtplib.SMTPServerDisconnected) or not lasting
    if isinstance(error, smtplib.SMTPAuthenticationError) and not temporary:
        hint = " Check SMTP_USER and SMTP_PASSWORD."
    elif isinstance(error, smtplib.SMTPNotSupportedError):
        hint = " Set SMTP_SECURITY to tls, or to none if the server runs on this machine."
    elif handing_over and not code:
        hint, temporary = " It may have been accepted: ask whether it arrived before you send it again.", False
    where = f"{settings.host}:{settings.port}"
    return Refusal(f"The mail server {where} did not accept the mail: {said}.{hint}", temporary)
