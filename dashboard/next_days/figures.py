"""The figures of the next days, made of an outlook. Pure functions."""

from dashboard.figure_style import between, dates, line, start, values
from dashboard.next_days.outlook import Outlook, in_common, shapes
from dashboard.targets import Target


def lines_around_now(seen: Outlook, target: Target, relative: bool) -> dict:
    """Return the lines of a target around now, in GW, or ``relative`` to their own means of the measured hours."""
    lines = seen.lines(target.name)
    if relative:
        lines = shapes(lines, in_common(lines))
    traces = between("our range (10 to 90 %)", lines["low"], lines["high"]) if lines["low"].notna().any() else []
    traces += [  # nobody needs to tell the colours apart: the lines differ in width and dashes too
        line(lines["measured"], target.colour, 3, name="measured"),
        line(lines["published"], "@year3", 2, "dot", name="published forecast"),
        line(lines["predicted"], "@ink", 1.8, "5px,2px", name="our prediction"),
    ]
    now, index = start(seen.now), seen.measured.index
    mark = {"type": "line", "yref": "paper", "x0": now, "x1": now, "y0": 0, "y1": 1, "line": {"color": "@axis"}}
    layout = {
        "height": 340,
        "xaxis": dates(hoverformat="%Y-%m-%d %H:%M UTC", range=[start(index[0]), start(index[-1])]),
        "yaxis": values("×" if relative else target.unit, rangemode="tozero"),
        "shapes": [mark],
        "annotations": [{"text": "now", "x": now, "y": 1, "yanchor": "top"}],
    }
    return {"data": traces, "layout": layout}
