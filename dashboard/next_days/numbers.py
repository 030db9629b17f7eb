"""Numbers from outside: lists of JSON become arrays, and what is no number or out of range becomes a missing one."""

import math

import numpy as np
import pandas as pd

from dashboard.next_days.fetch import Unavailable

LAST = 4_102_444_800  # seconds; the year 2100


def hours_of(seconds: object, where: str) -> pd.DatetimeIndex:
    """Return UTC times of a list of Unix seconds; raises Unavailable."""
    if not isinstance(seconds, list) or not seconds:
        raise Unavailable(f"{where}: expected a list of times, found {kind(seconds)}.")
    if not all(type(second) is int and 0 < second < LAST for second in seconds):
        raise Unavailable(f"{where}: expected Unix seconds, found something else.")
    return pd.to_datetime(seconds, unit="s", utc=True)


def values_of(values: object, length: int, low: float, high: float, where: str) -> np.ndarray:
    """Return as many float64 as there are times, NaN for what is null or not from low to high; raises Unavailable."""
    if not isinstance(values, list):
        raise Unavailable(f"{where}: expected a list of numbers, found {kind(values)}.")
    if len(values) != length:
        raise Unavailable(f"{where}: expected {length} values, as many as there are times, found {len(values)}.")
    return np.array([number(value, low, high) for value in values])


def number(value: object, low: float, high: float) -> float:
    """Return the value as a float if it is a number from low to high, else NaN."""
    return float(value) if type(value) in (int, float) and low <= value <= high else math.nan


def kind(value: object) -> str:
    """Return what a JSON value is, in words."""
    if value == []:
        return "an empty one"
    return {list: "a list", dict: "an object", str: "text", type(None): "nothing"}.get(type(value), "a number")
