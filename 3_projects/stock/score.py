"""Score a CSV of windows with a model of the registry: the same rows, with a column for each prediction.

    mlflow run 3_projects/stock -e score --env-manager local -P input=windows.csv -P output=scored.csv

The command in MLproject:

    python score.py --input {input} --output {output} --registered-model {registered_model} --version {version}

A row is a window: the closing prices that the model takes, in columns close_1 (the oldest) to close_14. Other columns
are kept as they are. A row that can't be scored is named by its line, and has no prediction in the output. With the
input ``newest`` it is the holdout of the newest table. Relative paths start at the top of the project.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel
from mlflow_ftp.preflight import preflight
from versions import MAIN, Refused, fetch, find_version
from window_csv import Output, Windows

PROJECT_ROOT = Path(__file__).resolve().parents[2]
CHUNK = 10_000  # rows in memory at once
NAMED = 10  # bad lines that are printed; all of them are on the run


def columns_of(model: PyFuncModel, title: str) -> tuple[list[str], list[str]]:
    """Return the names of the columns that the model takes and gives; raises Refused if it states none."""
    inputs, outputs = model.metadata.get_input_schema(), model.metadata.get_output_schema()
    if not (inputs and inputs.has_input_names() and outputs and outputs.has_input_names()):
        raise Refused(f"{title}: expected a signature with named columns, found none. Train it again.")
    return inputs.input_names(), outputs.input_names()


def score(model: PyFuncModel, title: str, path: Path, output: Path) -> tuple[int, list[str]]:
    """Write the rows with their predictions; return how many have one, and a sentence on each that has none.

    Raises Refused; then an older output stays as it is.
    """
    inputs, outputs = columns_of(model, title)
    windows = Windows(path, inputs)
    kept = [column for column, name in enumerate(windows.header) if name not in outputs]
    if copies := [name for name in outputs if name in windows.header]:
        print(f"score: {', '.join(copies)} of the input are not kept: the predictions have these names")
    count, bad = 0, []
    scored = Output(output, [windows.header[column] for column in kept] + outputs)
    try:
        for chunk in windows.chunks(CHUNK):
            prices, faults = windows.prices(chunk)
            good = [place for place in range(len(chunk)) if place not in faults]
            predictions = dict.fromkeys(faults, [""] * len(outputs))
            if good:
                predicted = model.predict(pd.DataFrame(prices[good], columns=inputs))[outputs]
                predictions |= dict(zip(good, predicted.astype(float).to_numpy().tolist(), strict=True))
            width = len(windows.header)
            padded = [(cells + [""] * width)[:width] for _, cells in chunk]
            scored.write(
                [[cells[column] for column in kept] + predictions[place] for place, cells in enumerate(padded)]
            )
            bad += [f"line {chunk[place][0]}: {fault}" for place, fault in sorted(faults.items())]
            count += len(good)
        if not count:
            first = f"found {len(bad)} bad ones, the first on {bad[0]}" if bad else "found no rows at all"
            raise Refused(f"{path}: expected windows that can be scored, {first}. Export it again.")
        scored.finish()
    finally:
        scored.discard()
    return count, bad


def write_holdout(folder: str) -> Path:
    """Return a new CSV with the windows of the newest table's holdout; raises Refused if there is no table."""
    runs = mlflow.search_runs(
        search_all_experiments=True,
        filter_string="tags.step = 'stock.transform' and attributes.status = 'FINISHED'",
        order_by=["tags.used_at DESC"],
        max_results=1,
        output_format="list",
    )
    if not runs:
        raise Refused(f"there is no table to score yet. Make it with: {MAIN}, or name a file with -P input=PATH")
    mlflow.set_tag("data_run", runs[0].info.run_id)
    table = pd.read_parquet(
        mlflow.artifacts.download_artifacts(run_id=runs[0].info.run_id, artifact_path="table.parquet", dst_path=folder)
    )
    path = Path(folder) / "holdout.csv"
    table.loc[table["split"] == "holdout"].filter(regex="^close_").to_csv(path)
    return path


def run(options: argparse.Namespace) -> None:
    """Score what the options say, and note it on the active run; raises Refused."""
    if not (options.input and options.output):
        raise Refused("expected a CSV to score and a name for the output. Give -P input=PATH and -P output=PATH")
    version, output = find_version(options.registered_model, options.version), PROJECT_ROOT / options.output
    with tempfile.TemporaryDirectory() as folder:
        path = write_holdout(folder) if options.input == "newest" else PROJECT_ROOT / options.input
        model = mlflow.pyfunc.load_model(str(fetch(version, Path(folder))))
        count, bad = score(model, version.title, path, output)
    mlflow.set_tags(version.tags | {"output": str(output)})
    mlflow.log_metrics({"rows": count, "rejected": len(bad)})
    if bad:
        mlflow.log_text("\n".join(bad) + "\n", "bad_lines.txt")
    for sentence in bad[:NAMED]:
        print(f"score: {path} {sentence}")
    if len(bad) > NAMED:
        print(f"score: {len(bad) - NAMED} more bad lines are in bad_lines.txt of this run")
    print(f"score: {count} windows with {version.title}, {len(bad)} without a prediction: {output}")


def main() -> None:
    """Run it; an error that a person can mend is one sentence, and stays on the run."""
    parser = argparse.ArgumentParser(description="Score a CSV of windows with a model of the registry.")
    parser.add_argument("--input", default="newest", help="a CSV; newest is the newest table's holdout")
    parser.add_argument("--output", required=True, help="the CSV to write; relative paths start at the project's top")
    parser.add_argument("--registered-model", default="stock_direction", help="default: %(default)s")
    parser.add_argument("--version", default="production", help="an alias or a number; default: %(default)s")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that being stopped cleans up as Ctrl-C does
    preflight("score")
    with mlflow.start_run():
        mlflow.set_tag("step", "stock.score")
        try:
            run(options)
        except (Refused, MlflowException) as error:
            message = str(error).splitlines()[0]
            mlflow.set_tag("error", message)
            sys.exit(f"score: {message}")


if __name__ == "__main__":
    main()
