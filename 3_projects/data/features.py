"""The features of the hourly table: what weather and calendar say about the power of an hour.

Pure functions of a frame with an hourly UTC index without gaps. Nothing here looks at the power itself.
"""

import numpy as np
import pandas as pd

# The middle of Germany, in degrees north and east.
LATITUDE, LONGITUDE = 51.0, 10.0


def solar_elevation(index: pd.DatetimeIndex) -> np.ndarray:
    """Return the sun's elevation in degrees, in the middle of each hour and of Germany.

    ``index`` is in UTC and names the start of each hour. Declination and equation of time: J. W. Spencer, "Fourier
    series representation of the position of the sun", Search 2 (1971), in the form of NOAA's "General Solar Position
    Calculations".
    """
    hour = index.hour.to_numpy() + 0.5
    day_angle = 2 * np.pi / 365.25 * (index.day_of_year.to_numpy() - 1 + (hour - 12) / 24)
    equation_of_time = 229.18 * (
        0.000075
        + 0.001868 * np.cos(day_angle)
        - 0.032077 * np.sin(day_angle)
        - 0.014615 * np.cos(2 * day_angle)
        - 0.040849 * np.sin(2 * day_angle)
    )  # minutes
    declination = (
        0.006918
        - 0.399912 * np.cos(day_angle)
        + 0.070257 * np.sin(day_angle)
        - 0.006758 * np.cos(2 * day_angle)
        + 0.000907 * np.sin(2 * day_angle)
        - 0.002697 * np.cos(3 * day_angle)
        + 0.00148 * np.sin(3 * day_angle)
    )  # radians
    hour_angle = np.radians((60 * hour + equation_of_time + 4 * LONGITUDE) / 4 - 180)
    latitude = np.radians(LATITUDE)
    sine = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour_angle)
    return np.degrees(np.arcsin(sine))


def clear_sky_radiation(elevation: np.ndarray) -> np.ndarray:
    """Return the radiation on the horizontal under a cloudless sky in W/m2, from the sun's elevation in degrees.

    B. Haurwitz, "Insolation in relation to cloudiness and cloud density", Journal of Meteorology 2 (1945): 1098 W/m2
    times the cosine of the zenith angle times exp(-0.057 / that cosine).
    """
    cosine = np.maximum(np.sin(np.radians(elevation)), 1e-6)
    return np.where(elevation > 0, 1098 * cosine * np.exp(-0.057 / cosine), 0.0)


def add_features(weather: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the derived columns added, all of them float64 and without a missing value.

    - ``hour`` (0 to 23, UTC) and ``day_of_year`` (1 to 366)
    - ``utc_offset``: the offset of Germany's clocks from UTC in hours, 1 or 2. The weather columns of the real data
      are an hour late during summer time; with this and the next columns a model can correct that.
    - ``rad_horizontal_lag_1``, ``_lead_1``, ``rad_diffuse_lag_1``, ``_lead_1``: the radiation of the hour before and
      after (W/m2)
    - ``solar_elevation`` (degrees) and ``rad_clear_sky`` (W/m2)
    - ``windspeed_lag_1`` ... ``_3`` and ``windspeed_lead_1`` ... ``_3``: the wind of the hours before and after, and
      ``windspeed_mean_7h`` and ``_25h``: centred means (all m/s). The country's turbines depend on the weather of the
      hours around, not on one value at 10 m; a weather forecast knows the hours after as well as the hours before.
      At the ends of the table the nearest hour is used, here and for the radiation.
    - ``trend`` (years since the start of 2013 in UTC): a proxy for the capacity that is built year by year
    """
    index = weather.index
    elevation = solar_elevation(index)
    wind = weather["windspeed"]
    columns = {
        "hour": index.hour.to_numpy(dtype=float),
        "day_of_year": index.day_of_year.to_numpy(dtype=float),
        "solar_elevation": elevation,
        "rad_clear_sky": clear_sky_radiation(elevation),
    }
    local = index.tz_convert("Europe/Berlin").tz_localize(None)
    columns["utc_offset"] = ((local - index.tz_convert(None)) / pd.Timedelta(hours=1)).to_numpy()
    around = [("rad_horizontal", 1), ("rad_diffuse", 1), *(("windspeed", hours) for hours in (1, 2, 3))]
    for name, hours in around:
        columns[f"{name}_lag_{hours}"] = weather[name].shift(hours, fill_value=weather[name].iloc[0])
        columns[f"{name}_lead_{hours}"] = weather[name].shift(-hours, fill_value=weather[name].iloc[-1])
    for hours in (7, 25):
        # A rolling mean carries rounding errors along, so that an hour's bytes would depend on where the series begins.
        shifted = [wind.shift(hour) for hour in range(-(hours // 2), hours // 2 + 1)]
        known = sum(one.notna() for one in shifted)
        columns[f"windspeed_mean_{hours}h"] = sum(one.fillna(0) for one in shifted) / known
    columns["trend"] = ((index - pd.Timestamp("2013-01-01", tz="UTC")) / pd.Timedelta(days=365.25)).to_numpy()
    return weather.assign(**columns)
