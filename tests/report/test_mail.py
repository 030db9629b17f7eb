import base64
import email
import email.policy

import pytest

from report import mail
from report.production import NotThere

LOGIN = {"SMTP_USER": "reporter@example.org", "SMTP_PASSWORD": "hush-hush"}


@pytest.fixture
def trusted(certificate, monkeypatch):
    """Let this process trust the certificate of the mail server."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture
def letter(tmp_path, made_at):
    """Return a function that composes a message with a page attached."""
    page = tmp_path / "2016-W20.html"
    page.write_text("<p>Wind 5 °C</p>" + "x" * 3000, encoding="utf-8")
    to = ["ada@example.org", "bob@example.org"]
    return lambda: mail.compose("reporter@example.org", to, "Week 20: watch", "Wind – 5 GW\n", [page], made_at)


def settings(server, **variables) -> mail.MailSettings:
    environment = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_FROM": "reporter@example.org"}
    return mail.read_settings({**environment, **variables})


def test_a_report_arrives_whole_over_tls(post_office, trusted, letter):
    mail.send(letter(), settings(post_office, **LOGIN))
    ((secure, content),) = post_office.letters
    assert secure
    said = "\0reporter@example.org\0hush-hush"
    assert f"AUTH PLAIN {base64.b64encode(said.encode()).decode()}" in post_office.heard
    assert [line for line in post_office.heard if line.startswith("rcpt TO")] == [
        "rcpt TO:<ada@example.org>",
        "rcpt TO:<bob@example.org>",
    ]
    message = email.message_from_bytes(content.replace(b"\r\n..", b"\r\n."), policy=email.policy.default)
    assert (message["From"], message["Subject"]) == ("reporter@example.org", "Week 20: watch")
    assert message["To"] == "ada@example.org, bob@example.org"
    assert message["Date"] == "Mon, 02 Jan 2017 06:00:00 +0000"
    assert message.get_body(("plain",)).get_content().strip() == "Wind – 5 GW"
    (page,) = message.iter_attachments()
    assert (page.get_filename(), page.get_content_type()) == ("2016-W20.html", "text/html")
    assert page.get_content().startswith("<p>Wind 5 °C</p>")


def test_a_server_whose_certificate_nobody_knows_gets_neither_mail_nor_password(post_office, letter):
    with pytest.raises(mail.MailError, match="There is no safe connection with the mail server"):
        mail.send(letter(), settings(post_office, **LOGIN))
    assert post_office.letters == []
    assert not [line for line in post_office.heard if "AUTH" in line]


@pytest.mark.parametrize("post_office", ["plain"], indirect=True)
def test_a_server_without_tls_gets_nothing_unless_it_is_told_so_on_this_machine(post_office, letter):
    with pytest.raises(mail.MailError, match=r"does not offer STARTTLS.* The report itself is written\."):
        mail.send(letter(), settings(post_office, **LOGIN))
    assert post_office.letters == []
    mail.send(letter(), settings(post_office, SMTP_SECURITY="none"))
    assert [secure for secure, _ in post_office.letters] == [False]


@pytest.mark.parametrize("host", ["mail.example.org", "10.0.0.1", "127.0.0.1.example.org", "localhost.example.org"])
def test_no_mail_goes_to_another_machine_without_tls(host):
    with pytest.raises(NotThere, match="is another machine: mail and password could be read on the way"):
        mail.read_settings({"SMTP_HOST": host, "SMTP_SECURITY": "none", "SMTP_FROM": "a@example.org"})


def test_a_refused_login_is_told_without_the_password(post_office, trusted, letter):
    post_office.answers["AUTH"] = "535 no, {line} is wrong, and so is hush-hush"
    with pytest.raises(mail.MailError, match="Look at SMTP_USER and SMTP_PASSWORD") as error:
        mail.send(letter(), settings(post_office, **LOGIN))
    secrets = ["hush-hush", base64.b64encode(b"\0reporter@example.org\0hush-hush").decode()]
    assert not [secret for secret in secrets if secret in str(error.value)]


def test_whatever_the_server_says_back_has_no_password_in_it(post_office, trusted, letter):
    post_office.answers["MAIL"] = "550 go away with your hush-hush"
    with pytest.raises(mail.MailError) as error:
        mail.send(letter(), settings(post_office, **LOGIN))
    assert "go away with your ***" in str(error.value)
    assert "hush-hush" not in repr(settings(post_office, **LOGIN))


def test_an_address_that_the_server_does_not_know_is_named(post_office, trusted, letter):
    post_office.answers["RCPT"] = "550 nobody of that name"
    with pytest.raises(mail.MailError, match=r"takes no mail for ada@example.org, bob@example.org"):
        mail.send(letter(), settings(post_office))


def test_a_server_that_is_away_is_named(free_port, letter):
    port = free_port()
    with pytest.raises(mail.MailError, match=f"The mail server 127.0.0.1:{port} did not take the mail: "):
        mail.send(letter(), mail.MailSettings("127.0.0.1", port, "starttls", "a@example.org"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"SMTP_HOST": ""}, "set SMTP_HOST to the name of your mail server"),
        ({"SMTP_PORT": "0"}, "SMTP_PORT: expected a number from 1 to 65535, found '0'"),
        ({"SMTP_PORT": "smtp"}, "SMTP_PORT: expected a number from 1 to 65535, found 'smtp'"),
        ({"SMTP_SECURITY": "ssl"}, "SMTP_SECURITY: expected starttls, tls or none, found 'ssl'"),
        ({"SMTP_PASSWORD": ""}, "SMTP_USER is set and SMTP_PASSWORD is not"),
        ({"SMTP_USER": ""}, "SMTP_PASSWORD is set and SMTP_USER is not"),
        ({"SMTP_FROM": "The report"}, "SMTP_FROM: expected the sender's mail address, found 'The report'"),
    ],
)
def test_a_setting_that_is_wrong_is_named_without_the_password(changes, sentence):
    environment = {"SMTP_HOST": "mail.example.org", "SMTP_FROM": "a@example.org", **LOGIN, **changes}
    with pytest.raises(NotThere) as error:
        mail.read_settings(environment)
    assert sentence in str(error.value)
    assert "hush-hush" not in str(error.value)


def test_the_defaults_are_the_safe_ones():
    given = {"SMTP_HOST": "mail.example.org", **LOGIN}
    found = mail.read_settings(given)
    assert (found.security, found.port, found.sender) == ("starttls", 587, "reporter@example.org")
    assert mail.read_settings({**given, "SMTP_SECURITY": "tls"}).port == 465
    assert mail.read_settings({"SMTP_HOST": "localhost", "SMTP_FROM": "a@b.de"}).security == "starttls"


@pytest.mark.parametrize(
    "text", ["", "ada", "ada@", "@example.org", "a b@example.org", "a@b@c", "a@b.de\nBcc: x@y.de", "a@b.de,c@d.de"]
)
def test_what_is_no_address_is_not_taken_for_one(text):
    assert not mail.is_address(text)


def test_a_message_is_shown_as_a_person_reads_it(letter):
    assert mail.shown(letter()).splitlines() == [
        "From: reporter@example.org",
        "To: ada@example.org, bob@example.org",
        "Subject: Week 20: watch",
        "Date: Mon, 02 Jan 2017 06:00:00 +0000",
        "",
        "Wind – 5 GW",
        "",
        "[attached: 2016-W20.html, 3 kB]",
    ]
