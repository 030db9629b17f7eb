"""The real servers, started once for the whole test run, and what many tests need."""

import contextlib
import json
import mmap
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from stores import until

from server.processes import last_lines
from server.servers import Servers, servers

ROOT = Path(__file__).resolve().parents[1]
# The real series, for developers and CI; a user doesn't have it, and the tests that need it say so.
REAL_DATA = ROOT.parent / "shared" / "data" / "germany_opsd_2013_2015.csv"
# What the small workflow of the tests is run with: 5 months of the sample, few trees, few epochs, few trials.
SMALL = {"holdout_days": "30", "n_estimators": "8", "epochs": "8", "trials": "2"}
# Warnings of these are errors in the projects that the tests run, as they are in the tests themselves.
OWN_MODULES = ["__main__", *(path.stem for path in (ROOT / "3_projects").glob("*/*.py"))]

# The artifact store's password in this test run. Nothing that is printed or left behind may hold it.
PASSWORD = secrets.token_urlsafe(12)
# What --quick does without.
HEAVY = {"world", "running_servers", "other_servers", "chromium", "checkout", "real_data"}
SAID_IT = pytest.StashKey[list[str]]()
MARK = "WORKSHOP_TEST_RUN"  # in the environment of every process that comes from this test run


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that CONTRIBUTING.md explains."""
    parser.addoption("--quick", action="store_true", help="leave out what takes long or needs more than Python")
    parser.addoption("--kills", type=int, default=10, help="how often each test of kill -9 kills (default: 10)")


def pytest_configure(config: pytest.Config) -> None:
    """Let the servers be stopped before SIGTERM ends the test run; mark what the run starts."""
    signal.signal(signal.SIGTERM, lambda number, frame: pytest.exit("stopped by SIGTERM"))
    config.stash[SAID_IT] = []
    if not hasattr(config, "workerinput"):
        os.environ[MARK] = secrets.token_hex(8)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no process behind: of a run that was interrupted, the workers have no time to stop their servers."""
    if hasattr(config, "workerinput"):
        return
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == os.environ[MARK]:
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=10)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the slow tests come last, so that a mistake shows early; of several processes, let none wait for another."""
    if config.getoption("--quick"):
        left_out = [item for item in items if item.get_closest_marker("slow") or HEAVY.intersection(item.fixturenames)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    slow_first = hasattr(config, "workerinput")
    items.sort(key=lambda item: (item.get_closest_marker("slow") is not None) is not slow_first)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Show how the logs of the running servers end, below a test that failed."""
    report = yield
    if report.failed:
        for fixture in ("running_servers", "other_servers"):
            if up := item.funcargs.get(fixture):
                for child in up.started:
                    report.sections.append((f"log of {child.name.lower()}", "\n".join(last_lines(child.log))))
    if any(PASSWORD in text for text in (report.longreprtext, *(text for _, text in report.sections))):
        item.config.stash[SAID_IT].append(item.nodeid)
    return report


def holds_password(path: Path) -> bool:
    """Return whether the test run's password is in a file."""
    if path.is_symlink() or not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(PASSWORD.encode()) >= 0


@pytest.fixture(autouse=True)
def own_experiment() -> Iterator[None]:
    """Let no test choose the experiment of those after it, as ``mlflow.set_experiment`` does."""
    yield
    assert os.environ.pop("MLFLOW_EXPERIMENT_ID", None) is None, "set MLFLOW_EXPERIMENT_NAME by monkeypatch instead"


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the top of the project."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the real series; CI has to have it."""
    if not REAL_DATA.exists():
        reason = "the real data are not beside this checkout; fetch them with 1_starting_point/download.py"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return REAL_DATA


@pytest.fixture(scope="session")
def kills(pytestconfig) -> int:
    """Return how often a test kills what it is about, each time at another moment."""
    return pytestconfig.getoption("--kills")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a browser; CI has to have one."""
    from dashboard.screenshot import find_browser  # most tests need none

    path = find_browser()
    if path is None:
        reason = "no Chromium, Chrome or Edge is on the PATH"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that names a port on which nothing listens."""

    def find() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return listener.getsockname()[1]

    return find


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Have a disk of 4 MB; only root may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """Return a copy of the project as a fresh clone has it, with the packages installed already."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    names = [Path(line).name for line in ignored if line and not line.startswith("#")]
    shutil.copytree(ROOT, tmp_path / "project", ignore=shutil.ignore_patterns(".git", *names))
    (tmp_path / "project" / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path / "project"


@pytest.fixture(scope="session")
def login() -> None:
    """Give the artifact stores of this test run a password of their own, and tell their clients."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_FTP_USERNAME", "guest")
        environment.setenv("MLFLOW_FTP_PASSWORD", PASSWORD)
        yield


def type_mlflow_run(project: str, experiment: str, env: dict[str, str], **parameters) -> subprocess.CompletedProcess:
    """Type ``mlflow run`` and return what came of it."""
    command = [sys.executable, "-m", "mlflow", "run", project, "--env-manager", "local"]
    command += ["--experiment-name", experiment]
    for name, value in parameters.items():
        command += ["-P", f"{name}={value}"]
    env = env | {"PYTHONWARNINGS": ",".join(f"error:::{module}" for module in OWN_MODULES)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)


@dataclass
class World:
    """A state folder in which the whole workflow has run on the small CSV, and what that printed."""

    folder: Path
    ftp_port: int
    printed: str

    def copy(self, state: Path, ftp_port: int) -> None:
        """Make a state folder like it, whose artifact store is at another port."""
        old, new = (f"ftp://127.0.0.1:{port}/" for port in (self.ftp_port, ftp_port))
        shutil.copytree(self.folder / "ftp_root", state / "ftp_root")
        for path in state.rglob("MLmodel"):
            path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        with (
            contextlib.closing(sqlite3.connect(self.folder / "mlruns.db")) as database,
            contextlib.closing(sqlite3.connect(state / "mlruns.db")) as other,
        ):
            other.executescript("\n".join(database.iterdump()).replace(old, new))


@pytest.fixture(scope="session")
def world(shared, free_port, login, on_path, small_csv) -> World:
    """Train all models once in a test run; of several processes the first one does it, and the others wait."""
    folder = shared / "world"
    answer = folder / "answer.json"
    try:
        folder.mkdir()
    except FileExistsError:
        until(answer.exists, 1200)
    else:
        with servers(folder, folder / "logs", free_port(), free_port()) as up:
            env = os.environ | {"MLFLOW_TRACKING_URI": up.tracking_uri}
            done = type_mlflow_run("3_projects/workflow", "wind_solar", env, csv=small_csv, **SMALL)
        said = [up.ftp_port, done.stdout, done.returncode and done.stderr]
        answer.with_suffix(".partial").write_text(json.dumps(said), encoding="utf-8")
        answer.with_suffix(".partial").rename(answer)
    ftp_port, printed, failure = json.loads(answer.read_text(encoding="utf-8"))
    assert not failure, printed + failure
    return World(folder, ftp_port, printed)


@pytest.fixture(scope="session")
def on_path() -> Iterator[None]:
    """Let ``mlflow run`` start this Python, as it starts "python"; and keep MLflow off the network."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
        environment.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        yield


@pytest.fixture(scope="session")
def running_servers(request, tmp_path_factory, free_port, login, on_path, pytestconfig) -> Servers:
    """Run the artifact store and the MLflow server, of which the environment tells the tests and their children.

    If a test of this run needs trained models, they are there from the beginning. When the servers have been stopped,
    the password must be in no file that the test run wrote, and in no test's output.
    """
    state, ftp_port, written = tmp_path_factory.mktemp("state"), free_port(), [tmp_path_factory.getbasetemp()]
    if any("world" in item.fixturenames for item in request.session.items):
        world = request.getfixturevalue("world")
        world.copy(state, ftp_port)
        written.append(world.folder)
    with pytest.MonkeyPatch.context() as environment, servers(state, state / "logs", ftp_port, free_port()) as up:
        environment.setenv("MLFLOW_TRACKING_URI", up.tracking_uri)
        yield up
    assert not [path for folder in written for path in folder.rglob("*") if holds_password(path)]
    assert not pytestconfig.stash[SAID_IT]


@pytest.fixture(scope="session")
def other_servers(tmp_path_factory, free_port, login) -> Servers:
    """Run a second pair of servers, for the tests that would leave other data or models as the newest ones."""
    state = tmp_path_factory.mktemp("other")
    with servers(state, state / "logs", free_port(), free_port()) as up:
        yield up


@pytest.fixture(scope="session")
def store(running_servers) -> Path:
    """Return the folder that the artifact store serves."""
    return (
        Path(next(child for child in running_servers.started if "artifact" in child.name).log).parents[1] / "ftp_root"
    )


@pytest.fixture(scope="session")
def mlflow_run(running_servers) -> Callable[..., subprocess.CompletedProcess]:
    """Return a function that types ``mlflow run`` for the running servers, or for others."""

    def run(project: str, experiment: str = "wind_solar", tracking_uri: str | None = None, **parameters):
        env = os.environ | ({"MLFLOW_TRACKING_URI": tracking_uri} if tracking_uri else {})
        return type_mlflow_run(project, experiment, env, **parameters)

    return run


@pytest.fixture(scope="session")
def shared(request, tmp_path_factory) -> Path:
    """Return the folder that the processes of a test run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if hasattr(request.config, "workerinput") else base


@pytest.fixture(scope="session")
def small_csv(shared, tmp_path_factory) -> Path:
    """Return five months of the sample, with the description that says that it is simulated."""
    folder = tmp_path_factory.mktemp("csv")
    sample = ROOT / "1_starting_point"
    lines = (sample / "germany.csv").read_text(encoding="utf-8").splitlines()
    chosen = [lines[0], *(line for line in lines if "2013-04-01" <= line[:10] < "2013-09-01")]
    (folder / "germany.csv").write_text("\n".join(chosen) + "\n", encoding="utf-8")
    shutil.copy(sample / "datapackage.json", folder)
    with contextlib.suppress(OSError):  # another process was the first
        folder.rename(shared / "csv")
    return shared / "csv" / "germany.csv"


@pytest.fixture(scope="session")
def workflow(running_servers, world) -> str:
    """Have the whole workflow run on the running servers, on the small CSV, and return what it printed."""
    return world.printed
