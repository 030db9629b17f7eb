from types import SimpleNamespace

import numpy as np
import pandas as pd

from dashboard.comparison import of_series


def test_hours_without_a_range_do_not_flatter_it():
    part = SimpleNamespace(
        start=pd.Timestamp("2016-06-01", tz="UTC"),
        recorded={"solar_GW": np.array([0.0, 0.0, 2.0, 9.0, np.nan])},
        predicted={"solar_GW": np.array([0.0, 0.0, 2.5, 5.0, 5.0])},
        band={"solar_GW": (np.array([0.0, 0.0, 1.0, 4.0, 4.0]), np.array([0.0, 0.0, 3.0, 6.0, 6.0]))},
    )
    assert "Of 100 hours that have a range, 50 lie in it; 80 are expected." in of_series(part, "solar_GW")
