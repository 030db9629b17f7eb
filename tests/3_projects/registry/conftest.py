"""A made table, and models whose errors a test chooses."""

import hashlib
import importlib
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from forecasting.subject import Column, Subject

PROJECT = Path(__file__).parents[3] / "3_projects" / "registry"
HERE = Path(__file__).parent
sys.path.append(str(PROJECT))
MODULES = ["decide", "decisions", "evaluate", "holdout", "ledger", "try_models", "validation"]
TARGETS = ["solar_GW", "wind_GW"]
INPUTS = ["hint_solar_GW", "hint_wind_GW", "noise", "month"]


def make_table(holdout: str = "2015-01-01") -> pd.DataFrame:
    """Return two years, four rows a day, of which the last one is the holdout."""
    index = pd.date_range("2014-01-01", "2015-12-31 18:00", freq="6h", tz="UTC")
    random = np.random.default_rng(1)
    table = pd.DataFrame({"solar_GW": 10 + 5 * random.random(len(index))}, index)
    table["wind_GW"] = 10 + np.convolve(random.normal(size=len(index) + 9), np.ones(10), "valid")
    for target in TARGETS:
        table[f"hint_{target}"] = table[target]
    table["noise"] = random.normal(size=len(index))
    table["month"] = index.month.astype(float)
    table["split"] = np.where(index < pd.Timestamp(holdout, tz="UTC"), "train", "holdout")
    table["repaired"] = False
    columns = tuple(Column(target, "target", target, "GW") for target in TARGETS)
    table.attrs = {"subject": Subject("made by a test", columns).to_dict()}
    return table


class Made:
    """Tables and models on the tracking server, for the tests of one module."""

    def __init__(self, folder: Path):
        """Keep files in that folder until they are logged."""
        self.folder, self.runs = folder, {}
        self.client = mlflow.MlflowClient()
        self.experiment = self.client.create_experiment("registry tests")
        table = make_table()
        self.data_run = self.table(table)
        # Other tables: one with so little power on some days that an error makes it negative; two with less to judge.
        small = table.copy()
        small.loc[small.index.day == 1, [*TARGETS, *(f"hint_{target}" for target in TARGETS)]] = 0.3
        self.small_values = self.table(small)
        self.later_holdout, self.autumn_holdout = (self.table(make_table(day)) for day in ("2015-12-23", "2015-09-01"))

    def table(self, table: pd.DataFrame) -> str:
        """Return the run of a new table; it never is the newest one of the servers."""
        path = self.folder / "table.parquet"
        table.to_parquet(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        tags = {"project": "data", "table_sha256": digest, "used_at": "2000-01-01", "data_title": "made by a test"}
        run_id = self.client.create_run(self.experiment, tags=tags).info.run_id
        self.client.log_artifact(run_id, str(path))
        self.client.set_terminated(run_id)
        return run_id

    def model(
        self, project: str = "made", data_run: str = "", signature: bool = True, code: str | None = None, **about
    ) -> str:
        """Return the run of a model with these errors, trained on the table or on another one."""
        key = json.dumps([project, data_run, signature, code, about])
        if key not in self.runs:
            path = self.folder / "about.json"
            path.write_text(json.dumps({"noise": 1.0} | about))
            inputs = Schema([ColSpec("double", name) for name in [*INPUTS, *about.get("takes", [])]])
            outputs = Schema([ColSpec("double", name) for name in TARGETS])
            with mlflow.start_run(experiment_id=self.experiment) as run:
                mlflow.set_tags({"project": project, "data_run": data_run or self.data_run})
                mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(HERE / "made_model.py"),
                    artifacts={"about": str(path)},
                    code_paths=[code] if code else None,
                    signature=ModelSignature(inputs, outputs) if signature else None,
                    pip_requirements=["mlflow"],
                )
            self.runs[key] = run.info.run_id
        return self.runs[key]

    def source(self, run_id: str) -> str:
        """Return the address of the model of a run."""
        return f"models:/{mlflow.get_run(run_id).outputs.model_outputs[0].model_id}"

    def version(self, name: str, run_id: str, alias: str = "", **tags) -> str:
        """Return the number of a new version of a registered model; tags as validate writes them, dots for the rest."""
        version = mlflow.register_model(self.source(run_id), name).version
        for key, value in tags.items():
            self.client.set_model_version_tag(name, version, key.replace("__", "."), value)
        if alias:
            self.client.set_registered_model_alias(name, alias, version)
        return version

    def waiting(self, name: str, run_id: str, against: str = "", mae: float = 1.0) -> str:
        """Return the number of a new version that has passed the gate and waits for approval."""
        tags = {
            "gate": "passed",
            "gate__against": against,
            "gate__when": "2026-01-01T00:00:00+00:00",
        }
        return self.version(name, run_id, "candidate", holdout_mae=str(mae), **tags)

    def tags(self, name: str, version: str) -> dict[str, str]:
        """Return the tags of a version."""
        return self.client.get_model_version(name, version).tags


@pytest.fixture(scope="session")
def registry(running_servers) -> SimpleNamespace:
    """Return the modules of the project, imported when the environment names the servers."""
    return SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


@pytest.fixture
def clean_process(registry) -> Callable:
    """Return the function that tries models in a process of their own, as the program does."""
    return registry.holdout.try_in_clean_process


@pytest.fixture
def own_process(registry, clean_process, monkeypatch) -> None:
    """Try models in the test's process: another one takes seconds, most of them to import MLflow."""
    main = registry.try_models.main
    monkeypatch.setattr(registry.holdout, "try_in_clean_process", lambda arguments, seconds: main(arguments))


@pytest.fixture(scope="session")
def made(registry, tmp_path_factory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture
def name(request) -> str:
    """Return a name for a registered model that no other test has."""
    return f"{re.sub(r'[^a-z]+', ' ', request.node.name)[:80]} {time.time_ns()}"
