"""Send a report by mail, with settings from the environment.

SMTP_HOST      the mail server
SMTP_PORT      its port (default: 587; 465 if SMTP_SECURITY is tls)
SMTP_SECURITY  starttls (default), tls, or none, which only a server on this machine may have
SMTP_USER, SMTP_PASSWORD    the login, if the server wants one
SMTP_FROM      the sender (default: SMTP_USER, if that is an address)
"""

import base64
import ipaddress
import re
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

from report.production import NotThere

SETTINGS = """\
  SMTP_HOST      the mail server
  SMTP_PORT      its port (default: 587, or 465 if SMTP_SECURITY is tls)
  SMTP_SECURITY  starttls (default), tls, or none, which only a server on this machine may have
  SMTP_USER      the login, if the server wants one
  SMTP_PASSWORD  its password
  SMTP_FROM      the sender (default: SMTP_USER, if that is an address)
"""
SECURITY = ("starttls", "tls", "none")
SECONDS = 30  # for one answer of the server
ADDRESS = r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+"


class MailError(Exception):
    """The mail was not sent; the message says why, and what to do."""


@dataclass(frozen=True)
class MailSettings:
    """How mail is sent. The password is in no representation of it."""

    host: str
    port: int
    security: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)


def is_address(text: str) -> bool:
    """Return whether a text is one plain mail address."""
    return bool(re.fullmatch(ADDRESS, text)) and text.isascii()


def is_this_machine(host: str) -> bool:
    """Return whether a host is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_settings(environment: Mapping[str, str]) -> MailSettings:
    """Return the settings; raises NotThere with the variable that is missing or wrong."""
    host = environment.get("SMTP_HOST", "")
    if not host:
        raise NotThere("To send mail, set SMTP_HOST to the name of your mail server; --help lists all the settings.")
    security = environment.get("SMTP_SECURITY", "starttls").lower()
    if security not in SECURITY:
        raise NotThere(f"SMTP_SECURITY: expected {', '.join(SECURITY[:2])} or none, found {security!r}.")
    if security == "none" and not is_this_machine(host):
        raise NotThere(
            f"SMTP_SECURITY is none, and {host} is another machine: mail and password could be read on the way. "
            "Set it to starttls or tls."
        )
    port = environment.get("SMTP_PORT") or ("465" if security == "tls" else "587")
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise NotThere(f"SMTP_PORT: expected a number from 1 to 65535, found {port!r}.")
    user, password = environment.get("SMTP_USER", ""), environment.get("SMTP_PASSWORD", "")
    if bool(user) != bool(password):
        missing, given = ("SMTP_PASSWORD", "SMTP_USER") if user else ("SMTP_USER", "SMTP_PASSWORD")
        raise NotThere(f"{given} is set and {missing} is not. Set both, or none if the server wants no login.")
    return MailSettings(host, int(port), security, read_sender(environment), user, password)


def read_sender(environment: Mapping[str, str]) -> str:
    """Return the address that mail comes from; raises NotThere."""
    sender = environment.get("SMTP_FROM") or environment.get("SMTP_USER", "")
    if not is_address(sender):
        raise NotThere(f"SMTP_FROM: expected the sender's mail address, found {sender!r}.")
    return sender


def compose(sender: str, to: list[str], subject: str, text: str, files: list[Path], when: datetime) -> EmailMessage:
    """Return the message: plain text, and the files of the report attached."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, ", ".join(to), subject
    message["Date"] = format_datetime(when)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # so that no absence notice answers (RFC 3834)
    message.set_content(text)
    for path in files:
        if path.suffix == ".html":
            message.add_attachment(path.read_text(encoding="utf-8"), subtype="html", filename=path.name)
        else:
            message.add_attachment(path.read_bytes(), "application", path.suffix[1:], filename=path.name)
    return message


def shown(message: EmailMessage) -> str:
    """Return a message as a person reads it: headers, text, and a line for each attachment."""
    lines = [f"{name}: {message[name]}" for name in ("From", "To", "Subject", "Date")]
    lines += ["", message.get_body(("plain",)).get_content().rstrip(), ""]
    for part in message.iter_attachments():
        lines.append(f"[attached: {part.get_filename()}, {len(part.get_payload(decode=True)) / 1000:.0f} kB]")
    return "\n".join(lines)


def send(message: EmailMessage, settings: MailSettings) -> None:
    """Send a message; raises MailError. Names and certificates are checked wherever there is TLS."""
    context = ssl.create_default_context()
    try:
        if settings.security == "tls":
            server = smtplib.SMTP_SSL(settings.host, settings.port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=SECONDS)
        with server:
            if settings.security == "starttls":
                server.starttls(context=context)
            if settings.user:
                server.login(settings.user, settings.password)
            refused = server.send_message(message)
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise MailError(f"{explain(error, settings)} The report itself is written.") from None
    if refused:
        raise MailError(f"{settings.host} took the mail, but not for {', '.join(refused)}. Is the address right?")


def explain(error: Exception, settings: MailSettings) -> str:
    """Return what went wrong in a sentence or two, without the password, even if the server says it."""
    where = f"{settings.host}:{settings.port}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"The mail server {where} does not let {settings.user!r} in. Look at SMTP_USER and SMTP_PASSWORD."
    if isinstance(error, smtplib.SMTPNotSupportedError) and settings.security == "starttls":
        return (
            f"The mail server {where} does not offer STARTTLS, or no login. Set SMTP_SECURITY to tls, or to none "
            "if the server is on this machine."
        )
    if isinstance(error, ssl.SSLError):
        return f"There is no safe connection with the mail server {where}: {plain(error, settings)}."
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"The mail server {where} takes no mail for {', '.join(error.recipients)}. Is the address right?"
    return f"The mail server {where} did not take the mail: {plain(error, settings)}."


def plain(error: Exception, settings: MailSettings) -> str:
    """Return the error's own words in one line, without the password."""
    text = " ".join((str(error) or type(error).__name__).split()).rstrip(".")
    if settings.password:
        coded = base64.b64encode(settings.password.encode()).decode()
        text = text.replace(settings.password, "***").replace(coded, "***")
    return text[:300]
