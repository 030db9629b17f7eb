import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dashboard.next_days.answers import LARGEST, Unavailable, get


def refused(address: str, timeout: float = 5) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        get(address, {}, timeout)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    return caught.value


def test_an_answer_is_the_json_that_was_sent(services):
    services.say("/here", body={"a": [1, None]})
    assert get(services.url + "/here", {"latitude": "48,54"}, 5) == {"a": [1, None]}
    assert services.asked == [("/here", {"latitude": "48,54"})]


@pytest.mark.parametrize(
    ("header", "expected"), [("90", 90), ("99999999999", 86400), ("Wed, 10 Jun 2026 09:45:00 GMT", 0), ("-5", 0)]
)
def test_too_many_requests_tell_how_long_to_wait_and_what_the_service_said(services, header, expected):
    said = {"error": True, "reason": "Minutely API request limit exceeded. Please try again in one minute."}
    services.say("/here", 429, said, Retry_After=header)
    error = refused(services.url + "/here")
    assert "HTTP 429: Minutely API request limit exceeded" in str(error)
    assert error.wait == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (500, "<h1>Internal Server Error</h1>", "answered with HTTP 500."),
        (404, {"detail": "no content available"}, "answered with HTTP 404: no content available."),
        (400, {"error": True, "reason": "Cannot\ninitialize"}, "answered with HTTP 400: Cannot initialize."),
        (302, "elsewhere", "answered with HTTP 302."),
        (400, {"reason": ["no", "text"]}, "answered with HTTP 400."),
        (200, "<!doctype html><title>Sign in to the Wi-Fi</title>", "is not JSON."),
        (200, "[" + LARGEST * " ", "sent more than 4 MB"),
    ],
)
def test_what_cannot_be_used_becomes_one_sentence_and_a_redirect_is_not_followed(services, status, body, expected):
    services.say("/here", status, body, Location=services.url + "/there")
    services.say("/there")
    assert expected in str(refused(services.url + "/here"))
    assert services.asked == [("/here", {})]


@pytest.fixture
def bad_service(monkeypatch):
    """Return the port of a service that sends a byte now and then, or only a part of its answer at ``/cut``."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    leave = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client has had enough
                self.wfile.write(b"[1")
                while not self.path.startswith("/cut") and not leave.wait(0.02):
                    self.wfile.write(b" ")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        leave.set()
        server.shutdown()
        thread.join()


def test_a_service_that_is_slow_away_or_hangs_up_is_given_up_in_time_and_named_without_a_password(
    bad_service, free_port
):
    for port, path, timeout, expected in (
        (bad_service, "/slow", 0.5, "127.0.0.1 did not answer within 0.5 s."),
        (bad_service, "/cut", 5, "127.0.0.1 can't be reached (RemoteProtocolError)."),
        (free_port(), "/", 5, "127.0.0.1 can't be reached (ConnectError)."),
    ):
        began = time.monotonic()
        assert str(refused(f"http://user:secret@127.0.0.1:{port}{path}", timeout)) == expected
        assert time.monotonic() - began < 4
