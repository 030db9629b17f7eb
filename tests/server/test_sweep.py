"""Leave all sorts of things behind in a real artifact store and let the sweep find exactly these."""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import numpy as np
import pytest
import servers
import sweep
from mlflow.entities import TraceInfo, TraceLocation, TraceState, ViewType
from mlflow.tracing.client import TracingClient
from processes import child_environment, process
from sklearn.linear_model import LinearRegression

SCRIPT = Path(servers.__file__).with_name("sweep.py")
X = np.arange(6.0).reshape(3, 2)


@dataclass
class Site:
    """A pair of servers of our own: where they are, and the folder that the artifact store serves."""

    up: servers.Servers
    store: Path
    client: mlflow.MlflowClient

    def sweep(self, *arguments: str, tracking_uri: str | None = None) -> subprocess.CompletedProcess:
        """Type the command and return what came of it."""
        env = child_environment(MLFLOW_TRACKING_URI=tracking_uri or self.up.tracking_uri)
        command = [sys.executable, SCRIPT, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    def gc(self) -> None:
        """Remove what was deleted as MLflow does it."""
        command = [sys.executable, "-m", "mlflow", "gc", "--tracking-uri", self.up.tracking_uri]
        command += ["--backend-store-uri", "sqlite:///mlruns.db"]
        env = child_environment()
        done = subprocess.run(
            command, cwd=self.store.parent, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

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


def leftovers(done: subprocess.CompletedProcess) -> list[str]:
    """Return the paths that the command showed as leftovers."""
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split()[0] for line in done.stdout.splitlines() if line.startswith(" ") and "left alone" not in line]


def experiment(site: Site, name: str) -> str:
    """Make an experiment and return its identifier, as a text like those of its artifacts' addresses."""
    return site.client.create_experiment(name)


@pytest.fixture
def orphan(site, request) -> str:
    """Return the path of a model that only its deleted experiment knew of."""
    number = experiment(site, request.node.name)
    _, model = train(number)
    # Something else is in use, and SQLite does not give the number away once more.
    train(experiment(site, f"{request.node.name}, which stays"))
    site.client.delete_experiment(number)
    site.gc()
    assert (site.store / "artifacts" / number / "models" / model / "artifacts" / "MLmodel").exists()
    return f"{number}/models/{model}"


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

    shown = leftovers(site.sweep())
    expected = {f"{doomed}/models/{lost_model}", lost_trace, doomed, *lost_too}
    folders_only = set(shown) - expected
    assert set(shown) >= expected
    # What mlflow gc leaves of a deleted run is its empty folder.
    assert all(not list((site.store / "artifacts" / path / "artifacts").glob("*")) for path in folders_only)
    assert site.files() == before, "without --delete nothing is removed"

    done = site.sweep("--delete")
    assert leftovers(done) == shown
    assert done.stdout.count("not known, left alone") == 5
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
    assert leftovers(site.sweep()) == []


@pytest.mark.slow
def test_a_store_of_which_the_server_knows_nothing_is_not_emptied(site, orphan, free_port, tmp_path):
    port, before = free_port(), site.files()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", "sqlite:///mlruns.db", "--port", port]
    command += ["--default-artifact-root", f"ftp://localhost:{site.up.ftp_port}/artifacts"]
    with process("mlflow", command, tmp_path / "log", tmp_path, child_environment(**servers.SMALL)) as child:
        child.wait_until(lambda: servers.mlflow_answers(port), 120)
        done = site.sweep("--delete", tracking_uri=f"http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert "may be another server's store; nothing was removed" in done.stderr
    assert site.files() == before


def test_a_root_in_which_the_server_has_no_experiment_is_refused(site, running_servers):
    root = f"ftp://guest:12345@localhost:{site.up.ftp_port}/artifacts"
    done = site.sweep("--delete", "--root", root, tracking_uri=running_servers.tracking_uri)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"sweep: No experiment of the MLflow server at {running_servers.tracking_uri} has its"
    )
    assert f"in ftp://localhost:{site.up.ftp_port}/artifacts, expected one of: ftp://" in done.stderr
    assert "12345" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_another_spelling_of_the_root_is_the_same_root(site):
    experiment(site, "another spelling")
    done = site.sweep("--root", f"ftp://localhost:{site.up.ftp_port}/artifacts/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"ftp://localhost:{site.up.ftp_port}/artifacts/: ")


def test_roots_of_the_same_place_are_one_and_places_of_ones_own_are_none():
    locations = {
        "1": "ftp://guest:12345@localhost:2121/artifacts/1",
        "2": "ftp://127.0.0.1:2121/artifacts/2",
        "3": "ftp://127.0.0.1:2121/mine",
        "4": "ftps://ftp.example.org/other/4/",
    }
    assert list(sweep.artifact_roots(locations).values()) == [
        "ftp://guest:12345@localhost:2121/artifacts/",
        "ftps://ftp.example.org/other/",
    ]


def test_a_server_that_is_away_is_named_in_one_sentence(site, free_port):
    address = f"http://127.0.0.1:{free_port()}"
    done = site.sweep("--delete", tracking_uri=address)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("sweep: ")
    assert address.removeprefix("http://127.0.0.1:") in done.stderr


@pytest.mark.parametrize("address", ["", "sqlite:///mlruns.db"])
def test_something_else_than_a_server_is_refused(site, address, tmp_path):
    env = child_environment(MLFLOW_TRACKING_URI=address)
    done = subprocess.run([sys.executable, SCRIPT], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("sweep: MLFLOW_TRACKING_URI has to be the address of the MLflow server")
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def failing(site: Site, part: str, status: int) -> Iterator[str]:
    """Pass everything on to the MLflow server but questions with ``part`` in their address, which fail."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            code, body = status, b"<html>out of order</html>"
            if part not in self.path:
                try:
                    with servers.opener.open(site.up.tracking_uri + self.path, timeout=20) as answer:
                        code, body = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    code, body = error.code, error.read()
            self.reply(code, body)

        def do_POST(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            request = urllib.request.Request(site.up.tracking_uri + self.path, content)
            request.add_header("Content-Type", "application/json")
            with servers.opener.open(request, timeout=20) as answer:
                self.reply(answer.status, answer.read())

        def reply(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.slow
def test_nothing_is_removed_if_the_server_fails_to_answer_one_question(site, orphan):
    before = site.files()
    for part, status in (
        ("logged-models/m-", 500),
        ("logged-models/m-", 404),
        ("model-versions/search", 500),
        ("experiments/get", 403),
    ):
        with failing(site, part, status) as address:
            done = site.sweep("--delete", tracking_uri=address)
        assert done.returncode == 1, part
        assert "Traceback" not in done.stderr
        assert site.files() == before
    with failing(site, "nothing", 500) as address:
        assert orphan in leftovers(site.sweep(tracking_uri=address)), "the way through the middleman works"


@pytest.mark.slow
def test_what_is_logged_while_the_sweep_runs_is_safe(site, orphan):
    number, models, stop = experiment(site, "logged meanwhile"), [], threading.Event()

    def log() -> None:
        while not stop.is_set():
            models.append(train(number)[1])

    thread = threading.Thread(target=log)
    thread.start()
    try:
        assert orphan in leftovers(site.sweep("--delete"))
        for _ in range(2):
            assert leftovers(site.sweep("--delete")) == []
    finally:
        stop.set()
        thread.join()
    assert len(models) >= 2
    for model in models:
        assert np.allclose(mlflow.sklearn.load_model(f"models:/{model}").predict(X), X[:, 0])


def test_the_help_says_what_the_exit_status_means():
    done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    for words in ("--delete", "--root", "Exit status: 0", "MLFLOW_TRACKING_URI"):
        assert words in done.stdout
