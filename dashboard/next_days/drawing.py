"""The figures, tables and sentences of the next days, made of an outlook. Pure functions."""

from datetime import datetime

import pandas as pd

from dashboard.figures.base import COLOURS, HOUR, NAMES, array, dates, gigawatts, layout, start
from dashboard.next_days.feed import State
from dashboard.next_days.outlook import Outlook, errors, shape
from dashboard.parts import gw, percent

SERIES = {"predicted": "Our prediction", "published": "Published forecast"}
# Nobody needs to tell the colours apart: the lines differ in width and dashes too.
LINES = {
    "published": {"color": "@year3", "width": 2, "dash": "dot"},
    "predicted": {"color": "@ink", "width": 1.8, "dash": "5px,2px"},
}


def lines_around_now(seen: Outlook, target: str, relative: bool) -> dict:
    """Return the lines of a target around now, in GW, or ``relative`` to their own means of the measured hours."""
    predicted = seen.predicted[[name for name in seen.predicted if name.startswith(target)]]
    lines = {"measured": seen.measured[target], "published": seen.published[target], "predicted": predicted[target]}
    if relative:
        known = pd.concat([line for line in lines.values() if line.notna().any()] or [lines["measured"]], axis=1)
        known = known.notna().all(axis=1)
        predicted = shape(predicted, predicted[target], known)
        lines = {name: shape(line, line, known) for name, line in lines.items()}
    time = {"x0": start(seen.measured.index[0]), "dx": HOUR, "type": "scatter", "mode": "lines"}
    traces = []
    if {f"{target}_q10", f"{target}_q90"} <= set(predicted):
        edge = time | {"line": {"width": 0}, "hovertemplate": "%{y:.2f}"}
        low, high = (array(predicted[f"{target}_{side}"].to_numpy()) for side in ("q10", "q90"))
        filled = {"fill": "tonexty", "fillcolor": "@band"}
        traces += [
            edge | {"name": "10 %", "y": low, "showlegend": False},
            edge | {"name": "our range (10 to 90 %)", "y": high} | filled,
        ]
    styles = {"measured": {"color": COLOURS[target], "width": 3}} | LINES
    names = {"measured": "measured", "published": "published forecast", "predicted": "our prediction"}
    traces += [
        time | {"name": names[name], "y": array(lines[name].to_numpy()), "line": line, "hovertemplate": "%{y:.2f}"}
        for name, line in styles.items()
    ]
    now = start(seen.now)
    mark = {"type": "line", "yref": "paper", "x0": now, "x1": now, "y0": 0, "y1": 1, "line": {"color": "@axis"}}
    note = {"text": "now", "x": now, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top", "showarrow": False}
    look = layout(
        340,
        hovermode="x unified",
        xaxis=dates(hoverformat="%Y-%m-%d %H:%M UTC", range=[time["x0"], start(seen.measured.index[-1])]),
        yaxis=gigawatts(rangemode="tozero", ticksuffix=" ×" if relative else " GW"),
        shapes=[mark],
        annotations=[note],
    )
    look["legend"]["traceorder"] = "normal"  # a filled range would turn it round
    return {"data": traces, "layout": look}


def in_words(seen: Outlook, target: str) -> str:
    """Return what a figure shows, for those who don't see it."""
    said = []
    measured = seen.measured[target].dropna()
    if len(measured):
        said.append(f"{gw(measured.iloc[-1], 1)} measured in the hour from {moment(measured.index[-1])}.")
    else:
        said.append("No hour is measured.")
    ahead = seen.predicted[target][seen.predicted.index >= seen.now.floor("h")].dropna()
    if len(ahead):
        said.append(
            f"From now on our prediction is {gw(ahead.mean(), 1)} on average and {gw(ahead.max(), 1)} at most, on "
            f"{moment(ahead.idxmax())}."
        )
    else:
        said.append("There is no prediction of ours.")
    published = seen.published[target][seen.published.index >= seen.now.floor("h")].dropna()
    if len(published):
        said.append(f"The published forecast reaches to {moment(published.index[-1])}.")
    return " ".join(said)


def error_rows(seen: Outlook) -> list[list[str]]:
    """Return the rows of the table of errors: names, hours, MAE and bias in GW, and the error of the shape."""
    return [
        [
            f"{NAMES[target]}: {SERIES[series].lower()}",
            str(scores["hours"]),
            gw(scores["mae"]),
            gw(scores["bias"], sign=True),
            percent(scores["shape_mae"]),
        ]
        for target in NAMES
        for series, scores in errors(seen, target).items()
    ]


def caveats(state: State, now: datetime) -> list[str]:
    """Return what has to be known before the prediction is compared with what is measured."""
    said = []
    if state.trained_to is not None:
        years = (pd.Timestamp(now) - state.trained_to).days / 365.25
        said.append(f"The model in production is version {state.version}. It learned from: {state.trained_on}.")
        if years > 1:
            said.append(
                f"Its data end in {state.trained_to:%B %Y}, {years:.0f} years ago. Many panels and turbines were built "
                "since. The model does not know how many, so its level is that of its own years, or what it takes for "
                "their growth. Part of the errors in GW is this; look at the bias. "
                "“Shape” sets each line in relation to its own mean, and shows what is left."
            )
    said += [
        "It learned from reanalysis weather (for the real data: MERRA-2), and is given the forecast of other weather "
        "models, in the same units: wind at 10 m in m/s, temperature in °C, direct and diffuse radiation on the "
        "horizontal in W/m², as a mean over the country. Their winds may differ even when both are right.",
        "Of the hours that are over, the weather is known better than it was before. The published forecast was made "
        "the day before. So this is no fair race: ours would have been worse then.",
    ]
    if state.late:
        said.append(
            "In the data that the model learned from, the weather stands an hour late while summer time lasts. It is "
            "given the forecast in the same way."
        )
    return said


def moment(time: pd.Timestamp) -> str:
    """Return an hour as the other pages write it."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def age(since: datetime, now: datetime) -> str:
    """Return how old an answer is."""
    minutes = int((now - since).total_seconds() // 60)
    if minutes < 1:
        return "less than a minute old"
    count, unit = minutes, "minute"
    if minutes >= 2880:
        count, unit = minutes // 1440, "day"
    elif minutes >= 120:
        count, unit = minutes // 60, "hour"
    return f"{count} {unit}{'s' if count > 1 else ''} old"
