"""Train a gradient boosting for solar and wind power with a range around it, and log it as a model.

mlflow run 3_projects/boosting --env-manager local -P trials=20 --experiment-name predicting_wind_solar

The settings come from a search (search.py) that goes on where it was stopped. The boosting learns the power per
installed capacity (capacity.py). The range is calibrated on the last year of the training (conformal.py).
"""

import argparse
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
from mlflow.models import infer_signature
from mlflow_ftp.preflight import preflight
from range_plots import plot_coverage, plot_weeks
from search import best_settings, digest_of_search, search
from threadpoolctl import threadpool_limits

INPUTS = list(dict.fromkeys([*FEATURES["solar_GW"], *FEATURES["wind_GW"], "trend"]))


def read_table(data_run: str) -> tuple[pd.DataFrame, str]:
    """Return the hourly table of a run of 3_projects/data, and that run's id; ``newest`` stands for the last one."""
    if data_run == "newest":
        runs = mlflow.search_runs(
            search_all_experiments=True,
            filter_string="tags.step = 'data' and attributes.status = 'FINISHED'",
            order_by=["tags.used_at DESC"],
            max_results=1,
            output_format="list",
        )
        if not runs:
            sys.exit("There is no table to train on yet. Make it with: mlflow run 3_projects/data --env-manager local")
        data_run = runs[0].info.run_id
    with tempfile.TemporaryDirectory() as folder:
        path = mlflow.artifacts.download_artifacts(run_id=data_run, artifact_path="table.parquet", dst_path=folder)
        return pd.read_parquet(path), data_run


parser = argparse.ArgumentParser(description="Train a gradient boosting for solar and wind power, with a range.")
parser.add_argument("--trials", type=int, default=20, help="settings that the search tries for each target")
parser.add_argument("--seed", type=int, default=42, help="of the search, and of the columns that each tree sees")
parser.add_argument("--data-run", default="newest", help="run of 3_projects/data whose table is used")
options = parser.parse_args()
if options.trials < 1:
    sys.exit(f"boosting: expected at least 1 trial, found {options.trials}. The default is 20.")
preflight("boosting")
# The fits run side by side, one thread each: the threads of one fit would spin while they wait for each other.
threadpool_limits(1, "openmp")

with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
    table, data_run = read_table(options.data_run)
    mlflow.set_tags({"step": "boosting", "data_run": data_run, "source": table.attrs["source"]})
    # Filled-in hours teach nothing. What is left of the training is split into train and validation for the search.
    hours = table[(table["split"] != "holdout") & ~table["repaired"]]
    columns = [*INPUTS, *TARGETS]
    mlflow.log_input(mlflow.data.from_pandas(hours[columns], name=table.attrs["source"]), context="training")

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

    print("boosting: the mean, and its range from a forecast made a year before", flush=True)
    with ThreadPoolExecutor(len(TARGETS), initializer=threadpool_limits, initargs=(1, "openmp")) as threads:
        fits = {
            target: threads.submit(train_fleet, hours, target, growth[target], settings[target]) for target in TARGETS
        }
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
        input_example=hours[INPUTS].head(3),
        # Named, since finding them out takes MLflow longer than the training.
        pip_requirements=yaml.safe_load(Path("python_env.yaml").read_text())["dependencies"],
    )

    # Nothing above has seen the holdout. How often it is inside the range is measured here, and changes nothing.
    unseen = table[(table["split"] == "holdout") & ~table["repaired"]]
    power = mlflow.pyfunc.load_model(model.model_uri).predict(unseen[INPUTS])
    coverage = measure_coverage(unseen, power)
    mlflow.log_table(coverage, "coverage.json")
    mlflow.log_metrics(
        {
            f"coverage_{line.target}_{line.part.replace(' ', '_')}": line.inside
            for line in coverage.rename(columns={"hours of": "part"}).itertuples()
        }
    )
    mlflow.log_figure(plot_coverage(coverage, table.attrs["source"]), "coverage.png")
    mlflow.log_figure(plot_weeks(unseen, power, table.attrs["source"]), "weeks.png")
    print(f"boosting: inside the range, of the {len(unseen)} hours that nothing has been learnt from:")
    print(coverage.round(3).to_string(index=False))
    print(f"boosting: {model.model_uri}")
