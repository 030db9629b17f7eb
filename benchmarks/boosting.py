"""How good the boosting is on the last year, beside the other models and two forecasts that need none; and its range.

    python benchmarks/boosting.py
    python benchmarks/boosting.py --data CSV --trials 20

It runs the projects data, lr, rf and boosting in a temporary folder and judges what they have logged. Ratios are to a
plain linear regression on the four weather columns. The real data are fetched by 1_starting_point/download.py.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "3_projects" / "registry"))
TARGETS = ["solar_GW", "wind_GW"]
WEATHER = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"]
MODELS = ("lr", "rf", "boosting")


def run_project(name: str, **parameters) -> float:
    """Run a project in the experiment ``benchmark``; return the seconds it took."""
    command = [sys.executable, "-m", "mlflow", "run", ROOT / "3_projects" / name, "--env-manager", "local"]
    command += ["--experiment-name", "benchmark", *(f"-P{key}={value}" for key, value in parameters.items())]
    start = time.perf_counter()
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"3_projects/{name} failed:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def judge() -> None:
    """Print the errors of the models that the projects have logged, and how often the range of boosting holds."""
    import mlflow
    import pandas as pd
    from naive import climatology, persistence
    from sklearn.linear_model import LinearRegression

    runs = mlflow.search_runs(experiment_names=["benchmark"], output_format="list")
    by_step = {run.data.tags["step"]: run for run in runs if "step" in run.data.tags}
    data = by_step["data"].info.run_id
    table = pd.read_parquet(mlflow.artifacts.download_artifacts(run_id=data, artifact_path="table.parquet"))
    unseen = table[(table["split"] == "holdout") & ~table["repaired"]]
    past = table[table["split"] != "holdout"]
    plain = LinearRegression().fit(past[WEATHER], past[TARGETS]).predict(unseen[WEATHER])
    forecasts = {"linear regression on the four weather columns": pd.DataFrame(plain, unseen.index, TARGETS)}
    for name in MODELS:
        model = mlflow.pyfunc.load_model(f"models:/{by_step[name].outputs.model_outputs[0].model_id}")
        rows = unseen[model.metadata.get_input_schema().input_names()]
        forecasts[f"3_projects/{name}"] = model.predict(rows)[TARGETS]
    forecasts["climatology"] = climatology(table, TARGETS).loc[unseen.index]
    forecasts["persistence"] = persistence(table, TARGETS).loc[unseen.index]
    errors = {name: (power - unseen[TARGETS]).abs().mean() for name, power in forecasts.items()}
    plain, project = errors["linear regression on the four weather columns"], errors["3_projects/lr"]

    print(f"{table.attrs['source']}: {unseen.index[0]:%Y-%m-%d} to {unseen.index[-1]:%Y-%m-%d}, {len(unseen)} hours")
    print(f"\n{'MAE':46}{'solar GW':>10}{'ratio':>7}{'wind GW':>10}{'ratio':>7}")
    for name, error in errors.items():
        figures = "".join(f"{error[target]:10.3f}{error[target] / plain[target]:7.2f}" for target in TARGETS)
        print(f"{name:46}{figures}")
    ratios = errors["3_projects/boosting"] / project
    print(
        f"\nboosting to 3_projects/lr: {ratios['solar_GW']:.2f} of its MAE for solar, {ratios['wind_GW']:.2f} for wind"
    )
    print("\nHours inside the range of boosting, in %; solar power without the hours in the dark")
    metrics = by_step["boosting"].data.metrics
    parts = ["all", "day", "night", "summer", "winter"]
    print(f"{'':10}" + "".join(f"{part:>9}" for part in parts))
    for target in TARGETS:
        shares = (metrics.get(f"coverage_{target}_{part}", float("nan")) for part in parts)
        print(f"{target:10}" + "".join(f"{100 * share:9.1f}" for share in shares))
    print(f"in the dark, where the range of solar power is 0 to 0: {100 * metrics['coverage_solar_GW_dark']:.1f} %")


def main() -> None:
    """Run the projects and print the tables."""
    parser = argparse.ArgumentParser(description="Judge the boosting on the last year of a CSV.")
    parser.add_argument("--data", type=Path, default=ROOT / "1_starting_point" / "germany.csv", help="the CSV")
    parser.add_argument("--trials", type=int, default=20, help="of the search; default: %(default)s")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlruns.db"
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
        store = Path(folder, "artifacts").as_uri()
        command = [sys.executable, "-m", "mlflow", "experiments", "create", "-n", "benchmark", "-l", store]
        subprocess.run(command, check=True, capture_output=True)
        run_project("data", csv=options.data.resolve())
        seconds = {
            name: run_project(name, **({"trials": options.trials} if name == "boosting" else {})) for name in MODELS
        }
        judge()
        ratio = seconds["boosting"] / seconds["lr"]
        print(f"\nboosting took {seconds['boosting']:.0f} s, {ratio:.1f} times as long as 3_projects/lr")


if __name__ == "__main__":
    main()
