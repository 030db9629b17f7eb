"""The tables and sentences of the next days, made of an outlook. Pure functions."""

from datetime import datetime
from functools import partial

import pandas as pd
from dash import html

from dashboard.components import drawings, percent, quantity, table
from dashboard.next_days.feed import State
from dashboard.next_days.figures import lines_around_now
from dashboard.next_days.outlook import TARGETS, Outlook, errors

gw = partial(quantity, unit="GW")
SERIES = {"predicted": "Our prediction", "published": "Published forecast"}

CAPTION = (
    "On the measured hours that are shown and that both forecasts have; bias: forecast minus measured; error of the "
    "shape: mean absolute error after each series is divided by its own mean"
)


def content(state: State, mode: str, now: datetime) -> tuple:
    """Return everything that changes with the outlook: figures with their sentences, errors, and how to read them."""
    seen = state.outlook
    drawn = {
        f"next-days-{target.name}": (lines_around_now(seen, target, mode == "shape"), in_words(seen, target.name))
        for target in TARGETS
    }
    head = ["Forecast", "Hours", "Mean absolute error", "Bias", "Error of the shape"]
    notes = [html.Li(line) for line in caveats(state, now)]
    return drawings(drawn), table(CAPTION, head, error_rows(seen), {1, 2, 3, 4}), notes


def in_words(seen: Outlook, target: str) -> str:
    """Return what a figure shows, for those who don't see it."""
    measured, ahead = seen.measured[target].dropna(), seen.now.floor("h")
    predicted, published = (forecast.loc[ahead:, target].dropna() for forecast in (seen.predicted, seen.published))
    words = ["No hour is measured.", "There is no prediction of ours."]
    if len(measured):
        words[0] = f"{gw(measured.iloc[-1], digits=1)} measured in the hour from {moment(measured.index[-1])}."
    if len(predicted):
        words[1] = (
            f"From now on our prediction is {gw(predicted.mean(), digits=1)} on average and "
            f"{gw(predicted.max(), digits=1)} at most, on {moment(predicted.idxmax())}."
        )
    if len(published):
        words.append(f"The published forecast reaches to {moment(published.index[-1])}.")
    return " ".join(words)


def error_rows(seen: Outlook) -> list[list[str]]:
    """Return the rows of the table of errors: names, hours, MAE and bias in GW, and the error of the shape."""
    return [
        [
            f"{target.label}: {SERIES[series].lower()}",
            str(scores["hours"]),
            gw(scores["mae"]),
            gw(scores["bias"], sign=True),
            percent(scores["shape_mae"]),
        ]
        for target in TARGETS
        for series, scores in errors(seen, target.name).items()
    ]


def caveats(state: State, now: datetime) -> list[str]:
    """Return what has to be known before the prediction is compared with what is measured."""
    said = []
    if state.view:
        production, last = state.view.production, state.view.table.frame.index[-1]
        years = (pd.Timestamp(now) - last).days / 365.25
        title = production.data_title
        said.append(f"The prediction is made by version {production.version} of wind_solar. It learned from: {title}.")
        if years > 1:
            said.append(
                f"Its data end in {last:%B %Y}, {years:.0f} years ago. Many panels and turbines were built "
                "since. The model does not know how many, so its level is that of its own years, or what it takes for "
                "their growth. Part of the errors in GW is this; look at the bias. "
                "“Shape” sets each line in relation to its own mean, and shows what is left."
            )
    said += [
        "It learned from reanalysis weather (for the real data: MERRA-2), and is given the forecast of other weather "
        "models, in the same units: wind at 10 m in m/s, temperature in °C, direct and diffuse radiation on the "
        "horizontal in W/m², as a mean over the country. Their winds may differ even when both are right.",
        "Of the hours that are over, the weather is known better than it was before. The published forecast was made "
        "the day before. So the comparison is not fair: ours would have been worse then.",
    ]
    if state.late:
        said.append(
            "In the data that the model learned from, the weather is an hour late during summer time. It is "
            "given the forecast in the same way."
        )
    return said


def moment(time: pd.Timestamp) -> str:
    """Return an hour as the other pages write it."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
