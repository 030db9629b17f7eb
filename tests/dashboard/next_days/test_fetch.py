import gzip
from datetime import UTC, datetime

import pytest

from dashboard.next_days.fetch import LARGEST, Unavailable, get, seconds_to_wait

NOW = datetime(2026, 6, 10, 9, 40, tzinfo=UTC)


def refused(services, timeout: float = 5) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        get(services.url + "/here", {}, timeout)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return caught.value


def test_an_answer_is_the_json_that_was_sent(services):
    services.say("/here", body={"a": [1, None]})
    assert get(services.url + "/here", {"latitude": "48,54"}, 5) == {"a": [1, None]}
    assert services.asked == [("/here", {"latitude": "48,54"})]


def test_too_many_requests_tell_how_long_to_wait_and_what_the_service_said(services):
    said = {"error": True, "reason": "Minutely API request limit exceeded. Please try again in one minute."}
    services.say("/here", 429, said, Retry_After="90")
    error = refused(services)
    assert "HTTP 429" in str(error)
    assert "Minutely API request limit exceeded" in str(error)
    assert error.wait == 90


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, "<h1>Internal Server Error</h1>", "answered with HTTP 500."),
        (503, {"detail": "try later"}, "answered with HTTP 503: try later."),
        (404, {"detail": "no content available"}, "answered with HTTP 404: no content available."),
        (400, {"error": True, "reason": "Cannot\ninitialize"}, "answered with HTTP 400: Cannot initialize."),
        (400, {"reason": ["no", "text"]}, "answered with HTTP 400."),
        (400, ["no", "object"], "answered with HTTP 400."),
        (200, "<!doctype html><title>Sign in to the Wi-Fi</title>", "is not JSON."),
        (200, '{"hourly": {"time": [1,', "is not JSON."),
        (200, "[" * 100_000, "is not JSON."),
        (200, "", "is not JSON."),
    ],
)
def test_what_is_no_answer_becomes_one_sentence(services, status, body, expected):
    services.say("/here", status, body)
    assert expected in str(refused(services))


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/there", "https://example.org/", "file:///etc/passwd"])
def test_a_redirect_is_not_followed(services, target):
    services.say("/there", body={})
    services.say("/here", 302, Location=target.format(port=services.server.server_port))
    assert "not followed" in str(refused(services))
    assert services.count("/there") == 0


def test_a_huge_answer_is_given_up(services):
    services.say("/here", body="[" + "1," * LARGEST + "1]")
    assert "more than 4 MB" in str(refused(services))


def test_a_compressed_answer_is_unpacked_and_given_up_if_that_makes_it_huge(services):
    services.say("/here", body=gzip.compress(b"[1, 2]"), Content_Encoding="gzip")
    assert get(services.url + "/here", {}, 5) == [1, 2]
    services.say("/here", body=gzip.compress(b" " * (LARGEST + 1)), Content_Encoding="gzip")
    assert "more than 4 MB" in str(refused(services))
    services.say("/here", body=b"no gzip at all", Content_Encoding="gzip")
    assert "can't be read" in str(refused(services))


def test_an_answer_that_trickles_in_ends_at_the_time_out(services):
    services.say("/here", body="[", Length="5000")
    assert "did not answer within 0.3 s" in str(refused(services, 0.3))


def test_an_answer_that_is_cut_off_is_not_used(services):
    services.say("/here", body="[1, 2", Length="500", Cut="yes")
    refused(services)


def test_nobody_there_is_said_so(services, free_port):
    services.url = f"http://127.0.0.1:{free_port()}"
    assert "127.0.0.1 can't be reached." in str(refused(services))


def test_a_password_in_an_address_is_not_shown(services, free_port):
    services.url = f"http://user:secret@127.0.0.1:{free_port()}"
    assert "secret" not in str(refused(services))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("120", 120),
        ("Wed, 10 Jun 2026 09:45:00 GMT", 300),
        ("Wed, 10 Jun 2020 09:45:00 GMT", 0),
        ("99999999999", 86400),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header, expected):
    assert seconds_to_wait(header, NOW) == expected
