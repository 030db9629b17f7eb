"""What the overview says of a view, as pieces of its page."""

from dash import dcc, html

from dashboard import summary
from dashboard.figures.base import NAMES
from dashboard.figures.years import by_year, weekly
from dashboard.live import View
from dashboard.parts import facts, gw, number, percent, table
from dashboard.ranges import Range
from dashboard.settings import Settings
from report.production import TARGETS, server_address


def strip(compared: summary.Compared) -> html.Div:
    """Return the former years and this one as marks on one line, from 0 to the highest; the words say the same."""
    top = max([compared.value, *compared.former.values()], default=0) or 1
    marks = [
        html.Span(style={"left": f"{100 * value / top:.1f}%"}, title=f"{year}: {gw(value)}", className="mark")
        for year, value in compared.former.items()
    ]
    now = html.Span(style={"left": f"{100 * compared.value / top:.1f}%"}, className="mark now")
    return html.Div([*marks, now], className="strip", **{"aria-hidden": "true"})


def against(compared: summary.Compared) -> str:
    """Return what former years had, in words."""
    if not compared.former:
        return "No former year in the data has all of these hours."
    years, values = list(compared.former), list(compared.former.values())
    if len(years) == 1:
        words = f"{years[0]}: {gw(values[0])}"
    else:
        words = f"{years[0]} to {years[-1]}: {number(min(values))} to {gw(max(values))}"
    change = compared.change
    return words + (f", {percent(change, sign=True)} against their mean" if change is not None else "")


def panel(target: str, view: View) -> html.Div:
    """Return the three numbers of a target and what former years say to them."""
    power = view.table[target]
    last = power.index[-1]
    year, week, _ = last.isocalendar()
    of_year = summary.this_year(power)
    energy = f"mean; {number(of_year.value * of_year.hours / 1000, 1)} TWh so far"
    rows = [
        ("Now", f"{last:%Y-%m-%d %H:%M} UTC", summary.now(power)),
        ("This week", f"mean of {year}-W{week:02d} so far", summary.this_week(power)),
        ("This year", energy, of_year),
    ]
    parts = [
        html.Div(
            [
                html.Dt([name, html.Span(detail, className="detail")]),
                html.Dd([html.Span(gw(compared.value), className="big"), strip(compared), html.P(against(compared))]),
            ]
        )
        for name, detail, compared in rows
    ]
    return html.Div([html.H3(NAMES[target]), html.Dl(parts)], className=f"panel {target}")


def records(view: View) -> html.Div:
    """Return the table of records; each leads to the days around it."""
    first, last = view.table.index[0].date(), view.table.index[-1].date()
    rows = []
    for record in summary.records(view.table):
        day = record.first.date()
        before, after = summary.around(day, max(record.days, 1), first, last)
        when = f"{record.first:%Y-%m-%d %H:%M}" if record.days == 0 else f"{day}"
        link = dcc.Link(f"from {when}" if record.days > 1 else when, f"/predictions{Range(before, after).query}")
        rows.append([record.what, gw(record.value), link])
    return table("Highest and lowest recorded power; times in UTC", ["What", "Power", "When"], rows, {1})


def repairs(view: View) -> list:
    """Return the share of the hours that were missing or stood twice, by year."""
    by = summary.repairs(view.table)
    hours, repaired = int(by["hours"].sum()), int(by["repaired"].sum())
    share = percent(repaired / hours, 2)
    sentence = f"{repaired} of {hours} hours ({share}) were missing, incomplete or stood twice, and were repaired."
    done = view.table.attrs.get("repairs") or {}
    if done:
        sentence += " What was done: " + ", ".join(f"{count} {what}" for what, count in done.items()) + "."
    rows = [
        [str(year), f"{row.hours:.0f}", f"{row.repaired:.0f}", percent(row.share, 2)] for year, row in by.iterrows()
    ]
    caption = "Hours by year; repaired ones count in no error and set no record"
    return [html.P(sentence), table(caption, ["Year", "Hours", "Repaired", "Share"], rows, {1, 2, 3})]


def origin(view: View, settings: Settings) -> html.Dl:
    """Return where the table comes from."""
    table_, index = view.table, view.table.index
    counts = table_["split"].value_counts()
    parts = [f"{counts[part]} hours for {part}" for part in ("train", "validation", "holdout") if part in counts]
    return facts(
        {
            "Source": str(table_.attrs.get("source", "not stated")),
            "File": str(table_.attrs.get("file", "not stated")),
            "Reach": f"{index[0]:%Y-%m-%d %H:%M} to {index[-1]:%Y-%m-%d %H:%M} UTC, {len(index)} hours",
            "Parts": ", ".join(parts),
            "Table": html.Span(["run ", html.Code(view.table_run), f" on {server_address()}"]),
            "Live data": (
                "Open-Meteo (weather forecast) and Energy-Charts (measured power), on the page Next days"
                if settings.live_data
                else "off; start the dashboard with --live-data for the page Next days"
            ),
        }
    )


def words(view: View, target: str) -> str:
    """Return what the figure of a target's years shows, in a sentence."""
    days = weekly(view.table[target])
    if days.empty:
        return "The data hold no seven days in a row yet."
    return (
        f"Last seven days: {gw(days.iloc[-1])}. Highest seven days: {gw(days.max())}, up to {days.idxmax():%Y-%m-%d}; "
        f"lowest: {gw(days.min())}, up to {days.idxmin():%Y-%m-%d}."
    )


def content(view: View, settings: Settings) -> tuple:
    """Return everything that the page shows of a view."""
    last = view.table.index[-1]
    power = ", ".join(f"{NAMES[target].lower()} {gw(view.table[target].iloc[-1])}" for target in TARGETS)
    return (
        f"Last hour in the data, {last:%Y-%m-%d %H:%M} UTC: {power}.",
        [panel(target, view) for target in TARGETS],
        [by_year(target, view.table[target]) for target in TARGETS],
        *(words(view, target) for target in TARGETS),
        records(view),
        repairs(view),
        origin(view, settings),
    )
