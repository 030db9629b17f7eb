"""Train a gradient boosting for solar and wind power with a range around it, and log it as a model.

    mlflow run 3_projects/boosting --env-manager local -P trials=20 --experiment-name chapter_3

The settings come from a search (search.py) that resumes where it was stopped. The boosting learns the power per
installed capacity (capacity.py). The range is calibrated on the last year of the training (conformal.py).
"""

import argparse
import ftplib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import mlflow
import pandas as pd
import yaml
from capacity import FEATURES, TARGETS, estimate_growth
from conformal import measure_coverage, train_fleet
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from range_plots import plot_weeks
from search import best_settings, digest_of_search, search
from threadpoolctl import threadpool_limits

INPUTS = list(dict.fromkeys([*FEATURES["solar_GW"], *FEATURES["wind_GW"], "trend"]))


def read_table(data_run: str) -> tuple[pd.DataFrame, str]:
    """Read the table of a run of 3_projects/data, by the run's id or the newest in this experiment; return both.

    Ends the program with one sentence if there is none or a server is away: better now than after the training.
    """
    try:
        if data_run == "newest":
            finished = "tags.project = 'data' and attributes.status = 'FINISHED'"
            runs = mlflow.search_runs(filter_string=finished, order_by=["tags.used_at DESC"], max_results=1)
            if runs.empty:
                make = "mlflow run 3_projects/data --env-manager local"
                sys.exit(f"boosting: there is no table in this experiment yet. Make one there with: {make}")
            data_run = runs["run_id"][0]
        with tempfile.TemporaryDirectory() as folder:
            path = mlflow.artifacts.download_artifacts(run_id=data_run, artifact_path="table.parquet", dst_path=folder)
            return pd.read_parquet(path), data_run
    except (MlflowException, *ftplib.all_errors) as error:
        reason = str(error).splitlines()[0]
        sys.exit(f"boosting: can't read the table {data_run} ({reason}). Do both servers run, and let you in?")


parser = argparse.ArgumentParser(description="Train a gradient boosting for solar and wind power, with a range.")
parser.add_argument("--trials", type=int, default=20, help="settings that the search tries for each target")
parser.add_argument("--seed", type=int, default=42, help="of the search, and of the columns that each tree sees")
parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose table is used")
options = parser.parse_args()
if options.trials < 1:
    sys.exit(f"boosting: expected at least 1 trial, found {options.trials}. The default is 20.")
# The fits run side by side, one thread each: the threads of one fit would spin while they wait for each other.
threadpool_limits(1, "openmp")

sys.stdout.reconfigure(errors="replace")  # MLflow prints emoji, which not every terminal can show
table, data_run = read_table(options.data_run)
data_title = table.attrs.get("subject", {}).get("title", "unknown")
with mlflow.start_run(run_name=f"boosting-{options.trials}"), tempfile.TemporaryDirectory() as folder:
    mlflow.set_tags(
        {"project": "boosting", "data_run": data_run, "data_title": data_title, "fitted_on": "train,validation"}
    )
    # Filled-in hours teach nothing. What is left of the training is split into train and validation for the search.
    hours = table[(table["split"] != "holdout") & ~table["repaired"]]
    mlflow.log_input(mlflow.data.from_pandas(hours, name=data_title), context="training")

    growth = {target: estimate_growth(hours, target) for target in TARGETS}
    mlflow.log_metrics({f"growth_{target}": value for target, value in growth.items()})
    print(f"boosting: growth a year: {', '.join(f'{value:.1%} {target[:-3]}' for target, value in growth.items())}")
    digest = digest_of_search(mlflow.get_run(data_run).data.tags["table_sha256"], options.seed)
    studies = search(hours, growth, options.trials, options.seed, digest)
    settings = {target: best_settings(study, options.seed) for target, study in studies.items()}
    for target, study in studies.items():
        mlflow.log_params({f"{target}.{name}": value for name, value in settings[target].items()})
        mlflow.log_metric(f"validation_mae_{target}", study.best_value)
        mlflow.log_table(study.trials_dataframe(("number", "value", "params", "user_attrs")), f"trials_{target}.json")
    errors = [f"{study.best_value:.3f} GW {target[:-3]}" for target, study in studies.items()]
    note = f"MAE on the validation weeks: {', '.join(errors)}"
    mlflow.set_tag("mlflow.note.content", note)

    print("boosting: the mean, and its range from a forecast made a year before", flush=True)
    with ThreadPoolExecutor(len(TARGETS), initializer=threadpool_limits, initargs=(1, "openmp")) as threads:
        fits = {name: threads.submit(train_fleet, hours, name, growth[name], settings[name]) for name in TARGETS}
    fleets = {target: fit.result()[0] for target, fit in fits.items()}
    mlflow.log_metrics({f"year_ahead_mae_{target}": fit.result()[1] for target, fit in fits.items()})

    saved = Path(folder) / "fleets.joblib"
    joblib.dump(fleets, saved, compress=3)
    outputs = [*TARGETS, *(f"{target}_{side}" for target in TARGETS for side in ("q10", "q90"))]
    model = mlflow.pyfunc.log_model(
        name="model",
        python_model="model.py",
        artifacts={"fleets": str(saved)},
        model_config={"features": INPUTS},
        signature=infer_signature(hours[INPUTS], pd.DataFrame(0.0, index=[0], columns=outputs)),
        input_example=hours[INPUTS].between_time("11:00", "13:00").head(3),  # at night there is no solar power
        # Named, because MLflow takes longer to find them out than the training takes.
        pip_requirements=yaml.safe_load(Path("python_env.yaml").read_text())["dependencies"],
    )

    # Nothing above has seen the holdout. How often it is inside the range is measured here, and changes nothing.
    unseen = table[(table["split"] == "holdout") & ~table["repaired"]]
    power = mlflow.pyfunc.load_model(model.model_uri).predict(unseen[INPUTS])
    coverage = measure_coverage(unseen, power)
    mlflow.log_table(coverage, "coverage.json")
    names = "coverage_" + coverage["target"] + "_" + coverage["hours of"].str.replace(" ", "_")
    mlflow.log_metrics(dict(zip(names, coverage["inside"], strict=True)))
    mlflow.log_figure(plot_weeks(unseen, power, data_title), "weeks.png")
    inside = [f"{line.inside:.0%} {line.target[:-3]}" for line in coverage[coverage["hours of"] == "all"].itertuples()]
    print(f"boosting: inside the range in the holdout: {', '.join(inside)}; coverage.json has the parts")
    print(f"boosting: {note}\nboosting: {model.model_uri}")
