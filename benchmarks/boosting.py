"""How good the boosting and its range are on the last year, beside the other models and two naive forecasts.

    python benchmarks/boosting.py
    python benchmarks/boosting.py --data CSV --trials 20

It runs the projects data, lr, rf, keras and boosting on servers with an empty state. Ratios are to a plain linear
regression on the weather columns alone. The real data are fetched by 1_starting_point/download.py.
"""

import mlflow
import pandas as pd
from harness import ROOT, SAMPLE, empty_servers, options, print_ratios, print_table, run_project, take_turns
from sklearn.linear_model import LinearRegression

from forecasting.baselines import climatology, persistence
from forecasting.table import HourlyTable
from forecasting.tracking import finished_runs, project_of

MODELS = ("lr", "rf", "keras", "boosting")
PLAIN = "linear regression on the weather columns"
PARTS = ("all", "day", "night", "summer", "winter")


def judge() -> None:
    """Print the errors of the models that the projects have logged, and how often the range of boosting holds."""
    runs = {project_of(run): run for run in finished_runs()}
    table = HourlyTable.read(runs["data"])
    frame, targets = table.frame, table.targets
    unseen = frame[table.holdout() & ~frame["repaired"]]
    weather, past = table.subject.inputs, frame[~table.holdout()]
    plain = LinearRegression().fit(past[weather], past[targets]).predict(unseen[weather])
    forecasts = {PLAIN: pd.DataFrame(plain, unseen.index, targets)}
    for name in MODELS:
        model = mlflow.pyfunc.load_model(f"models:/{runs[name].outputs.model_outputs[0].model_id}")
        forecasts[f"3_projects/{name}"] = model.predict(unseen[model.metadata.get_input_schema().input_names()])
    forecasts["climatology"] = climatology(frame, targets).loc[unseen.index]
    forecasts["persistence"] = persistence(frame, targets).loc[unseen.index]
    errors = {name: (power[targets] - unseen[targets]).abs().mean() for name, power in forecasts.items()}
    print(f"{table.title}: {unseen.index[0]:%Y-%m-%d} to {unseen.index[-1]:%Y-%m-%d}, {len(unseen)} hours\n")
    head = [column for target in targets for column in (f"MAE {target}", "ratio")]
    rows = [
        [name, *(number for target in targets for number in (error[target], error[target] / errors[PLAIN][target]))]
        for name, error in errors.items()
    ]
    print_table(["", *head], rows)
    print("\nHours inside the range of boosting, in %; solar power without the hours in the dark")
    shares = runs["boosting"].data.metrics
    rows = [
        [target, *(100 * shares.get(f"coverage_{target}_{part}", float("nan")) for part in PARTS)] for target in targets
    ]
    print_table(["", *PARTS], rows)


def main() -> None:
    """Run the projects and print the tables."""
    chosen = options(__doc__.splitlines()[0], data=(str(SAMPLE), "the CSV"), trials=(20, "trials of the search"))
    with empty_servers():
        run_project("data", csv=ROOT / chosen.data)
        more = {"boosting": {"trials": chosen.trials}}
        taken = take_turns(
            chosen.rounds, {name: lambda name=name: run_project(name, **more.get(name, {})) for name in MODELS}
        )
        judge()
    print()
    print_ratios(taken)


if __name__ == "__main__":
    main()
