"""The charts of the report: small SVG drawings inside the page, the same bytes for the same numbers.

A chart is built once and drawn again for each week, because matplotlib takes longer to build axes than to draw them.
"""

import io
import re

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart; a colour for each target.
COLOURS = ["#E69F00", "#0072B2", "#009E73", "#CC79A7", "#D55E00"]
PREDICTED, RANGE, GRID = "#222222", "#CCCCCC", "#DDDDDD"
SIZE = (6.1, 3.0)  # inches, of 72 units each: on a phone, where it is shrunk most, its words can still be read
FONT = 12
STYLE = {"svg.hashsalt": "report", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": FONT}


class Chart:
    """Axes with a grid that are drawn again and again with other lines."""

    def __init__(self, ticks: list[float], width: float):
        """Make the axes; ``ticks`` are the grid's places on an x axis from 0 to ``width``."""
        with mpl.rc_context(STYLE):
            self.figure = Figure(figsize=SIZE)
            self.canvas = FigureCanvasSVG(self.figure)
            self.figure.patch.set_visible(False)
            self.axes = self.figure.add_axes((0.09, 0.14, 0.895, 0.74))
            self.axes.set_xlim(0, width)
            # Lines, because a tick without a label takes as long as one with a label.
            self.axes.xaxis.set_visible(False)
            x, y = np.repeat(ticks, 3), np.tile([0, 1, np.nan], len(ticks))
            across = self.axes.get_xaxis_transform()
            self.axes.plot(x, y, color=GRID, linewidth=0.8, zorder=0.5, transform=across, clip_on=False)
            self.axes.tick_params(left=False, labelsize=FONT)
            self.axes.yaxis.grid(color=GRID, linewidth=0.8)
            self.axes.set_axisbelow(True)
            self.axes.patch.set_visible(False)
            for side in ("top", "right", "left"):
                self.axes.spines[side].set_visible(False)
            self.unit = self.axes.text(0, 1.09, "", transform=self.axes.transAxes, ha="right", fontsize=FONT)
            self.labels = []

    def label(self, places: list[float], texts: list[str]) -> None:
        """Write below the axis, at places other than the grid's."""
        for old in self.labels:
            old.remove()
        transform = self.axes.get_xaxis_transform()
        self.labels = [
            self.axes.text(place, -0.04, text, transform=transform, ha="center", va="top", fontsize=FONT)
            for place, text in zip(places, texts, strict=True)
        ]

    def draw(self, unit: str, lines: list[tuple], band: tuple | None, title: str) -> str:
        """Return the drawing as an SVG element, with ``title`` as its text for a screen reader.

        ``lines`` are tuples of x, y and matplotlib's properties of a line. ``band`` is x, low and high.
        """
        self.unit.set_text(unit)
        artists = [self.axes.plot(x, y, clip_on=False, **style)[0] for x, y, style in lines]
        if band:
            x, low, high = band
            outline = np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])
            # A patch, because fill_between refers to an id that every figure of the page would have.
            artists += self.axes.fill(*outline, color=RANGE, linewidth=0, clip_on=False, zorder=1.5)
        values = [np.asarray(y, dtype=float) for _, y, _ in lines] + ([np.asarray(band[2])] if band else [])
        top = max((float(np.nanmax(y)) for y in values if np.isfinite(y).any()), default=1.0)
        self.axes.set_ylim(0, 1.05 * max(top, 0.5))
        text = io.StringIO()
        with mpl.rc_context(STYLE):
            self.canvas.print_svg(text, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        for artist in artists:
            artist.remove()
        return embedded(text.getvalue(), title)


def embedded(svg: str, title: str) -> str:
    """Return matplotlib's SVG as an element of a page: no prolog, no ids that two of them share, short numbers."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>.*?</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[^"]*"| clip-path="[^"]*"|<!--.*?-->', "", svg)
    svg = re.sub(r"-?\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return re.sub(r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>", rf'<svg \1 role="img" aria-label="{escaped}">', svg, count=1)
