"""Run the whole project, from the prices to the gate; reuse what has not changed.

    mlflow run 3_projects/stock --env-manager local -P symbol=MSFT -P lstm_units=60
    mlflow run 3_projects/stock --env-manager local -P dry_run=true

The runner and its cache are those of 3_projects/workflow; steps.py lists the steps.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "workflow"))

import run  # noqa: E402  (found in the folder just named, as are the modules that it imports, but for steps)

if __name__ == "__main__":
    run.main(HERE)
