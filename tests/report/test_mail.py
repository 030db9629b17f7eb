import base64
import email
import email.policy
import re

import pytest

from forecasting.errors import UserError
from report import mail

LOGIN = {"SMTP_USER": "reporter@example.org", "SMTP_PASSWORD": "hush-hush"}
ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.fixture
def trusted(certificate, monkeypatch):
    """Let this process trust the certificate of the mail server."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.fixture
def letter(tmp_path, made_at):
    """Compose a message with a page attached."""
    page = tmp_path / "2016-W20.html"
    page.write_text("<p>Wind 5 °C</p>" + "x" * 3000, encoding="utf-8")
    text = "Wind – 5 GW\n.\n.5 °C\n..\n"
    return mail.compose("reporter@example.org", [ADA, BOB], "Week 20: watch", text, [page], made_at)


def settings(server, **variables) -> mail.MailSettings:
    environment = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_FROM": "reporter@example.org"}
    return mail.read_settings({**environment, **variables})


class Waits(list):
    """The seconds that a sender waits, without the waiting; meanwhile the server's trouble at a step passes."""

    def __init__(self, server=None, step: str = ""):
        self.server, self.step = server, step

    def __call__(self, seconds: float) -> None:
        self.append(seconds)
        if self.server:
            self.server.answers.pop(self.step, None)
            self.server.answers.setdefault("AUTH", "235 welcome")


def failure(letter, chosen, waits=None) -> str:
    """Send a letter that nobody gets, and return the one reason."""
    failed = mail.send(letter, chosen, waits if waits is not None else Waits())
    assert set(failed) == {ADA, BOB}
    (reason,) = set(failed.values())
    return reason


def test_a_report_arrives_whole_over_tls(post_office, trusted, letter):
    assert mail.send(letter, settings(post_office, **LOGIN)) == {}
    ((secure, content),) = post_office.letters
    assert secure
    said = "\0reporter@example.org\0hush-hush"
    assert f"AUTH PLAIN {base64.b64encode(said.encode()).decode()}" in post_office.heard
    asked = [line for line in post_office.heard if line.startswith("rcpt TO")]
    assert asked == [f"rcpt TO:<{ADA}>", f"rcpt TO:<{BOB}>"]
    assert content.isascii()  # not every server accepts more
    assert max(map(len, content.split(b"\r\n"))) <= 998
    message = email.message_from_bytes(content.replace(b"\r\n..", b"\r\n."), policy=email.policy.default)
    assert (message["From"], message["Subject"]) == ("reporter@example.org", "Week 20: watch")
    assert message["To"] == f"{ADA}, {BOB}"
    assert message["Date"] == "Mon, 02 Jan 2017 06:00:00 +0000"
    assert message.get_body(("plain",)).get_content().replace("\r\n", "\n") == "Wind – 5 GW\n.\n.5 °C\n..\n"
    (page,) = message.iter_attachments()
    assert (page.get_filename(), page.get_content_type()) == ("2016-W20.html", "text/html")
    assert page.get_content().startswith("<p>Wind 5 °C</p>")


def test_a_server_whose_certificate_nobody_knows_gets_neither_mail_nor_password(post_office, letter):
    waits = Waits()
    assert "CERTIFICATE_VERIFY_FAILED" in failure(letter, settings(post_office, **LOGIN), waits)
    assert (waits, post_office.letters) == ([], [])
    assert not [line for line in post_office.heard if "AUTH" in line]


@pytest.mark.parametrize("post_office", ["plain"], indirect=True)
def test_a_server_without_tls_gets_nothing_unless_that_is_allowed_on_this_machine(post_office, letter):
    assert "STARTTLS" in failure(letter, settings(post_office, **LOGIN))
    assert post_office.letters == []
    mail.send(letter, settings(post_office, SMTP_SECURITY="none"))
    assert [secure for secure, _ in post_office.letters] == [False]


def test_whatever_the_server_says_back_has_no_password_in_it(post_office, trusted, letter):
    post_office.answers["AUTH"] = "535 no, {line} is wrong, and so is hush-hush"
    reason = failure(letter, settings(post_office, **LOGIN))
    assert reason.endswith("535 no, AUTH PLAIN *** is wrong, and so is ***. Check SMTP_USER and SMTP_PASSWORD.")
    post_office.answers |= {"AUTH": "235 welcome", "MAIL": "550 go away with your hush-hush"}
    reason = failure(letter, settings(post_office, **LOGIN))
    assert reason.endswith(" did not accept the mail: 550 go away with your ***.")
    assert "hush-hush" not in repr(settings(post_office, **LOGIN))


def test_a_server_that_is_away_is_named_after_a_few_attempts(free_port, letter):
    port, waits = free_port(), Waits()
    reason = failure(letter, mail.MailSettings("127.0.0.1", port, "starttls", "a@example.org"), waits)
    assert f"The mail server 127.0.0.1:{port} did not accept the mail: " in reason
    assert waits == list(mail.PAUSES)


STEPS = ["HELLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT"]


@pytest.mark.parametrize("step", STEPS)
def test_what_a_server_says_at_any_step_is_honoured_and_repeated_in_its_words(
    step, post_office, trusted, letter, capsys
):
    post_office.answers[step] = "550 4.7.1 because I say so"
    waits = Waits()
    assert ": 550 4.7.1 because I say so." in failure(letter, settings(post_office, **LOGIN), waits)
    assert (waits, post_office.letters) == ([], [])
    post_office.answers[step] = "450 4.2.0 greylisted"
    waits = Waits(post_office, step)
    assert mail.send(letter, settings(post_office, **LOGIN), waits) == {}
    assert (waits, len(post_office.letters)) == ([60], 1)
    assert "450 4.2.0 greylisted. The next attempt is in 60 s." in capsys.readouterr().out


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_hangs_up_gets_the_mail_again_only_before_it_was_handed_over(step, post_office, trusted, letter):
    post_office.answers[step] = ""
    waits = Waits(post_office, step)
    failed = mail.send(letter, settings(post_office, **LOGIN), waits)
    if step in ("HELLO", "STARTTLS", "AUTH"):
        assert (failed, waits, len(post_office.letters)) == ({}, [60], 1)
    else:
        assert (set(failed), waits) == ({ADA, BOB}, [])
        assert "ask whether it arrived before you send it again" in failed[ADA]


def test_each_recipient_gets_the_mail_once_if_one_is_put_off_or_unknown(post_office, trusted, letter):
    ada, bob = f"rcpt TO:<{ADA}>", f"rcpt TO:<{BOB}>"
    post_office.answers[ada] = ["450 greylisted", "450 greylisted", "550 5.1.1 nobody of that name"]
    waits = Waits()
    ((address, reason),) = mail.send(letter, settings(post_office), waits).items()
    assert address == ADA
    assert reason.endswith(" did not accept the mail: 550 5.1.1 nobody of that name.")
    assert waits == [60, 300]
    assert [line for line in post_office.heard if line.startswith("rcpt")] == [ada, bob, ada, ada]
    assert mail.send(letter, settings(post_office)) == {}
    identities = {re.search(rb"(?m)^Message-ID: (.*)$", content)[1] for _, content in post_office.letters}
    assert (len(post_office.letters), len(identities)) == (2, 1)


@pytest.mark.parametrize("answer", ["", "500 what?", "421 busy"])
def test_an_accepted_mail_stays_accepted_whatever_the_server_says_at_the_end(answer, post_office, trusted, letter):
    post_office.answers["QUIT"] = answer
    waits = Waits()
    assert mail.send(letter, settings(post_office), waits) == {}
    assert (len(post_office.letters), waits) == (1, [])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"SMTP_HOST": ""}, "set SMTP_HOST to the name of your mail server"),
        ({"SMTP_PORT": "0"}, "SMTP_PORT: expected a number from 1 to 65535, found '0'"),
        ({"SMTP_PORT": "smtp"}, "SMTP_PORT: expected a number from 1 to 65535, found 'smtp'"),
        ({"SMTP_SECURITY": "ssl"}, "SMTP_SECURITY: expected starttls, tls or none, found 'ssl'"),
        *(
            ({"SMTP_SECURITY": "none", "SMTP_HOST": host}, f"is none, and {host} is another machine: mail and password")
            for host in ("mail.example.org", "10.0.0.1", "127.0.0.1.example.org", "localhost.example.org")
        ),
        ({"SMTP_PASSWORD": ""}, "SMTP_USER is set and SMTP_PASSWORD is not"),
        ({"SMTP_USER": ""}, "SMTP_PASSWORD is set and SMTP_USER is not"),
        ({"SMTP_PASSWORD": "hush-hush ü"}, "SMTP_USER and SMTP_PASSWORD: expected ASCII characters only"),
        ({"SMTP_FROM": "The report"}, "SMTP_FROM: expected the sender's mail address, found 'The report'"),
    ],
)
def test_a_wrong_setting_is_named_without_the_password(changes, sentence):
    environment = {"SMTP_HOST": "mail.example.org", "SMTP_FROM": "a@example.org", **LOGIN, **changes}
    with pytest.raises(UserError) as error:
        mail.read_settings(environment)
    assert sentence in str(error.value)
    assert "hush-hush" not in str(error.value)


def test_the_defaults_are_the_safe_ones_and_a_line_end_of_windows_is_left_out():
    given = {"SMTP_HOST": "mail.example.org", **LOGIN}
    chosen = mail.read_settings(given)
    assert (chosen.security, chosen.port, chosen.sender) == ("starttls", 587, "reporter@example.org")
    assert mail.read_settings({name: f"{value}\r" for name, value in given.items()}) == chosen
    assert mail.read_settings({**given, "SMTP_SECURITY": "tls"}).port == 465
    assert mail.read_settings({"SMTP_HOST": "localhost", "SMTP_FROM": "a@b.de"}).security == "starttls"


@pytest.mark.parametrize(
    "text", ["", "ada", "ada@", "@example.org", "a b@example.org", "a@b@c", "a@b.de\nBcc: x@y.de", "a@b.de,c@d.de"]
)
def test_what_is_not_an_address_is_not_taken_for_one(text):
    assert not mail.is_address(text)
