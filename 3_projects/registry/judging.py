"""Judge a candidate: put its predictions before the rules of gate.py, and try it in a clean process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import gate
import mlflow
import numpy as np
import pandas as pd
from candidates import Forecast, forecast, model_of, naive_forecasts, seen_by
from gate import NOT_APPLICABLE, Result
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from rules import Rules
from transitions import State

client = mlflow.MlflowClient()
TRIAL_SECONDS = 300  # a model with tensorflow in it takes 10 s to load


@dataclass
class Candidate:
    """A version that is judged: what it predicts, how good that is, and what the rules said, if they were asked."""

    run: Run
    version: ModelVersion
    forecast: Forecast
    scores: dict[str, float]
    results: list[Result] = field(default_factory=list)

    @property
    def step(self) -> str:
        """Return the project that trained it."""
        return self.run.data.tags.get("step", "unknown")

    @property
    def title(self) -> str:
        """Return how a person calls it."""
        return f"version {self.version.version} ({self.step})"

    @property
    def passed(self) -> bool:
        """Return whether no rule stops it."""
        return bool(self.results) and all(result.outcome != gate.FAILED for result in self.results)


@dataclass(frozen=True)
class Ground:
    """What all candidates are judged on and against."""

    table: pd.DataFrame
    truth: pd.DataFrame
    naive: dict[str, pd.DataFrame]
    rules: Rules
    production: str | None  # the version
    forecast: Forecast | None  # of the model in production
    seen: np.ndarray  # which rows that model has had in its training
    remark: str  # what is to be said of the comparison with it


def try_in_clean_process(uri: str, row: pd.DataFrame) -> dict:
    """Return what try_model.py says of a model, in a process of its own and another folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.parquet"
        row.to_parquet(path)
        # -P: the folder of the script is none that modules are imported from.
        script = [sys.executable, "-P", str(Path(__file__).with_name("try_model.py")), uri, str(path)]
        try:
            done = subprocess.run(
                script, cwd=folder, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return {"problem": f"it took longer than {TRIAL_SECONDS} s"}
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"problem": f"the process ended with status {done.returncode}: {last}"}


def make_ground(
    name: str, state: State, candidates: list[Candidate], table: pd.DataFrame, truth: pd.DataFrame, rules: Rules, digest
) -> Ground:
    """Return what the candidates are judged on and against; the production model may be one of them.

    ``digest`` is that of the table. A production model that was trained on another table may have seen judged hours.
    What it has seen does not count against a candidate.
    """
    naive = naive_forecasts(table, truth, rules)
    version, nothing = state.production, np.zeros(len(truth), bool)
    if version is None:
        return Ground(table, truth, naive, rules, None, None, nothing, "")
    same = next((candidate for candidate in candidates if candidate.version.version == version), None)
    found = same.forecast if same else forecast(f"models:/{name}/{version}", table, truth)
    if found.values is not None and not np.isfinite(found.values).all(axis=None):
        found = Forecast(None, "not every prediction is a finite number")
    if found.values is None:
        # A model that is gone, or that wants columns which are gone, must not stand in the way of its successor.
        remark = f"version {version} in production could not be judged any more: {found.problem}"
        return Ground(table, truth, naive, rules, version, found, nothing, remark)
    seen = nothing if same else seen_by(client.get_model_version(name, version).run_id, digest, truth.index)
    remark = ""
    if seen.any():
        remark = (
            f"version {version} in production was trained on {seen.sum()} of the {len(truth)} judged rows, so only "
            "the others are compared"
        )
        if gate.days_of(truth.index[~seen]) < max(rules.fewest_days, 1):
            remark += f", and they are too few for that (less than {rules.fewest_days:g} days)"
    return Ground(table, truth, naive, rules, version, found, seen, remark)


def not_applicable(rules: Iterable[str], why: str) -> list[Result]:
    """Return that some rules say nothing."""
    return [Result(rule, NOT_APPLICABLE, why) for rule in rules]


def judge(candidate: Candidate, ground: Ground) -> list[Result]:
    """Return what each rule says of a candidate. The clean process is started only for one that all others let pass."""
    rules, ours, theirs = ground.rules, candidate.forecast.values, ground.forecast
    about, rest = candidate.forecast, ["gain", "naive", "parts", "values", "speed"]
    if ours is None and about.inputs is None:
        why = "it gives no predictions to judge"
        return [gate.result("loads", False, about.problem), *not_applicable(["signature", *rest], why)]
    results = [gate.judge_signature(about.inputs, about.outputs, list(ground.table.columns), rules)]
    if ours is None:
        why = f"it gives no predictions to judge: {about.problem}"
        if results[0].outcome == gate.FAILED:
            return results + not_applicable([*rest, "loads"], why)
        return [*results, gate.result("loads", False, about.problem), *not_applicable(rest, why)]
    results.append(gate.judge_values(ours, rules))
    if not np.isfinite(ours).all(axis=None):
        why = "not every prediction is a finite number"
        return results + not_applicable(["gain", "naive", "parts", "loads", "speed"], why)
    results.append(gate.judge_naive(ours, ground.naive, ground.truth, rules))
    unseen = ground.truth.index[~ground.seen]
    if theirs is None:
        results += not_applicable(["gain", "parts"], "nothing is in production")
    elif theirs.values is None or gate.days_of(unseen) < max(rules.fewest_days * ground.seen.any(), 1):
        results += not_applicable(["gain", "parts"], ground.remark)
    elif ours.equals(theirs.values):
        results += [gate.result("gain", False, "it predicts the same as the version in production")]
        results += not_applicable(["parts"], "it predicts the same as the version in production")
    else:
        rows = [frame.loc[unseen] for frame in (ours, theirs.values, ground.truth)]
        results += [gate.judge_gain(*rows, rules), gate.judge_parts(*rows, rules)]
    if any(result.outcome == gate.FAILED for result in results):
        return results + not_applicable(["loads", "speed"], "not tried, as another rule stops it")
    row = ground.table.loc[ground.truth.index[:1]]
    return results + gate.judge_trial(try_in_clean_process(model_of(candidate.run), row), rules)


def choose(name: str, candidates: list[Candidate], ground: Ground) -> tuple[Candidate | None, str]:
    """Judge the candidates, the one with the smallest error first, until one passes; return it, or None, and a verdict.

    A rejected version is offered again only if it is the only one.
    """
    said, off = [], ground.rules.mode == "off"
    for candidate in candidates:
        title = f"{name} {candidate.title}"
        if candidate.version.version == ground.production:
            said.append(f"{title} stays in production")
            if off:
                break
        elif "rejected" in candidate.version.tags and len(candidates) > 1:
            said.append(f"{title} is not offered again ({candidate.version.tags['rejected']})")
        elif off and candidate.forecast.values is not None:
            candidate.results = not_applicable(gate.RULES, "the gate is off")
            return candidate, f"{title} waits for approval; no rule has judged it, as the gate is off"
        else:
            candidate.results = judge(candidate, ground)
            if candidate.passed:
                gain = next(result.sentence for result in candidate.results if result.rule == "gain")
                return candidate, f"{title} has passed the gate and waits for approval: {gain}"
            failed = [f"{r.rule}: {r.sentence}" for r in candidate.results if r.outcome == gate.FAILED]
            said.append(f"{title} is not promoted: {'; '.join(failed)}")
    return None, ". ".join(said)
