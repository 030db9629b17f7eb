"""The dashboard of chapter 1: recorded and predicted power, month by month.

    python 1_starting_point/dashboard/app.py

Part of the chaos on purpose: it works, and README.md one folder up says what is wrong with it.
"""

import argparse
import os
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error

os.chdir(Path(__file__).parent)  # or ../germany.csv is not found

df = pd.read_csv("../germany.csv", index_col=0, parse_dates=True).dropna()
features = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"]
targets = ["solar_GW", "wind_GW"]

# Same as in model_linreg.ipynb, but from 2015 on: with the older years, wind came out too low. And no power below zero.
train = df["2015":]
model = LinearRegression().fit(train[features], train[targets])
predicted = pd.DataFrame(model.predict(df[features]).clip(min=0), index=df.index, columns=targets)

months = sorted(set(df.index.strftime("%Y-%m")))

app = Dash(__name__, title="Solar and wind power, chapter 1", update_title=None)
app.layout = html.Main(
    [
        html.H1("Solar and wind power in Germany"),
        html.P("Simulated data: they look like the real ones, but nobody measured them.", id="source"),
        html.P(f"Linear regression, trained on {len(train)} hours when this dashboard was started.", id="model"),
        html.Label("Month (UTC)", htmlFor="month"),
        dcc.Dropdown(months, months[-1], id="month", clearable=False, style={"width": "12rem"}),
        html.P(id="error"),
        dcc.Graph(id="solar"),
        dcc.Graph(id="wind"),
    ],
    style={"fontFamily": "sans-serif", "maxWidth": "1000px", "margin": "0 auto", "padding": "0 1rem"},
)


def figure(month, target, colour):
    """Return the two lines of a target in a month, such as 2016-12."""
    shown = df.loc[month, target]
    fig = go.Figure()
    fig.add_scatter(x=shown.index.tz_localize(None), y=shown, name="recorded", line={"color": colour})
    fig.add_scatter(
        x=shown.index.tz_localize(None),
        y=predicted.loc[month, target].round(3),
        name="predicted",
        line={"color": "#222222", "dash": "dot", "width": 1.5},
    )
    return fig.update_layout(
        title=f"{target}, {month} (simulated)", template="plotly_white", height=330, yaxis={"title": "GW"}
    )


@app.callback(Output("solar", "figure"), Output("wind", "figure"), Output("error", "children"), Input("month", "value"))
def show(month):
    """Draw the month, and say how far off the model is in it."""
    errors = [
        f"{target} {mean_absolute_error(df.loc[month, target], predicted.loc[month, target]):.2f} GW"
        for target in targets
    ]
    return (
        figure(month, "solar_GW", "#E69F00"),
        figure(month, "wind_GW", "#0072B2"),
        "Mean absolute error: " + ", ".join(errors),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The dashboard of chapter 1.")
    parser.add_argument("--port", type=int, default=8051, help="default: %(default)s")
    app.run(host="127.0.0.1", port=parser.parse_args().port)
