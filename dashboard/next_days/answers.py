"""An answer of a service: limited in time and size, and of the documented shape; what goes wrong is one sentence."""

import json
import time
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import pandas as pd
from pydantic import Field, TypeAdapter, ValidationError

LARGEST = 4_000_000  # bytes; the largest right answer has some 60,000
LONGEST_WAIT = 86_400.0  # seconds; a service that asks for more is asked again after a day
HEADERS = {"Accept": "application/json", "User-Agent": "wind-solar-workshop-dashboard"}

Times = Annotated[list[Annotated[int, Field(strict=True, gt=0, lt=4_102_444_800)]], Field(min_length=1)]  # before 2100
Values = list[Annotated[float, Field(strict=True)] | None]


class Unavailable(Exception):
    """A service gave nothing that can be used; the message is one sentence."""

    def __init__(self, sentence: str, wait: float = 0.0):
        """Say why, and how many seconds the service wants to be left alone."""
        super().__init__(sentence)
        self.wait = wait


def get(address: str, parameters: dict[str, str], timeout: float) -> object:
    """Return the JSON that an address answers with; raises Unavailable. ``timeout`` is in seconds.

    Redirects are not followed: an answer from another address is not what was asked for.
    """
    host, deadline, body = urlsplit(address).hostname, time.monotonic() + timeout, bytearray()
    try:
        with httpx.stream("GET", address, params=parameters, headers=HEADERS, timeout=timeout) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST:
                    raise Unavailable(f"{host} sent more than {LARGEST // 1_000_000} MB, which can't be the answer.")
                if time.monotonic() > deadline:  # httpx limits each read, not the sum
                    raise httpx.ReadTimeout("too slow")
    except httpx.TimeoutException:
        raise Unavailable(f"{host} did not answer within {timeout:g} s.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"{host} can't be reached ({type(error).__name__}).") from None
    if response.status_code != 200:
        wait = response.headers.get("Retry-After", "")
        seconds = min(float(wait), LONGEST_WAIT) if wait.isdecimal() else 0.0
        raise Unavailable(f"{host} answered with HTTP {response.status_code}{reason(body)}.", seconds)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Unavailable(f"{host} sent something that is not JSON.") from None


def reason(body: bytes | bytearray) -> str:
    """Return what a service says of an error: Open-Meteo in ``reason``, Energy-Charts in ``detail``; or nothing."""
    try:
        said = json.loads(body)
        text = said.get("reason") or said.get("detail")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return ": " + " ".join(text.split())[:160].rstrip(".") if isinstance(text, str) and text.strip() else ""


def checked(shape: Any, content: object, who: str) -> Any:
    """Return the content as the pydantic type that it should have; raises Unavailable, which names who gave it."""
    try:
        return TypeAdapter(shape).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ", ".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        value = first["input"]  # all that is around it, if a part is missing
        found = "" if isinstance(value, dict | list) else f", found {repr(value)[:40]}"
        raise Unavailable(f"{who}{f', {where}' if where else ''}: {first['msg']}{found}.") from None


def series(times: list[int], values: list[float | None], low: float, high: float, where: str) -> pd.Series:
    """Return values by their time (UTC), sorted; NaN for what is null or not from low to high. Raises Unavailable."""
    if len(values) != len(times):
        raise Unavailable(f"{where}: expected {len(times)} values, as many as there are times, found {len(values)}.")
    numbers = pd.Series(values, pd.to_datetime(times, unit="s", utc=True), dtype=float)
    numbers = numbers.where(numbers.between(low, high))
    return numbers[~numbers.index.duplicated(keep="last")].sort_index()
