"""Simulate the sample that ships with the workshop: germany.csv, hourly wind and solar power and the weather.

    python 1_starting_point/simulate.py [--output DIR] [--seed N]
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

START, END = "2013-01-01 00:00", "2016-12-31 23:00"
YEARS = [2013, 2014, 2015, 2016]
SEED = 1

# Published means of 2013-2016, January to December and by year (Open Power System Data, see datapackage.json).
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
HUB = [1.0, 1.02, 1.10, 1.13]
# Installed power at each New Year from 2013 to 2017, GW (rounded from the Time series package's capacities).
CAPACITY = {"solar_GW": [33.0, 36.0, 38.0, 39.5, 41.0], "wind_GW": [31.0, 34.0, 38.5, 44.5, 50.0]}


def smooth_noise(rng, hours, memory, smoothing=2.0):
    """Return a Gaussian process, mean 0 and deviation 1, that forgets over ``memory`` and has no steps (both hours).

    White noise through two first-order low passes (Ornstein and Uhlenbeck, 1930, applied twice) in frequency space.
    """
    turns = 2 * np.pi * np.fft.rfftfreq(hours)
    gain = 1 / np.sqrt((1 + (turns * memory) ** 2) * (1 + (turns * smoothing) ** 2))
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(hours)) * gain, hours)
    return (noise - noise.mean()) / noise.std()


def sun(index, longitude, latitude):
    """Return sine of the sun's elevation and its cosine of incidence on a panel tilted 30 degrees to the south.

    Declination and equation of time after Spencer (1971), the angles after Duffie and Beckman, chapter 1.6.
    """
    hour = (index.hour + index.minute / 60).to_numpy()
    g = 2 * np.pi * (index.day_of_year.to_numpy() - 1 + (hour - 12) / 24) / 365.25
    declination = 0.006918 - 0.399912 * np.cos(g) + 0.070257 * np.sin(g) - 0.006758 * np.cos(2 * g)
    equation = 229.18 * (0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g))
    equation -= 229.18 * 0.040849 * np.sin(2 * g)  # minutes
    angle = np.radians(15 * (hour - 12) + longitude + equation / 4)

    def height(lat):
        lat = np.radians(lat)
        return np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(angle)

    # a panel tilted to the south stands as a level one would, 30 degrees nearer to the equator
    return height(latitude), height(latitude - 30)


def sky(index):
    """Return means over each labelled hour and the country: clear-sky, extraterrestrial and tilted-to-level ratio.

    Clear sky after Haurwitz (1945), W/m2; outside the atmosphere 1361 W/m2 (Kopp and Lean, 2011) times sine of elevation.
    """
    places = [(7.5, 52.0), (10.0, 49.0), (10.0, 53.0), (12.5, 51.0)]
    clear, outside, tilted = (np.zeros(len(index)) for _ in range(3))
    for minutes in (10, 30, 50):
        for longitude, latitude in places:
            height, incidence = sun(index + pd.Timedelta(minutes=minutes), longitude, latitude)
            height = np.clip(height, 1e-9, None)
            clear += 1098 * height * np.exp(-0.057 / height) / 12
            outside += 1361 * np.where(height > 1e-8, height, 0) / 12
            tilted += 1361 * np.where(height > 1e-8, np.clip(incidence, 0, None), 0) / 12
    ratio = np.divide(tilted, outside, out=np.ones(len(index)), where=outside > 1)
    return clear, outside, np.clip(ratio, 0.3, 3)


def diffuse_fraction(clearness):
    """Return the diffuse part of the radiation by clearness index (Erbs, Klein and Duffie, 1982)."""
    k = np.clip(clearness, 0, 1)
    middle = 0.9511 - 0.1604 * k + 4.388 * k**2 - 16.638 * k**3 + 12.336 * k**4
    return np.select([k <= 0.22, k <= 0.8], [1 - 0.09 * k, middle], 0.165)


def by_month(index, values):
    """Return twelve values of mid-months as a curve over the year without steps."""
    return np.interp(index.day_of_year, 30.4 * (np.arange(14) - 0.5), [values[-1], *values, values[0]])


def by_year(index, values):
    """Return one value per mid-year as a curve without steps, level before the first and after the last."""
    return np.interp(index.year + index.day_of_year / 366, np.array(YEARS) + 0.5, values)


def installed(index, name):
    """Return the installed power of ``solar_GW`` or ``wind_GW`` in GW, growing linindex within a year."""
    return np.interp(index.year + (index.day_of_year - 1) / 366, [*YEARS, 2017], CAPACITY[name])


def calibrate(values, index, name):
    """Bring monthly (and, for power, yindex) means to the published ones with smooth factors, for temperature offsets."""
    series = pd.Series(values, index)
    for _ in range(30):
        for curve, group, target in ((by_month, index.month, MONTHS), (by_year, index.year, YEAR_MEANS)):
            means = series.groupby(group).mean().to_numpy()
            if name == "temperature":
                series += curve(index, target[name] - means)
            else:
                series *= curve(index, target[name] / means)
    return series.to_numpy()


def weather(rng, index):
    """Return the weather of the country by hour, UTC, and what drives the power: hub wind (m/s) and tilt ratio."""
    n = len(index)
    wind = 0.93 * smooth_noise(rng, n, 33, 3) + 0.37 * smooth_noise(rng, n, 120, 3)
    cloud = 0.8 * smooth_noise(rng, n, 30) + 0.5 * smooth_noise(rng, n, 5) + 0.33 * wind
    clear, outside, ratio = sky(index)
    summer = by_month(index, [0.0, 0.5, 0.7, 0.65, 0.55, 0.65, 0.9, 0.75, 0.9, 0.5, 0.1, 0.1])
    sunny = 1 / (1 + np.exp(0.92 * cloud - summer))
    total = clear * (0.15 + 0.88 * sunny)
    part = diffuse_fraction(1.14 * np.divide(total, outside, out=np.zeros(n), where=outside > 1))
    diffuse, direct = calibrate(total * part, index, "rad_diffuse"), calibrate(total * (1 - part), index, "rad_horizontal")

    heat = np.convolve(direct + diffuse, np.exp(-np.arange(24) / 3) / 3)[:n]
    season = 3.1 + 0.5 * np.cos(2 * np.pi * index.day_of_year / 365)
    temperature = 0.0175 * heat + season.to_numpy() * smooth_noise(rng, n, 120, 6)
    temperature = calibrate(temperature, index, "temperature")

    level = by_month(index, MONTHS["windspeed"]) * np.exp((0.34 + 0.05 * np.cos(2 * np.pi * index.day_of_year.to_numpy() / 365)) * wind)
    mixing = 0.42 * outside / 1361 * (0.6 + 0.8 * sunny)
    near_ground = np.exp(mixing + 0.08 * smooth_noise(rng, n, 4))
    ten = calibrate(level * near_ground, index, "windspeed")
    frame = pd.DataFrame(
        {"windspeed": ten, "temperature": temperature, "rad_horizontal": direct, "rad_diffuse": diffuse}, index
    )
    hour = index.hour.to_numpy()
    jet = 0.06 * by_month(index, [-0.2, 0.2, 0.7, 1, 1, 1, 1, 1, 0.8, 0.5, 0.2, -0.2]) * np.cos(np.pi * (hour - 0.5) / 6)
    return frame, 1.6 * ten / near_ground * np.exp(jet) * by_year(index, HUB), ratio


def fleet_power(hub):
    """Return the share of installed wind power that runs at a country's mean hub wind (m/s).

    One turbine: cubic from 2.5 to 12 m/s, level above; the fleet: its mean over sites whose winds differ by a factor
    of about 1.4 (the smoothing of Holttinen and Norgaard, 2004).
    """
    sites = np.exp(0.36 * np.linspace(-2, 2, 9))
    weight = np.exp(-np.linspace(-2, 2, 9) ** 2 / 2)
    share = [np.clip(((hub * s) ** 3 - 2.5**3) / (12**3 - 2.5**3), 0, 1) for s in sites]
    return np.average(share, axis=0, weights=weight)


def simulate(seed=SEED):
    """Return the sample: indexed by the hour (UTC, start of the hour), columns as in the README's table."""
    rng = np.random.default_rng(seed)
    index = pd.date_range(START, END, freq="h", tz="UTC", name="utc_timestamp")
    frame, hub, ratio = weather(rng, index)
    n = len(index)
    gust = 0.08 * smooth_noise(rng, n, 6) + 0.07 * smooth_noise(rng, n, 30)
    wind = installed(index, "wind_GW") * fleet_power(hub * np.exp(gust))
    light = frame.rad_horizontal * ratio + 0.93 * frame.rad_diffuse
    blur = 0.34 - 0.27 * frame.rad_horizontal / (frame.rad_horizontal + frame.rad_diffuse).clip(1)
    haze = blur * (0.55 * smooth_noise(rng, n, 4) + 0.6 * smooth_noise(rng, n, 30))
    solar = installed(index, "solar_GW") * light / 1000 * (1 - 0.004 * (frame.temperature + light / 40 - 25)) * np.exp(haze)
    frame["solar_GW"], frame["wind_GW"] = calibrate(solar, index, "solar_GW"), calibrate(wind, index, "wind_GW")
    # published weather stands an hour late in summer time
    late = index.tz_convert("Europe/Berlin").tz_localize(None) - index.tz_localize(None) == pd.Timedelta(hours=2)
    shifted = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"]
    for c in shifted:
        frame[c] = np.where(late, frame[c].shift(1), frame[c])
    return frame[["solar_GW", "wind_GW", *shifted]]


if __name__ == "__main__":
    simulate(int(sys.argv[2])).round(3).to_csv(sys.argv[1])
