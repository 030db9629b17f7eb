"""The content of the overview, made of what is shown at the moment."""

from datetime import timedelta

from dash import dcc, html

from dashboard.components import NARROW, drawings, name_value_list, number, percent, quantity, table
from dashboard.date_range import Range
from dashboard.follower import View
from dashboard.overview.comparisons import Compared, last_hour, records, repairs, this_week, this_year
from dashboard.overview.figures import by_year, weekly
from dashboard.targets import Target
from forecasting.tracking import server_address


def content(view: View) -> tuple:
    """Return everything that the page shows: a sentence, panels, figures, records, repairs, origin of the data."""
    frame, last = view.table.frame, view.table.frame.iloc[-1]
    values = [f"{target.label.lower()} {quantity(last[target.name], target.unit)}" for target in view.targets]
    drawn = {
        f"years-{target.name}": (by_year(target, frame[target.name]), words_of_years(target, view))
        for target in view.targets
    }
    return (
        f"Last hour in the data, {frame.index[-1]:%Y-%m-%d %H:%M} UTC: {', '.join(values)}.",
        [panel(target, view) for target in view.targets],
        drawings(drawn),
        records_table(view),
        repairs_table(view),
        origin(view),
    )


def marks_on_a_line(compared: Compared, unit: str) -> html.Div:
    """Return former years and this one as marks on one line, from 0 to the highest; the words say the same."""
    top = max([compared.value, *compared.former.values()], default=0) or 1

    def mark(value: float, look: str, words: str = "") -> html.Span:
        return html.Span(style={"left": f"{100 * value / top:.1f}%"}, title=words, className=look)

    former = [mark(value, "mark", f"{year}: {quantity(value, unit)}") for year, value in compared.former.items()]
    return html.Div([*former, mark(compared.value, "mark now")], className="strip", **{"aria-hidden": "true"})


def against(compared: Compared, unit: str) -> str:
    """Return the values of former years in words."""
    if not compared.former:
        return "No former year in the data has all of these hours."
    years, values = list(compared.former), list(compared.former.values())
    span = f"{years[0]} to {years[-1]}" if len(years) > 1 else f"{years[0]}"
    low, high, change = number(min(values)), number(max(values)), compared.change
    words = f"{span}: {f'{low} to ' if low != high else ''}{high}{NARROW}{unit}"
    if change is None:
        return words
    return f"{words}, {percent(change, sign=True)} against their mean" if abs(change) >= 0.005 else f"{words}, as usual"


def panel(target: Target, view: View) -> html.Div:
    """Return a target's last hour, week and year, each compared with former years."""
    series = view.table.frame[target.name]
    last = series.index[-1]
    year, week, _ = last.isocalendar()
    of_year = this_year(series)
    energy = ""
    if target.unit == "GW":
        total = of_year.value * of_year.hours
        energy = f"; {quantity(total / 1000, 'TWh', 1) if total >= 1000 else quantity(total, 'GWh', 0)}"
    rows = [
        ("Last hour", f"{last:%Y-%m-%d %H:%M} UTC", last_hour(series)),
        (f"Week {week}", f"mean of {year}-W{week:02d} to then", this_week(series)),
        (f"Year {last.year}", f"mean to then{energy}", of_year),
    ]
    items = []
    for name, detail, compared in rows:
        value = html.Span(quantity(compared.value, target.unit), className="big")
        words = html.P(against(compared, target.unit))
        title = html.Dt([name, html.Span(detail, className="detail")])
        items.append(html.Div([title, html.Dd([value, marks_on_a_line(compared, target.unit), words])]))
    return html.Div([html.H3(target.label), html.Dl(items)], className=f"panel {target.look}")


def words_of_years(target: Target, view: View) -> str:
    """Return what the figure of a target's years shows, in a sentence."""
    days = weekly(view.table.frame[target.name])
    if days.empty:
        return "The data don't have seven days in a row yet."
    last, highest, lowest = (quantity(value, target.unit) for value in (days.iloc[-1], days.max(), days.min()))
    return (
        f"Last seven days in the data: {last}. Highest: {highest}, up to {days.idxmax():%Y-%m-%d}; "
        f"lowest: {lowest}, up to {days.idxmin():%Y-%m-%d}."
    )


def records_table(view: View) -> html.Div:
    """Return the table of records; each is a link to the days around it."""
    begin, end = (time.date() for time in view.table.frame.index[[0, -1]])
    rows = []
    for record in records(view.table.actuals(), view.targets):
        day = record.first.date()
        after = timedelta(days=max(record.days, 1) + 2)
        shown = Range(max(begin, day - timedelta(days=3)), min(end, day + after))
        when = str(day) if record.days else f"{record.first:%Y-%m-%d %H:%M}"
        link = dcc.Link(f"from {when}" if record.days > 1 else when, f"/predictions{shown.query}")
        rows.append([record.name, quantity(record.value, record.unit), link])
    return table("Highest and lowest recorded values; times in UTC", ["What", "Value", "When"], rows, {1})


def repairs_table(view: View) -> list:
    """Return the share of the hours that were missing or there twice, by year."""
    by_year = repairs(view.table.frame)
    hours, repaired = int(by_year["hours"].sum()), int(by_year["repaired"].sum())
    share = percent(repaired / hours, 2)
    sentence = f"{repaired} of {hours} hours ({share}) were missing, incomplete or there twice, and were repaired."
    if not repaired:
        sentence = f"None of the {hours} hours had to be repaired."
    counts = view.table.frame.attrs.get("repairs") or {}
    if done := [f"{count} {name}" for name, count in counts.items() if count]:
        sentence += f" Repairs: {', '.join(done)}."
    rows = [
        [str(year), f"{row.hours:.0f}", f"{row.repaired:.0f}", percent(row.share, 2)]
        for year, row in by_year.iterrows()
    ]
    caption = "Hours by year; repaired ones count in no error and set no record"
    return [html.P(sentence), table(caption, ["Year", "Hours", "Repaired", "Share"], rows, {1, 2, 3})]


def origin(view: View) -> html.Dl:
    """Return where the table comes from."""
    frame = view.table.frame
    counts = frame["split"].value_counts()
    splits = [f"{counts[split]} hours for {split}" for split in ("train", "validation", "holdout") if split in counts]
    return name_value_list(
        {
            "Source": view.table.title,
            "File": str(frame.attrs.get("file", "not stated")),
            "Reach": f"{frame.index[0]:%Y-%m-%d %H:%M} to {frame.index[-1]:%Y-%m-%d %H:%M} UTC, {len(frame)} hours",
            "Split": ", ".join(splits),
            "Table": html.Span(["run ", html.Code(view.table.run_id), f" on {server_address()}"]),
        }
    )
