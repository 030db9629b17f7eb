"""The hours of a view as arrays, whole days from the first to the last, and what a page says of some of them."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from dashboard.live import View
from dashboard.measures import NAIVE, climatology, means, measure, persistence
from report.production import TARGETS

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Hours:
    """Hours in a row, in GW by target; NaN where there is no number."""

    start: pd.Timestamp  # midnight, UTC
    recorded: Arrays  # without the hours that were repaired
    predicted: Arrays
    band: dict[str, tuple[np.ndarray, np.ndarray]]  # 10 % and 90 % quantile, where the model gives them
    naive: dict[str, Arrays]  # by name, then by target
    trained: np.ndarray  # whether the model has learnt from that hour

    def __len__(self) -> int:
        """Return how many hours there are."""
        return len(self.trained)

    @property
    def days(self) -> tuple[date, date]:
        """Return the first and the last day."""
        return self.start.date(), self.start.date() + timedelta(days=len(self) // 24 - 1)

    def between(self, first: date, last: date) -> "Hours":
        """Return the hours of some days, both included."""
        start = self.start.date()
        part = slice((first - start).days * 24, ((last - start).days + 1) * 24)
        return Hours(
            pd.Timestamp(first, tz="UTC"),
            {target: values[part] for target, values in self.recorded.items()},
            {target: values[part] for target, values in self.predicted.items()},
            {target: (low[part], high[part]) for target, (low, high) in self.band.items()},
            {name: {target: values[part] for target, values in of.items()} for name, of in self.naive.items()},
            self.trained[part],
        )

    def measures(self, target: str) -> dict[str, float]:
        """Return what measures.measure says of the hours."""
        naive = {name: self.naive[name][target] for name in NAIVE}
        return measure(self.recorded[target], self.predicted[target], naive)

    def daily_mae(self, target: str) -> np.ndarray:
        """Return the mean absolute error of each day in GW."""
        return means(np.abs(self.predicted[target] - self.recorded[target]), 24)


def hours_of(view: View) -> Hours:
    """Return all hours of a view."""
    table, predicted = view.table, view.predicted
    index = pd.date_range(table.index[0].floor("D"), table.index[-1].ceil("D"), freq="h", inclusive="left")
    if table.index[-1].hour == 0:  # ceil leaves a midnight alone, whose day has begun all the same
        index = pd.date_range(index[0], table.index[-1] + pd.Timedelta(days=1), freq="h", inclusive="left")
    by_name = {"climatology": climatology(table, TARGETS), "persistence": persistence(table, TARGETS)}

    def arrays(frame: pd.DataFrame) -> Arrays:
        whole = frame.reindex(index)
        return {target: whole[target].to_numpy(float) for target in TARGETS}

    band = {}
    for target in TARGETS:
        edges = [f"{target}_q10", f"{target}_q90"]
        if set(edges) <= set(predicted.columns):
            low, high = (predicted[edge].reindex(index).to_numpy(float) for edge in edges)
            band[target] = (low, high)
    return Hours(
        index[0],
        arrays(table[TARGETS].where(~table["repaired"], axis=0)),
        arrays(predicted),
        band,
        {name: arrays(by_name[name]) for name in NAIVE},
        (table["split"] == "train").reindex(index, fill_value=False).to_numpy(),
    )
