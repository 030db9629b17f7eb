"""No page contradicts itself: every week of the sample, with a model that has good weeks and bad ones of each kind."""

import html
import re

import pandas as pd
import pytest
from ingest import make_table as frame_of_csv

from report import summary
from report.render import Renderer
from report.report_inputs import prepare
from report.week import complete_weeks, first_hour, hours_of, name_of
from report.week_statistics import week_statistics

WRONG = ["2016-W10", "2016-W11", "2016-W12", "2016-W40"]  # the error for wind is many times the usual one
BEATEN = "2016-W20"  # a naive forecast is as good
NARROW = "2016-W06"  # the range holds few hours
STRANGE = "2016-W30"  # the wind speed in another unit


class NoFigures:
    """The figures take seconds, and say nothing that the tables don't."""

    def draw(self, inputs, week) -> dict:
        return {place: ["", ""] for place in ("week", "next_week", "years")}


@pytest.fixture(scope="module")
def inputs(root, table_of, make_inputs):
    table, _ = frame_of_csv(root / "1_starting_point" / "germany.csv", 365)
    week = {name: hours_of(table, first_hour(name)).index for name in (*WRONG, BEATEN, NARROW, STRANGE)}
    table.loc[week[STRANGE], "windspeed"] *= 3.6
    made = make_inputs(table_of(table), ranges=True)
    power = made.production.model.power
    for name in WRONG:
        power.loc[week[name], "wind_GW"] *= 1.5
    days = week[BEATEN].union(week[BEATEN] - pd.Timedelta("1D"))
    table.loc[days, "wind_GW"] = table.loc[days, "wind_GW"].groupby(days.hour).transform("first")
    for side, factor in (("q10", 0.99), ("q90", 1.01)):
        power.loc[week[NARROW], f"wind_GW_{side}"] = factor * power.loc[week[NARROW], "wind_GW"]
    return prepare(made.table, made.production)


@pytest.fixture(scope="module")
def pages(inputs, made_at) -> dict[str, str]:
    """Return the page of every complete week by the week's name."""
    renderer = Renderer(inputs, NoFigures())
    return {
        name_of(start): renderer.page(week_statistics(inputs, start), made_at)
        for start in complete_weeks(inputs.table.frame.index)
    }


def box(page: str) -> tuple[str, str, str]:
    """Return the colour's name, the verdict and the advice of a page."""
    found = re.search(r'<div class="verdict (.*?)">\s*<strong>The model this week: (.*?)</strong>\s*<p>(.*?)</p>', page)
    return found[1], found[2], html.unescape(found[3])


def row(page: str, name: str) -> list[float]:
    """Return the numbers of a row of the table of errors."""
    cells = re.search(rf'<th scope="row">{name}</th>(.*?)</tr>', page)[1]
    texts = re.findall(r'<td class="number">(.*?)</td>', cells)
    return [float(text.removesuffix(" %").replace("unknown", "inf")) for text in texts]  # no climatology in year one


def ratios(page: str) -> list[tuple[float, float, float]]:
    """Return for each target that is judged the ratio of its error and the limits of watch and act."""
    said = re.search("<h2>How well the model did</h2>(.*?)<table", page, re.DOTALL)[1]
    found = re.findall(r"The error is ([\d.]+) times .*? Up to ([\d.]+) times .*? beyond ([\d.]+)", said)
    return [tuple(map(float, numbers)) for numbers in found]


def drift_rows(page: str) -> list[tuple[float, float, float, int, str]]:
    """Return for each input its mean, what is usual, the hours beyond the training, and what the page calls it."""
    number = r'<td class="number">(-?[\d.]+)</td>'
    wanted = rf'{number}<td class="number">(-?[\d.]+) to (-?[\d.]+)</td><td class="number">(\d+)</td><td>(\w+)</td>'
    return [(*map(float, found[:3]), int(found[3]), found[4]) for found in re.findall(wanted, page)]


def beaten(page: str) -> list[bool]:
    """Return for each target whether a naive forecast is better, by the table's numbers."""
    model, *naive = (row(page, f"{name}, this week") for name in ("The model", "Persistence", "Climatology"))
    return [error > min(others) for error, *others in zip(model, *naive, strict=True)]


def reasons(page: str, before: str | None) -> dict[str, list[str]]:
    """The objections that a page's numbers raise against the model, by the verdict that they call for."""
    found = {"act": [], "watch": []}
    former = ratios(before) if before else []
    for number, (ratio, watch, act) in enumerate(ratios(page)):
        again = former and former[number][0] > former[number][1]
        if ratio > act or (ratio > watch and again):
            found["act"].append("error")
        elif ratio > watch:
            found["watch"].append("error")
    found["watch"] += ["naive"] * any(beaten(page))
    found["watch"] += ["range"] * any(share < 60 for share in row(page, "Hours inside the range"))
    found["watch"] += ["input"] * any(state == "new" for *_, state in drift_rows(page))
    return found


def test_the_verdict_is_what_the_numbers_beside_it_call_for_in_every_week(pages):
    assert len(pages) == 207
    seen, before = {}, None
    for name, page in pages.items():
        colour, verdict, advice = box(page)
        assert colour == verdict.replace(" ", "-")
        found = reasons(page, before)
        trained = "The model has learnt from" in page
        expected = "not judged" if trained else next((level for level in found if found[level]), "as expected")
        assert verdict == expected, (name, found)
        assert ("nothing to do" in page) == (verdict == "as expected"), name
        assert ("Look again next week" in advice) == (verdict == "watch"), name
        assert ("train again with: mlflow run" in advice) == (verdict == "act"), name
        assert "not better than" in page or not any(beaten(page)), name
        for sentence, reason in (
            ("times what is usual", "error"),
            ("not better than", "naive"),
            ("inside the range", "range"),
            ("An input is new", "input"),
        ):
            if verdict in found and reason in found[verdict]:
                assert sentence in advice, (name, reason)
        seen.setdefault(verdict, set()).update(found.get(verdict, []))
        before = page
    assert seen["act"] == {"error"}
    assert seen["watch"] == {"error", "naive", "range", "input"}
    assert set(seen) == {"as expected", "watch", "act", "not judged"}
    assert [box(pages[name])[1] for name in WRONG[:3]][1:] == ["act", "act"]


def test_a_week_of_the_training_is_grey_and_praised_by_nothing(pages):
    for name, page in pages.items():
        if name < "2016":
            assert box(page)[:2] == ("not-judged", "not judged")
            assert (
                "as expected" not in re.sub("<style>.*?</style>", "", page, flags=re.DOTALL).partition("Where this")[0]
            )


def test_the_mail_says_what_the_page_says(pages, inputs):
    for name in (*WRONG, BEATEN, NARROW, STRANGE, "2016-W02", "2015-W20"):
        week = week_statistics(inputs, first_hour(name))
        _, verdict, advice = box(pages[name])
        assert summary.headline(week).endswith(f": {verdict}")
        assert summary.letter(week, "made up", "model").startswith(f"The model this week: {verdict}. {advice}".strip())
