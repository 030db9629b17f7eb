"""One answer of a service: limited in time and size, and whatever goes wrong becomes one sentence.

Redirects are not followed: an answer from another address is not what was asked for.
"""

import json
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

LARGEST = 4_000_000  # bytes; the largest right answer has some 60,000
LONGEST_WAIT = 86_400.0  # seconds; a service that asks for more is asked again after a day
HEADERS = {"Accept": "application/json", "User-Agent": "wind-solar-workshop-dashboard"}


class Unavailable(Exception):
    """A service gave nothing that can be used; the message is one sentence."""

    def __init__(self, sentence: str, wait: float | None = None):
        """Say why, and how many seconds the service wants to be left alone."""
        super().__init__(sentence)
        self.wait = wait


def seconds_to_wait(header: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as a date (RFC 9110, section 10.2.3)."""
    if not header:
        return None
    try:
        seconds = float(header) if header.strip().isdecimal() else (parsedate_to_datetime(header) - now).total_seconds()
    except (ValueError, TypeError):  # no date, or one without a zone
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def reason(body: bytes) -> str:
    """Return what a service says of an error: Open-Meteo in ``reason``, Energy-Charts in ``detail``; or nothing."""
    try:
        said = json.loads(body)
        text = said.get("reason") or said.get("detail")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return ": " + " ".join(text.split())[:160].rstrip(".") if isinstance(text, str) and text.strip() else ""


def read(response: requests.Response, deadline: float, host: str) -> bytes:
    """Return the body; raises Unavailable if it is too long or comes too slowly."""
    body = bytearray()
    # read1() returns what is there; iter_content() waits for a whole chunk, however long that takes.
    while chunk := response.raw.read1(65_536, decode_content=True):
        body += chunk
        if len(body) > LARGEST:
            raise Unavailable(f"{host} sent more than {LARGEST // 1_000_000} MB, which can't be the answer.")
        if time.monotonic() > deadline:
            raise requests.Timeout
    return bytes(body)


def get(address: str, parameters: dict, timeout: float) -> object:
    """Return the JSON that an address answers with; raises Unavailable. ``timeout`` is in seconds."""
    host = urlsplit(address).hostname
    deadline = time.monotonic() + timeout
    try:
        with requests.get(
            address, parameters, timeout=timeout, headers=HEADERS, stream=True, allow_redirects=False
        ) as response:
            body, status = read(response, deadline, host), response.status_code
            wait = seconds_to_wait(response.headers.get("Retry-After"), datetime.now(UTC))
            target = urlsplit(response.headers.get("Location", "")).hostname
    except (requests.Timeout, ReadTimeoutError):
        raise Unavailable(f"{host} did not answer within {timeout:g} s.") from None
    except requests.ConnectionError:
        raise Unavailable(f"{host} can't be reached.") from None
    except (requests.RequestException, HTTPError, ValueError) as error:
        raise Unavailable(f"The answer of {host} can't be read ({type(error).__name__}).") from None
    if 300 <= status < 400:
        raise Unavailable(f"{host} sends us on to {target or 'another address'}, which is not followed.")
    if status == 429:
        raise Unavailable(f"{host} has had too many requests (HTTP 429){reason(body)}.", wait)
    if status != 200:
        raise Unavailable(f"{host} answered with HTTP {status}{reason(body)}.", wait)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Unavailable(f"{host} sent something that is not JSON.") from None
