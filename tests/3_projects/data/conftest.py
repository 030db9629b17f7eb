import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def frame() -> pd.DataFrame:
    """Return 120 days of plausible numbers; line n of its CSV is row n - 2, no two hours have the same wind."""
    index = pd.date_range("2013-01-01", periods=120 * 24, freq="h", tz="UTC", name="utc_timestamp")
    hour = np.arange(len(index))
    day = np.clip(np.sin((hour % 24 - 6) * np.pi / 12), 0, None)
    return pd.DataFrame(
        {
            "solar_GW": 18 * day,
            "wind_GW": 8 + 6 * np.sin(hour / 37),
            "windspeed": 4 + 2 * np.sin(hour / 37) + np.sin(hour / 5),
            "temperature": 6 + 8 * np.sin(hour / 700) + 3 * day,
            "rad_horizontal": 100 * day,
            "rad_diffuse": 100 * day,
        },
        index=index,
    ).round(4)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes text, bytes or a frame to one and the same file and returns its path."""

    def to_file(content: str | bytes | pd.DataFrame):
        path = tmp_path / "power.csv"
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(lineterminator="\n")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file
