"""The range of days that the page shows: it is part of the page's address, so a link shows the same to everybody."""

from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import parse_qs, urlencode

from forecasting.errors import UserError

QUICK = {"Week": 7, "Month": 30, "Year": 365}  # days
DEFAULT_DAYS = 14


@dataclass(frozen=True)
class Range:
    """Whole days in UTC, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.last - self.first).days + 1

    @property
    def hours(self) -> slice:
        """The rows of a frame with a UTC index."""
        return slice(str(self.first), str(self.last))  # a day as text is all of its hours

    @property
    def query(self) -> str:
        """The range as part of an address."""
        return "?" + urlencode({"from": self.first, "to": self.last})


def read_range(query: str | None, limits: tuple[date, date]) -> Range:
    """Return the range that an address names, or the last days of the data if it names none; raises UserError."""
    asked = parse_qs((query or "").removeprefix("?"))
    first, last = limits
    if "from" not in asked and "to" not in asked:
        return Range(max(first, last - timedelta(days=DEFAULT_DAYS - 1)), last)
    ends = {}
    for name, instead in (("from", first), ("to", last)):
        text = asked.get(name, [str(instead)])[-1]
        try:
            ends[name] = date.fromisoformat(text)
            if str(ends[name]) != text:  # 20150201 and 2015-W05-7 are ISO days too
                raise ValueError
        except ValueError:
            raise UserError(
                f"Expected a day such as {last} after {name}= in the address, found {text[:40]!r}."
            ) from None
    if ends["from"] > ends["to"]:
        raise UserError(f"The range begins on {ends['from']}, after its end on {ends['to']}.")
    if ends["to"] < first or ends["from"] > last:
        raise UserError(f"The data have no day from {ends['from']} to {ends['to']}; they reach from {first} to {last}.")
    return Range(max(ends["from"], first), min(ends["to"], last))
