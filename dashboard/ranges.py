"""The range of days that a page shows: it stands in the page's address, so that a link shows the same to anybody."""

from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import parse_qs, urlencode

QUICK = {"Week": 7, "Month": 30, "Year": 365}  # days
DEFAULT_DAYS = 14


class BadRange(ValueError):
    """A range that can't be shown; the message is for a reader of the page."""


@dataclass(frozen=True)
class Range:
    """Whole days in UTC, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Return how many days there are."""
        return (self.last - self.first).days + 1

    @property
    def query(self) -> str:
        """Return what stands in the address."""
        return "?" + urlencode({"from": self.first, "to": self.last})


def read_range(query: str | None, limits: tuple[date, date]) -> Range:
    """Return the range that an address names, or the last days of the data if it names none; raises BadRange."""
    asked = parse_qs((query or "").removeprefix("?"))
    first, last = limits
    if "from" not in asked and "to" not in asked:
        return Range(max(first, last - timedelta(days=DEFAULT_DAYS - 1)), last)
    found = {}
    for name, instead in (("from", first), ("to", last)):
        text = asked.get(name, [str(instead)])[-1]
        try:
            if len(text) != 10:
                raise ValueError
            found[name] = date.fromisoformat(text)
        except ValueError:
            raise BadRange(
                f"Expected a day such as {last} after {name}= in the address, found {text[:40]!r}."
            ) from None
    if found["from"] > found["to"]:
        raise BadRange(f"The range begins on {found['from']}, after its end on {found['to']}.")
    if found["to"] < first or found["from"] > last:
        raise BadRange(
            f"The data hold no day from {found['from']} to {found['to']}; they reach from {first} to {last}."
        )
    return Range(max(found["from"], first), min(found["to"], last))
