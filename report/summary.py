"""The week in words. Every sentence is made from the numbers in facts.py, and is left out where they say nothing."""

import pandas as pd

from report import drift, verdict
from report.facts import CALM, YEAR, Facts, Power
from report.week import HOURS

ORDINALS = {1: "", 2: "second ", 3: "third "}
MUCH_CALM = 24  # hours below CALM that are worth a word


def gw(value: float) -> str:
    """Return a power as people read it; ``unknown`` for NaN."""
    return f"{value:.2f} GW" if pd.notna(value) else "unknown"


def energy(gwh: float) -> str:
    """Return an energy in GWh or TWh."""
    return f"{gwh / 1000:.2f} TWh" if gwh >= 1000 else f"{gwh:.0f} GWh"


def hour(at: pd.Timestamp) -> str:
    """Return a day and an hour of the week."""
    return f"{at:%A %H:%M} UTC"


def listed(parts: list) -> str:
    """Return parts with commas between, and ``and`` before the last one."""
    *first, last = map(str, parts)
    return f"{', '.join(first)} and {last}" if first else last


def compared(value: float, other: float) -> str:
    """Return how a value is beside another one; the words are for what can be read off the two as they are printed."""
    value, other = round(value, 2), round(other, 2)
    if value > 1.5 * other:
        return "far more than"
    if value > 1.1 * other:
        return "more than"
    if value >= 0.9 * other:
        return "about as much as"
    return "less than" if value >= 0.5 * other else "far less than"


def data(facts: Facts) -> str:
    """Say how much of the week is recorded."""
    if facts.recorded == HOURS:
        return f"All {HOURS} hours of the week were recorded."
    parts = []
    if outside := HOURS - facts.hours:
        parts.append(f"{outside} are outside of the data")
    if filled := facts.hours - facts.recorded:
        parts.append(f"{filled} {'was' if filled == 1 else 'were'} filled in from the hours around")
    return f"Of the {HOURS} hours of the week, {facts.recorded} were recorded ({listed(parts)}); only these count."


def power(one: Power, facts: Facts) -> str:
    """Say what one kind of power did."""
    if facts.recorded == 0:
        return f"{one.name}: nothing was recorded."
    hours = "" if facts.recorded == HOURS else f" in the {facts.recorded} hours that were recorded"
    text = [f"{one.name} gave {energy(one.energy)}{hours}, {gw(one.mean)} on average."]
    if one.former_years:
        comparison = compared(one.mean, one.former)
        text.append(f"That is {comparison} around this week in {listed(one.former_years)} ({gw(one.former)}).")
    if one.ranked >= YEAR:
        for rank, which in ((one.rank, "highest"), (one.rank_from_below, "lowest")):
            if rank in ORDINALS:
                text.append(f"It is the {ORDINALS[rank]}{which} mean of the {one.ranked} full weeks so far.")
    record = ", the highest since the data begin" if one.record_hour else ""
    text.append(f"The highest hour was {hour(one.highest.at)} with {gw(one.highest.value)}{record}.")
    if one.target == "wind_GW":
        text.append(f"The lowest was {hour(one.lowest.at)} with {gw(one.lowest.value)}.")
        if one.calm >= MUCH_CALM:
            text.append(f"In {one.calm} hours the wind gave less than {CALM:.0f} GW.")
    return " ".join(text)


def beaten(facts: Facts) -> str:
    """Say against which naive forecasts the model was better."""
    pairs = [(f"{name} for {one.name.lower()}", better) for one in facts.powers for name, better in one.beaten.items()]
    lost = [pair for pair, better in pairs if not better]
    if not lost:
        return "It was better than both naive forecasts, for solar and for wind."
    return f"It was not better than {listed(lost)}."


def model(facts: Facts) -> str:
    """Say how far off the model was."""
    if facts.recorded == 0:
        return "How far off the model was can't be known, as nothing was recorded."
    parts = []
    for one in facts.powers:
        side = "too much" if one.bias > 0 else "too little"
        mean = f"{abs(one.bias):.2f} GW {side} in the mean" if abs(one.bias) >= 0.005 else "right in the mean"
        parts.append(f"{gw(one.mae)} for {one.name.lower()} ({mean})")
    text = f"The model was off by {listed(parts)}, hour by hour on average. {beaten(facts)}"
    if facts.seen:
        text += (
            f" {facts.seen} hours of this week are of the time that the model was trained on, so it is judged too "
            "kindly here."
        )
    return text


def judged(facts: Facts) -> list[str]:
    """Say for each target how the error is beside the usual one."""
    text = []
    for one in facts.powers:
        judgement = one.judgement
        if judgement.level == verdict.UNJUDGED:
            text.append(f"{one.name} is not judged: {judgement.why}.")
        else:
            text.append(
                f"{one.name}: {judgement.level}. The error is {judgement.ratio:.2f} times what is usual for such hours "
                f"({gw(judgement.usual)}). Up to {judgement.watch:.2f} times is as expected, beyond "
                f"{judgement.act:.2f} times is a reason to act."
            )
    return text


def inputs(facts: Facts) -> str:
    """Say how the week's inputs were, what it means and what to do."""
    found, which = facts.drift, " at this time of the year" if facts.drift.seasonal else ""
    if not found.columns:
        return "There is no training to compare the inputs of this week with."
    if found.state == drift.USUAL:
        return f"The inputs of the model were as usual{which} in its training."
    parts = [
        f"{column.label} ({column.mean:.1f}{' ' if column.unit else ''}{column.unit} on average"
        + (f", {column.beyond} hours beyond the training" if column.beyond > drift.BEYOND else "")
        + ")"
        for column in found.shown
        if column.state == found.state
    ]
    if found.state == drift.UNUSUAL:
        rest = "The model has learnt from few such weeks, so larger errors are to be expected. There is nothing to do."
        return f"Unusual input{which}: {listed(parts)}. {rest}"
    return (
        f"Input that is new{which}: {listed(parts)}. The model has not learnt from such weeks. See whether the source "
        "still gives the same stations and units; if it does, train again with newer data."
    )


def following(facts: Facts) -> str:
    """Say what is predicted for the next week."""
    if not facts.following:
        return "The data hold no weather for that week yet, so there is nothing to predict from."
    hours = "" if facts.following == HOURS else f" (of which the data hold the weather of {facts.following} hours)"
    parts = []
    for one in facts.powers:
        beside = f", {compared(one.next_mean, one.mean)} this week" if facts.recorded else ""
        parts.append(
            f"{gw(one.next_mean)} of {one.name.lower()} on average{beside}, with its highest hour on "
            f"{hour(one.next_highest.at)} ({gw(one.next_highest.value)})"
        )
    return f"For week {facts.next_name}{hours} the model predicts {'; and '.join(parts)}."


def subject(facts: Facts) -> str:
    """Return the week and the verdict in one line."""
    return f"Wind and solar power in Germany, week {facts.name}: {facts.verdict}"


def paragraphs(facts: Facts) -> list[str]:
    """Return the summary, a string for each paragraph."""
    powers = [power(one, facts) for one in facts.powers]
    return [*powers, data(facts), model(facts), inputs(facts), following(facts)]


def letter(facts: Facts, source: str, model_name: str) -> str:
    """Return the week as a letter of plain text."""
    lead = f"The model this week: {facts.verdict}. {verdict.ADVICE[facts.verdict]}"
    origin = f"Data: {source}. Model: {model_name}. The figures are in the attached page."
    return "\n\n".join([lead, *paragraphs(facts), *judged(facts), origin]) + "\n"
