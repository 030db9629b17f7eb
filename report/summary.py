"""The week in words. Every sentence is made from week_statistics.py, and is left out where it would say nothing."""

import pandas as pd

from report import drift, verdict
from report.week import HOURS
from report.week_statistics import YEAR, TargetStatistics, WeekStatistics

ORDINALS = {1: "", 2: "second ", 3: "third "}
LARGER = {"kW": "MW", "MW": "GW", "GW": "TW"}


def quantity(value: float, unit: str) -> str:
    """Return a value with its unit; ``unknown`` for NaN."""
    return f"{value:.2f} {unit}" if pd.notna(value) else "unknown"


def energy(total: float, unit: str) -> str:
    """Return the energy of an hourly power summed over hours, such as 1.20 TWh."""
    return f"{total / 1000:.2f} {LARGER[unit]}h" if total >= 1000 and unit in LARGER else f"{total:.0f} {unit}h"


def hour(at: pd.Timestamp) -> str:
    """Return a day and an hour of the week."""
    return f"{at:%A %H:%M} UTC"


def listed(parts: list) -> str:
    """Return parts separated by commas, with ``and`` before the last one."""
    *first, last = map(str, parts)
    return f"{', '.join(first)} and {last}" if first else last


def compared(value: float, other: float) -> str:
    """Compare two values in words that agree with them as they are printed."""
    value, other = round(value, 2), round(other, 2)
    if value > 1.5 * other:
        return "far more than"
    if value > 1.1 * other:
        return "more than"
    if value >= 0.9 * other:
        return "about as much as"
    return "less than" if value >= 0.5 * other else "far less than"


def completeness(week: WeekStatistics) -> str:
    """Say how much of the week is recorded."""
    if week.recorded == HOURS:
        return f"All {HOURS} hours of the week were recorded."
    parts = []
    if outside := HOURS - week.hours:
        parts.append(f"{outside} are outside the data")
    if filled := week.hours - week.recorded:
        parts.append(f"{filled} {'was' if filled == 1 else 'were'} filled in from the neighbouring hours")
    return f"Of the {HOURS} hours of the week, {week.recorded} were recorded ({listed(parts)}); only these count."


def actuals(one: TargetStatistics, week: WeekStatistics) -> str:
    """Describe what was recorded of a target."""
    if week.recorded == 0:
        return f"{one.title}: nothing was recorded."
    hours = "" if week.recorded == HOURS else f" in the {week.recorded} hours that were recorded"
    total = f"{energy(one.total, one.unit)}{hours}, " if one.unit.endswith("W") else ""
    text = [f"{one.title}: {total}{quantity(one.mean, one.unit)} on average{'' if total else hours}."]
    if one.earlier_years:
        comparison, usual = compared(one.mean, one.earlier_mean), quantity(one.earlier_mean, one.unit)
        text.append(f"That is {comparison} around this week in {listed(one.earlier_years)} ({usual}).")
    if one.ranked >= YEAR:
        for rank, which in ((one.rank, "highest"), (one.rank_from_below, "lowest")):
            if rank in ORDINALS:
                text.append(f"It is the {ORDINALS[rank]}{which} mean of the {one.ranked} full weeks so far.")
    record = ", the highest since the data begin" if one.record_hour else ""
    text.append(f"The highest hour was {hour(one.highest.at)} with {quantity(one.highest.value, one.unit)}{record}.")
    if one.lowest:
        text.append(f"The lowest was {hour(one.lowest.at)} with {quantity(one.lowest.value, one.unit)}.")
    return " ".join(text)


def model_errors(week: WeekStatistics) -> str:
    """Say how far off the model was, and whether it was better than the baselines."""
    if week.recorded == 0:
        return "The errors of the model are unknown because nothing was recorded."
    parts = []
    for one in week.targets:
        side = "too much" if one.bias > 0 else "too little"
        bias = f"{quantity(abs(one.bias), one.unit)} {side}" if abs(one.bias) >= 0.005 else "right"
        parts.append(f"{quantity(one.mae, one.unit)} for {one.title.lower()} ({bias} in the mean)")
    text = f"With the recorded weather, the model was off by {listed(parts)}, hour by hour on average."
    if not_beaten := [f"{name} for {one.title.lower()}" for one in week.targets for name in one.not_beaten]:
        text += f" It was not better than {listed(not_beaten)}."
    else:
        text += f" It was better than the naive forecasts, for {listed([one.title.lower() for one in week.targets])}."
    if week.seen:
        text += (
            f" The model has learnt from {week.seen} hours of this week, so this says nothing about weeks that are new "
            "to it."
        )
    return text


def judged(one: TargetStatistics) -> str:
    """Compare the error of a target with the usual one, and name what else speaks against the model."""
    judgement = one.judgement
    if judgement.level == verdict.UNJUDGED:
        return f"{one.title} is not judged: {judgement.why}."
    before = f", and in the week before it was {one.judgement_before.ratio:.2f} times" if one.again else ""
    text = [
        f"{one.title}: {one.level}. The error is {judgement.ratio:.2f} times what is usual for such hours "
        f"({quantity(judgement.usual, one.unit)}){before}. Up to {judgement.watch:.2f} times is as expected; beyond "
        f"{judgement.act:.2f}, or beyond {judgement.watch:.2f} for the second week in a row, is a reason to act."
    ]
    if one.not_beaten:
        text.append(f"The model was not better than {listed(one.not_beaten)} for {one.title.lower()}.")
    if one.narrow:
        share = f"{100 * one.inside:.0f} % of the hours of {one.title.lower()}"
        text.append(f"Only {share} were inside the range, which should contain 80 %.")
    return " ".join(text)


def advice(week: WeekStatistics) -> str:
    """Give the reasons for the verdict, and say what to do."""
    text = [judged(one) for one in week.targets if one.level == week.verdict != verdict.AS_EXPECTED]
    if week.verdict == verdict.WATCH and week.drift.state == drift.NEW:
        text.append("An input is new to the model.")
    return " ".join([*text, verdict.ADVICE[week.verdict]]).strip()


def model_inputs(week: WeekStatistics) -> str:
    """Compare the week's inputs with those of the training, and say what follows."""
    one, season = week.drift, " at this time of the year" if week.drift.seasonal else ""
    if not one.columns:
        return "The model has no training hours to compare the inputs of this week with."
    if one.state == drift.USUAL:
        return f"The inputs of the model were as usual{season} in its training."
    parts = [
        f"{column.title.lower()} ({f'{column.mean:.1f} {column.unit}'.strip()} on average"
        + (f", {column.beyond} hours beyond the training" if column.beyond > drift.BEYOND else "")
        + ")"
        for column in one.shown
        if column.state == one.state
    ]
    if one.state == drift.UNUSUAL:
        return f"Unusual input{season}: {listed(parts)}. The model knows few such weeks, so expect larger errors."
    return (
        f"New input{season}: {listed(parts)}. The model has {'otherwise ' if week.seen else ''}not learnt from such "
        "weeks. Check that the source still provides the same stations and units."
    )


def next_week(week: WeekStatistics) -> str:
    """Describe what is predicted for the next week."""
    if not week.next_hours:
        return "The data contain no weather for that week yet, so there is nothing to predict from."
    hours = "" if week.next_hours == HOURS else f" (the data contain the weather of {week.next_hours} of its hours)"
    parts = []
    for one in week.targets:
        beside = f", {compared(one.next_mean, one.mean)} this week" if week.recorded else ""
        parts.append(
            f"{quantity(one.next_mean, one.unit)} of {one.title.lower()} on average{beside}, with its highest hour on "
            f"{hour(one.next_highest.at)} ({quantity(one.next_highest.value, one.unit)})"
        )
    return f"For week {week.next_name}{hours} the model predicts, from the recorded weather, {'; and '.join(parts)}."


def headline(week: WeekStatistics) -> str:
    """Return the week and the verdict in one line."""
    return f"{week.title}, week {week.name}: {week.verdict}"


def paragraphs(week: WeekStatistics) -> list[str]:
    """Return the summary, a string for each paragraph."""
    targets = [actuals(one, week) for one in week.targets]
    return [*targets, completeness(week), model_errors(week), model_inputs(week), next_week(week)]


def letter(week: WeekStatistics, data_title: str, model: str) -> str:
    """Return the week as a plain-text letter."""
    lead = f"The model this week: {week.verdict}. {advice(week)}"
    origin = f"Data: {data_title}. Model: {model}. The figures are in the attached page."
    return "\n\n".join([lead, *paragraphs(week), *map(judged, week.targets), origin]) + "\n"
