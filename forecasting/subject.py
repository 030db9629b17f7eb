"""What is forecast: targets and inputs with their titles, units and plausible ranges, of which place.

It comes from the data package beside the CSV (Frictionless Data Package, ``datapackage.json``) and travels with the
hourly table. ``role`` (target, input or time), ``minimum`` and ``maximum`` of a field are read from there.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from forecasting.errors import UserError


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    role: str  # target or input
    title: str
    unit: str
    low: float | None = None  # the plausible range, in the unit
    high: float | None = None


@dataclass(frozen=True)
class Subject:
    """What a table is about."""

    title: str  # of the data, for a reader: says whether they are measured or simulated
    columns: tuple[Column, ...]
    place: str = ""
    time_zone: str = "UTC"  # of the place; the table itself is in UTC

    @property
    def targets(self) -> list[str]:
        """Return the names of the columns that are forecast."""
        return [column.name for column in self.columns if column.role == "target"]

    @property
    def inputs(self) -> list[str]:
        """Return the names of the columns that a forecast is made from."""
        return [column.name for column in self.columns if column.role == "input"]

    def column(self, name: str) -> Column:
        """Return a column by its name; raises KeyError."""
        return {column.name: column for column in self.columns}[name]

    def unit(self, name: str) -> str:
        """Return the unit of a column."""
        return self.column(name).unit

    def label(self, name: str) -> str:
        """Return the title of a column for a reader, such as Solar."""
        return self.column(name).title

    def to_dict(self) -> dict:
        """Return the subject as plain values, for the attributes of a table."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping) -> "Subject":
        """Return the subject that ``to_dict`` has made plain values of; raises UserError if they are not whole."""
        try:
            columns = tuple(Column(**column) for column in content["columns"])
            return cls(content["title"], columns, content["place"], content["time_zone"])
        except (KeyError, TypeError) as error:
            raise UserError(
                f"the table doesn't say what it is about ({error}); make it again with: "
                "mlflow run 3_projects/data --env-manager local"
            ) from None
