"""Simulate the sample that ships with the workshop: germany.csv and its description datapackage.json.

    python 1_starting_point/simulate.py [--output DIR] [--seed N]

Hourly wind and solar power in Germany with the weather, 2013 to 2016, UTC. No value is a measurement: sun, clouds, wind
and the fleets are a few lines of physics each, brought to the published means of the real series.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 12
YEARS = [2013, 2014, 2015, 2016]
# Calibrated on these published figures: means of the real series by month (January to December, all four years) and by
# year, from Open Power System Data (see SOURCES). The units are those of SCHEMA.
MONTHS = {
    "solar_GW": [0.77, 1.81, 3.65, 5.22, 5.63, 6.41, 6.52, 5.84, 4.38, 2.51, 1.36, 0.94],
    "wind_GW": [10.04, 8.96, 7.61, 6.16, 6.04, 4.63, 4.90, 4.80, 5.42, 6.33, 9.35, 12.42],
    "windspeed": [5.03, 4.81, 4.38, 3.91, 3.96, 3.57, 3.54, 3.46, 3.63, 3.69, 4.39, 4.98],
    "temperature": [0.6, 1.0, 3.6, 8.6, 12.5, 16.4, 19.6, 18.3, 14.9, 9.7, 5.1, 2.8],
    "rad_horizontal": [9.2, 28.5, 69.1, 108.7, 125.6, 153.6, 168.5, 132.0, 94.1, 41.0, 13.5, 8.6],
    "rad_diffuse": [27.4, 44.7, 64.8, 88.5, 111.0, 113.7, 100.7, 90.6, 71.4, 52.9, 33.1, 22.8],
}
YEAR_MEANS = {
    "solar_GW": [3.39, 3.74, 3.98, 3.93],
    "wind_GW": [5.40, 5.85, 8.84, 8.77],
    "windspeed": [4.10, 4.03, 4.32, 3.99],
    "temperature": [8.47, 10.28, 9.78, 9.35],
    "rad_horizontal": [75.6, 80.0, 85.5, 77.3],
    "rad_diffuse": [69.6, 69.0, 66.6, 68.8],
}
# Installed power in GW at New Year 2013 to 2017, and wind at the hub by year: turbines grow taller, their rotors wider.
CAPACITY = {"solar_GW": [33.0, 36.0, 38.0, 39.5, 41.0], "wind_GW": [31.0, 34.0, 38.5, 44.5, 50.0]}
HUB_WIND = [1.0, 1.02, 1.10, 1.13]
# How sunny a month is (log odds): with it, clear sky and clouds come near the published radiation.
SUNNY = [0.0, 0.5, 0.7, 0.65, 0.55, 0.65, 0.9, 0.75, 0.9, 0.5, 0.1, 0.1]
# What the columns are called, their units, roles and plausible ranges: the schema of the table that is made of them.
SCHEMA = json.loads((Path(__file__).parents[1] / "3_projects" / "data" / "schema.json").read_text(encoding="utf-8"))


def smooth_noise(rng, hours, memory, smoothing):
    """Return a Gaussian process of mean 0, deviation 1: it forgets over `memory` and bends over `smoothing` hours.

    White noise through two first-order low passes (Ornstein and Uhlenbeck, 1930, applied twice), in frequency space.
    """
    turns = 2 * np.pi * np.fft.rfftfreq(hours)
    gain = 1 / np.sqrt((1 + (turns * memory) ** 2) * (1 + (turns * smoothing) ** 2))
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(hours)) * gain, hours)
    return (noise - noise.mean()) / noise.std()


def sun_height(times, longitude, latitude):
    """Return the sine of the sun's elevation at UTC times; degrees east and north.

    Declination and equation of time: Spencer (1971). Elevation: Duffie and Beckman, Solar Engineering, chapter 1.6.
    """
    hour = (times.hour + times.minute / 60).to_numpy()
    g = 2 * np.pi * (times.day_of_year.to_numpy() - 1 + (hour - 12) / 24) / 365.25
    declination = 0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g)
    minutes = 229.18 * (0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g))
    minutes -= 229.18 * 0.040849 * np.sin(2 * g)
    angle = np.radians(15 * (hour - 12) + longitude + minutes / 4)
    phi = np.radians(latitude)
    return np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)


def sky(index):
    """Return means over each hour and the country: clear sky, outside the atmosphere (W/m2), gain of tilted panels.

    Clear sky: Haurwitz (1945). Solar constant: Kopp and Lean (2011). Panels tilted 30 degrees to the south see the sun
    as level ones do 30 degrees nearer to the equator (Duffie and Beckman, chapter 1.6).
    """
    places = [(7.5, 52.0), (10.0, 49.0), (10.0, 53.0), (12.5, 51.0)]  # the country around its centre, 51 N 10 E
    moments = [(pd.Timedelta(minutes=m), *place) for m in (10, 30, 50) for place in places]
    level = np.array([sun_height(index + m, east, north) for m, east, north in moments])
    tilted = np.array([sun_height(index + m, east, north - 30) for m, east, north in moments])
    up = level > 0
    clear = np.where(up, 1098 * level * np.exp(-0.057 / np.where(up, level, 1)), 0).mean(axis=0)
    level, tilted = np.where(up, level, 0).mean(axis=0), np.where(up & (tilted > 0), tilted, 0).mean(axis=0)
    gain = np.clip(tilted / np.maximum(level, 1e-3), 0.3, 3)  # bounded: the horizon is never free at sunrise
    return clear, 1361 * level, gain


def diffuse_share(clearness):
    """Return the diffuse share by the ratio to radiation outside the atmosphere: Erbs, Klein and Duffie (1982)."""
    k = np.clip(clearness, 0, 1)
    middle = 0.9511 - 0.1604 * k + 4.388 * k**2 - 16.638 * k**3 + 12.336 * k**4
    return np.select([k <= 0.22, k <= 0.8], [1 - 0.09 * k, middle], 0.165)


def fleet_share(hub_wind):
    """Return the share of installed wind power that runs at a country's mean hub wind (m/s).

    One turbine: cubic from 2.5 to 12 m/s, then level. The fleet: its mean over sites whose winds spread log-normally,
    after the smoothed curves of Holttinen and Norgaard (2004).
    """
    spread = np.linspace(-2, 2, 9)
    site = hub_wind * np.exp(0.4 * spread)[:, None]
    return np.average(np.clip((site**3 - 2.5**3) / (12**3 - 2.5**3), 0, 1), axis=0, weights=np.exp(-(spread**2) / 2))


def smooth(index, values):
    """Return twelve values of mid-months, or four of mid-years, as a curve by the hour without steps."""
    if len(values) == 12:
        return np.interp(index.day_of_year, 30.4 * (np.arange(14) - 0.5), [values[-1], *values, values[0]])
    return np.interp(index.year + index.day_of_year / 366, np.array(YEARS) + 0.5, values)


def installed(index, name):
    """Return the installed power of `solar_GW` or `wind_GW` in GW, growing steadily within a year."""
    return np.interp(index.year + (index.day_of_year - 1) / 366, [*YEARS, 2017], CAPACITY[name])


def calibrate(values, index, name):
    """Return the values with the published means by month and year: times a smooth factor (temperature: plus)."""
    series = pd.Series(values, index)
    for _ in range(30):  # months and years disturb each other; 30 rounds leave less than 1 %
        for group, target in ((index.month, MONTHS[name]), (index.year, YEAR_MEANS[name])):
            means = series.groupby(group).mean().to_numpy()
            if name == "temperature":
                series += smooth(index, target - means)
            else:  # a factor keeps nights dark and values from falling below zero
                series *= smooth(index, target / means)
    return series.to_numpy()


def weather(rng, index):
    """Return the four weather columns by hour (UTC), the mean hub wind in m/s and the gain of tilted panels."""
    n, day = len(index), index.day_of_year.to_numpy()
    lows = 0.93 * smooth_noise(rng, n, 33, 3) + 0.37 * smooth_noise(rng, n, 120, 3)  # passing lows, lasting spells
    cloud = 0.8 * smooth_noise(rng, n, 30, 2) + 0.5 * smooth_noise(rng, n, 5, 2) + 0.33 * lows
    sunny = 1 / (1 + np.exp(0.92 * cloud - smooth(index, SUNNY)))
    clear, outside, gain = sky(index)
    total = clear * (0.15 + 0.88 * sunny)
    share = diffuse_share(1.14 * total / np.maximum(outside, 1))  # 1.14: a country's mean is less diffuse than a site's
    direct = calibrate(total * (1 - share), index, "rad_horizontal")
    diffuse = calibrate(total * share, index, "rad_diffuse")
    heat = np.convolve(direct + diffuse, np.exp(-np.arange(24) / 3) / 3)[:n]  # the ground gives it back over hours
    masses = (3.1 + 0.5 * np.cos(2 * np.pi * day / 365)) * smooth_noise(rng, n, 120, 6)  # air masses, degrees
    temperature = calibrate(0.0175 * heat + masses, index, "temperature")

    level = smooth(index, MONTHS["windspeed"]) * np.exp((0.34 + 0.05 * np.cos(2 * np.pi * day / 365)) * lows)
    # By day the sun stirs the air and brings wind down to 10 m; at the hub it blows on at night (a low-level jet).
    stirred = np.exp(0.42 * outside / 1361 * (0.6 + 0.8 * sunny) + 0.08 * smooth_noise(rng, n, 4, 2))
    windspeed = calibrate(level * stirred, index, "windspeed")
    jet = 0.045 * np.clip(0.4 - np.cos(2 * np.pi * day / 365), 0, 1) * np.cos(np.pi * (index.hour.to_numpy() - 0.5) / 6)
    hub_wind = 1.6 * windspeed / stirred * np.exp(jet) * smooth(index, HUB_WIND)
    columns = {"windspeed": windspeed, "temperature": temperature, "rad_horizontal": direct, "rad_diffuse": diffuse}
    return pd.DataFrame(columns, index), hub_wind, gain


def simulate(seed=SEED):
    """Return the sample, columns as in SCHEMA, indexed by the start of the hour (UTC)."""
    rng = np.random.default_rng(seed)
    index = pd.date_range("2013-01-01", "2016-12-31 23:00", freq="h", tz="UTC", name="utc_timestamp")
    n = len(index)
    frame, hub_wind, gain = weather(rng, index)
    local = np.exp(0.08 * smooth_noise(rng, n, 6, 2) + 0.07 * smooth_noise(rng, n, 30, 2))  # 10 m wind does not tell
    wind = installed(index, "wind_GW") * fleet_share(hub_wind * local)
    light = gain * frame.rad_horizontal + 0.93 * frame.rad_diffuse  # 0.93: Liu and Jordan (1960) at 30 degrees
    # What radiation does not tell (fog, snow, where the clouds are) weighs most under a covered sky.
    doubt = 0.34 - 0.27 * frame.rad_horizontal / (frame.rad_horizontal + frame.rad_diffuse).clip(lower=1)
    doubt *= 0.55 * smooth_noise(rng, n, 4, 2) + 0.6 * smooth_noise(rng, n, 30, 2)
    heated = 1 - 0.004 * (frame.temperature + light / 40 - 25)  # silicon loses 0.4 % per degree above 25 (IEC 61215)
    solar = installed(index, "solar_GW") * light / 1000 * heated * np.exp(doubt)
    # The real weather columns are an hour late during summer time. The sample keeps that: without it, radiation
    # alone would tell solar power nearly as well as radiation and the hour do, and models would rank differently.
    late = index.tz_convert("Europe/Berlin").tz_localize(None) - index.tz_localize(None) > pd.Timedelta(hours=1)
    frame[late] = frame.shift(1)[late]
    frame["solar_GW"], frame["wind_GW"] = calibrate(solar, index, "solar_GW"), calibrate(wind, index, "wind_GW")
    return frame[[field["name"] for field in SCHEMA["fields"][1:]]].round(3) + 0.0  # plus zero turns -0.0 into 0.0


def describe(seed):
    """Return the Frictionless Data Package descriptor of the sample."""
    title = "Simulated sample: Germany, hourly, 2013 to 2016 (not measurements)"
    story = (
        f"Simulated by simulate.py with seed {seed}; no value is a measurement. Calibrated on means by month and year, "
        "extremes, correlations and autocorrelations of the real series of Open Power System Data (the sources). "
        "As in the real series, the weather columns stand an hour late while summer time lasts."
    )
    resource = {"name": "germany", "path": "germany.csv", "title": title, "description": story}
    resource["schema"] = {"fields": SCHEMA["fields"], "primaryKey": "utc_timestamp"}
    dois = ["10.25832/time_series/2019-06-05", "10.25832/weather_data/2019-04-09"]
    sources = [{"title": "Open Power System Data, for calibration", "path": f"https://doi.org/{doi}"} for doi in dois]
    about = {"name": "germany-simulated", "title": title, "place": SCHEMA["place"], "time_zone": SCHEMA["time_zone"]}
    return about | {"sources": sources, "resources": [resource]}


def main():
    """Read the command line, simulate, write both files."""
    parser = argparse.ArgumentParser(description="Simulate germany.csv and describe it in datapackage.json.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="DIR", help="%(default)s")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="from 0 up; what ships has %(default)s")
    options = parser.parse_args()
    if options.seed < 0:
        parser.error(f"--seed expects a whole number from 0 up, found {options.seed}")
    texts = {
        "germany.csv": simulate(options.seed).to_csv(lineterminator="\n"),
        "datapackage.json": json.dumps(describe(options.seed), indent=2) + "\n",
    }
    try:
        for name, text in texts.items():  # written beside and renamed: nobody reads half a file
            part = options.output / f"{name}.part"
            part.write_text(text, encoding="utf-8", newline="\n")
            part.replace(options.output / name)
    except OSError as error:
        sys.exit(f"--output {options.output} cannot be written ({error.strerror}): name another folder.")


if __name__ == "__main__":
    main()
