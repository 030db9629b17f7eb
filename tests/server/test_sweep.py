"""Leave all sorts of things behind in a real artifact store and let the sweep find exactly these."""

import contextlib
import io
import sqlite3
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import mlflow
import numpy as np
import pytest
import requests
from learner import type_in
from mlflow.entities import TraceInfo, TraceLocation, TraceState, ViewType
from mlflow.tracing.client import TracingClient
from sklearn.linear_model import LinearRegression
from stores import until

from server import servers, sweep
from server.environment import child_environment
from server.processes import process

X = np.arange(6.0).reshape(3, 2)


@dataclass
class Site:
    """A pair of servers of our own: where they are, and the folder that the artifact store serves."""

    up: servers.Servers
    store: Path
    client: mlflow.MlflowClient

    def gc(self) -> None:
        """Remove what was deleted as MLflow does it."""
        type_in(f"mlflow gc --backend-store-uri sqlite:///{self.store.parent / 'mlruns.db'}")

    def files(self) -> set[str]:
        """Return the paths of all files in the artifact root."""
        root = self.store / "artifacts"
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def site(tmp_path_factory, free_port) -> Iterator[Site]:
    state = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as environment, servers.servers(state, state, free_port(), free_port()) as up:
        for name in ("MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD", "MLFLOW_DISABLE_TELEMETRY"):
            environment.setenv(name, child_environment()[name])
        environment.setenv("MLFLOW_TRACKING_URI", up.tracking_uri)
        yield Site(up, state / "ftp_root", mlflow.MlflowClient())


def train(experiment: str) -> tuple[str, str]:
    """Log a run with a text, a model and a trace; return the identifiers of run and model."""
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_text("wind", "notes/größe.txt")
        model = mlflow.sklearn.log_model(
            LinearRegression().fit(X, X[:, 0]),
            name="model",
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
    return run.info.run_id, model.model_id


def trace(site: Site, experiment: str) -> str:
    """Put a trace's data where MLflow puts them, and return their path."""
    location, identifier = TraceLocation.from_experiment_id(experiment), f"tr-{uuid.uuid4().hex}"
    TracingClient().start_trace(TraceInfo(identifier, location, request_time=0, state=TraceState.OK))
    path = f"{experiment}/traces/{identifier}"
    (site.store / "artifacts" / path / "artifacts").mkdir(parents=True, exist_ok=True)
    (site.store / "artifacts" / path / "artifacts" / "traces.json").write_text("{}")
    return path


def swept(*arguments: str) -> str:
    """Type the command in this process, and return what it says; it ends with SystemExit if it fails."""
    with mock.patch("sys.argv", ["sweep.py", *arguments]), contextlib.redirect_stdout(io.StringIO()) as said:
        sweep.main()
    return said.getvalue()


def leftovers(said: str) -> list[str]:
    """Return the paths that the command showed as leftovers."""
    return [line.split()[0] for line in said.splitlines() if line.startswith(" ") and "left alone" not in line]


def experiment(site: Site, name: str) -> str:
    """Make an experiment and return its identifier, as a text like those of its artifacts' addresses."""
    return site.client.create_experiment(name)


@pytest.mark.slow
def test_exactly_what_nothing_refers_to_is_shown_and_then_removed(site):
    kept, gone, doomed = (experiment(site, name) for name in ("kept", "registered, then deleted", "deleted"))
    train(kept)
    kept_trace = trace(site, kept)
    address = {}
    for number, name in ((kept, "a"), (gone, "b"), (gone, "c")):
        _, model = train(number)
        address[name] = f"models:/{model}"
        mlflow.register_model(address[name], name)
    # Older versions of MLflow let a version have any address: another spelling of the host, and the password in it.
    location = f"ftp://guest:12345@localhost:{site.up.ftp_port}/artifacts/{gone}/models/{model}/artifacts"
    with contextlib.closing(sqlite3.connect(site.store.parent / "mlruns.db")) as database, database:
        database.execute("UPDATE model_versions SET source = ?, storage_location = ? WHERE name = 'c'", [location] * 2)
    _, lost_model = train(doomed)
    lost_trace = trace(site, doomed)
    train(gone)  # nobody registered this one
    lost_too = {f"{gone}/models/{path.name}" for path in (site.store / "artifacts" / gone / "models").iterdir()}
    lost_too -= {f"{gone}/{address[name].replace(':', '')}" for name in "bc"}
    for number in (gone, doomed):
        site.client.delete_experiment(number)
    removed_run, _ = train(kept)
    site.client.delete_run(removed_run)
    site.gc()
    assert site.client.search_runs([kept], run_view_type=ViewType.DELETED_ONLY) == []
    # These are deleted, but can be brought back, or wait for mlflow gc.
    deleted_run, deleted_model = train(kept)
    site.client.delete_run(deleted_run)
    site.client.delete_logged_model(deleted_model)
    # These are not MLflow's.
    strangers = [f"{'a' * 32}/note", f"cache/{'b' * 32}/artifacts/x", f"{kept}/{'c' * 32}/else", "note", f"{kept}/note"]
    for path in strangers:
        (site.store / "artifacts" / path).parent.mkdir(parents=True, exist_ok=True)
        (site.store / "artifacts" / path).write_text("mine")
    before = site.files()

    shown = leftovers(swept())
    expected = {f"{doomed}/models/{lost_model}", lost_trace, doomed, *lost_too}
    assert set(shown) >= expected
    # What mlflow gc leaves of a deleted run is its empty folder.
    rest = [site.store / "artifacts" / path / "artifacts" for path in set(shown) - expected]
    assert not any(any(folder.glob("*")) for folder in rest)
    assert site.files() == before, "without --delete nothing is removed"

    said = swept("--delete")
    assert leftovers(said) == shown
    assert said.count("not made by MLflow, left alone") == 5
    lost = {path for path in before if path.startswith(tuple(f"{folder}/" for folder in expected))}
    assert lost
    assert site.files() == before - lost
    assert not (site.store / "artifacts" / doomed).exists(), "empty folders go too"
    assert (site.store / "artifacts" / kept_trace).exists()
    for name in ("models:/a/1", "models:/b/1"):
        assert np.allclose(mlflow.sklearn.load_model(name).predict(X), X[:, 0])
    assert (site.store / "artifacts" / gone / "models" / model / "artifacts" / "MLmodel").exists()
    site.client.restore_run(deleted_run)
    assert mlflow.artifacts.load_text(f"runs:/{deleted_run}/notes/größe.txt") == "wind"
    assert leftovers(swept()) == []


@pytest.mark.parametrize("address", [" ", "sqlite:///mlruns.db", "http://ada:lovelace@127.0.0.1:{port}"])
def test_a_server_that_is_none_or_away_is_named_in_one_sentence(address, free_port, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(port=(port := free_port())))
    with pytest.raises(SystemExit, match=r"^sweep: ") as end:
        swept("--delete")
    sentence = str(end.value)
    assert len(sentence.splitlines()) == 1
    assert str(port) in sentence or "MLFLOW_TRACKING_URI has to be the address of the MLflow server" in sentence
    assert "lovelace" not in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_unused_model_stays_while_a_server_is_in_doubt_and_goes_while_others_log(
    site, free_port, tmp_path, monkeypatch
):
    # This one comes first: SQLite gives the number of a removed experiment away once more, with what is in its folder.
    used = experiment(site, "in use")
    train(used)
    number = experiment(site, "whose model is left behind")
    _, model = train(number)
    orphan = f"{number}/models/{model}"
    site.client.delete_experiment(number)
    site.gc()
    before = site.files()

    # A server that knows nothing of what is in this store.
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlruns.db", "--port", port]
    command += ["--default-artifact-root", f"ftp://localhost:{site.up.ftp_port}/artifacts"]
    with process("mlflow", command, tmp_path / "log", tmp_path, child_environment(**servers.SMALL)) as child:
        child.wait_until(lambda: servers.mlflow_answers(port), 120)
        with monkeypatch.context() as terminal:
            terminal.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
            with pytest.raises(SystemExit, match="may be another server's store; nothing was removed"):
                swept("--delete")
    assert site.files() == before

    # The right one, which fails to answer one question.
    request = requests.Session.request
    questions = {"logged-models/m-": (500, 404), "model-versions/search": (500,), "experiments/get": (403,)}
    for part, status in ((part, status) for part, statuses in questions.items() for status in statuses):

        def fail(session, method, url, *arguments, part=part, status=status, **options):
            if part not in url:
                return request(session, method, url, *arguments, **options)
            response = requests.Response()
            response.status_code, response._content = status, b"<html>out of order</html>"
            return response

        with mock.patch.object(requests.Session, "request", fail), pytest.raises(SystemExit, match=r"^sweep: "):
            swept("--delete")
        assert site.files() == before, part

    models, stop = [], threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            models.append(train(used)[1])

    with ThreadPoolExecutor() as pool:
        logging = pool.submit(go_on)
        try:
            assert orphan in leftovers(swept("--delete"))
            until(lambda: len(models) > 2 or logging.done())
            assert leftovers(swept("--delete")) == []
        finally:
            stop.set()
        logging.result()
    for model in models:
        assert np.allclose(mlflow.sklearn.load_model(f"models:/{model}").predict(X), X[:, 0])
