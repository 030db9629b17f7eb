"""Open the one door as a person does: start it, interrupt it, take its ports, its disk and its network away."""

import ast
import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
from stores import until

from server.environment import DECLARED
from server.processes import process
from server.servers import Servers, ftp_answers, get, listens, mlflow_answers, servers

ROOT = Path(__file__).resolve().parents[1]
WORKSHOP = ROOT / "workshop.py"
PLUGIN = Path("server/mlflow-ftp/pyproject.toml")
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")


class Door:
    """A call of workshop.py, what it has printed, and the processes that come from it."""

    def __init__(self, folder: Path, *arguments: object, script: Path = WORKSHOP, **variables: str):
        """Start it in a group of its own, with a mark in the environment that everything it starts inherits."""
        self.mark = f"WORKSHOP_TEST_{uuid.uuid4().hex}"
        self.output = folder / f"{self.mark}.txt"
        with self.output.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, str(script), *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, self.mark: "1", **variables},
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """Return what it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def says(self, words: str, seconds: float = 60) -> None:
        """Wait until it has said something."""
        until(lambda: words in self.text or self.popen.poll() is not None, seconds)
        assert words in self.text, self.text

    def ends(self, seconds: float = 60) -> int:
        """Wait for its end and return its exit status; nothing that it started may be left then."""
        status = self.popen.wait(seconds)
        until(lambda: not self.processes(), 3)
        assert "Traceback" not in self.text
        return status

    def processes(self, name: str = "") -> list[psutil.Process]:
        """Return the living processes that come from it, or those of them with a word in their command."""
        found = []
        for child in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                alive = child.status() != psutil.STATUS_ZOMBIE
                if alive and self.mark in child.environ() and name in " ".join(child.cmdline()):
                    found.append(child)
        return found

    @property
    def last_line(self) -> str:
        """Return the last line that it printed."""
        return self.text.strip().splitlines()[-1]


@pytest.fixture
def any_door(tmp_path) -> Iterator[Callable[..., Door]]:
    """Return a function that opens a door; what is left behind it is swept away."""
    doors = []

    def call(*arguments: object, **options) -> Door:
        doors.append(Door(tmp_path, *arguments, **options))
        return doors[-1]

    yield call
    for door in doors:
        for child in door.processes():
            with contextlib.suppress(psutil.Error):
                child.kill()
        door.popen.wait()


@pytest.fixture
def door(any_door) -> Callable[..., Door]:
    """Return a function that opens this project's own door, if its environment is made."""
    marker = ROOT / ".venv" / "installed-requirements.sha256"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in DECLARED)).hexdigest()
    if not marker.exists() or marker.read_text() != digest:
        reason = ".venv does not have what requirements.txt says, and no test shall install it: python workshop.py test"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return any_door


@pytest.fixture(scope="module")
def up(tmp_path_factory, free_port) -> Iterator[Servers]:
    """Run two servers that the doors find and have to leave alone."""
    state = tmp_path_factory.mktemp("found")
    with servers(state, state / "logs", free_port(), free_port()) as both:
        yield both
        assert ftp_answers(both.ftp_port)
        assert mlflow_answers(both.mlflow_port)


def fill(folder: Path) -> None:
    """Leave no byte free on the disk of a folder."""
    with (folder / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))


def at(servers_up: Servers, state: Path) -> list[object]:
    """Return the options for servers that are up."""
    return ["--ftp-port", servers_up.ftp_port, "--mlflow-port", servers_up.mlflow_port, "--state", state]


# The Python that it is called with


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 14, 0)])
def test_a_python_that_is_too_old_or_too_new_is_told_so_in_one_sentence(version):
    ast.parse(WORKSHOP.read_text(encoding="ascii"), feature_version=(3, 6))  # an old one can read it
    done = with_the_machine(f"sys.version_info = {version}", WORKSHOP)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"found Python {version[0]}.{version[1]}. Install one from https://www.python.org" in done.stderr


# What it is asked to do


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["the following arguments are required: COMMAND"]),
        ("fly", ["invalid choice: 'fly'"]),
        ("run --fast", ["unrecognized arguments: --fast"]),
        ("run --dashboard-port 70000", ["expected a number from 1 to 65535, found '70000'"]),
        ("servers", ["argument --mlflow-port: expected a number from 1 to 65535, found 'five thousand'"]),
        ("--help", ["run", "servers", "notebook", "test", "what follows goes to pytest"]),
        ("run --help", ["--once", "--data", "--holdout-days", "--dashboard-port", "DASHBOARD_PORT", "--state"]),
        ("servers --help", ["--ftp-port", "FTP_PORT", "--mlflow-port", "MLFLOW_PORT", "WORKSHOP_STATE"]),
    ],
)
def test_mistakes_and_help_give_the_usage_before_anything_is_installed(any_door, tmp_path, arguments, words):
    project = Project(tmp_path / "project")
    port = "five thousand" if arguments == "servers" else "5000"
    call = any_door(*arguments.split(), script=project.script, COLUMNS="200", MLFLOW_PORT=port)
    assert call.ends(20) == (0 if "--help" in arguments else 2)
    assert call.text.startswith("usage: workshop.py")
    assert [word for word in words if word not in call.text] == []
    assert not (project.folder / ".venv").exists()


def test_test_passes_its_arguments_to_pytest_and_returns_its_exit_status(door):
    arguments = "test", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/server/test_processes.py", "-k"
    call = door(*arguments, "proxy")
    assert call.ends() == 0
    assert "1/" in call.last_line
    assert door(*arguments, "no_such_test").ends() == 5, "pytest's status for no tests"


# The environment that it makes

SAYS = """
import os, sys
print("arguments", sys.argv[1:])
print("prefix", sys.prefix)
sys.exit(3)
"""


def wheel(folder: Path, name: str, version: str, files: dict[str, str | Path]) -> None:
    """Write a wheel of any platform, of texts and of files that are copied."""
    info = f"{name}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    names = [*files, *metadata, f"{info}/RECORD"]
    metadata[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in names)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in {**files, **metadata}.items():
            if isinstance(content, Path):
                archive.write(content, path)
            else:
                archive.writestr(path, content)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """Return a folder with the real uv, and with a package called server that says how it was called."""
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "server", "1.0", {"server/__init__.py": "", "server/__main__.py": SAYS})
    wheel(folder, "another", "1.0", {"another.py": ""})
    uv = importlib.metadata.distribution("uv")
    files = {str(file): Path(uv.locate_file(file)) for file in uv.files if str(file).startswith("uv/")}
    program = Path(sysconfig.get_path("scripts")) / ("uv.exe" if os.name == "nt" else "uv")
    files[f"uv-{uv.version}.data/scripts/{program.name}"] = program
    wheel(folder, "uv", uv.version, {name: path for name, path in files.items() if path.suffix != ".pyc"})
    return folder


def offline(wheels: Path | None = None, **variables: str) -> dict[str, str]:
    """Return the variables with which pip and uv know these wheels and nothing else."""
    forget = {name: "" for name in os.environ if name.startswith(("PIP_", "UV_"))}
    sources = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels)}
    return {**forget, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", **(sources if wheels else {}), **variables}


class Project:
    """A copy of the door, with few requirements."""

    def __init__(self, folder: Path):
        """Copy it."""
        self.folder = folder
        self.script = folder / "workshop.py"
        (folder / PLUGIN.parent).mkdir(parents=True)
        for path in ("workshop.py", "server/environment.py", "server/options.py", "pyproject.toml", PLUGIN):
            shutil.copy(ROOT / path, folder / path)
        self.require("server==1.0")

    def require(self, *packages: str, uv: str = importlib.metadata.version("uv")) -> None:
        """Write requirements.txt as uv does."""
        lines = [f"{package}\n    # via -r requirements.in\n" for package in (*packages, f"uv=={uv}")]
        (self.folder / "requirements.txt").write_text("# made by uv\n" + "".join(lines))


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory, wheels) -> Project:
    """Return a project in a folder with blanks and letters in its name, and half an environment in it."""
    project = Project(tmp_path_factory.mktemp("set-up") / "Wind & Größe")
    (project.folder / ".venv" / "lib").mkdir(parents=True)
    (project.folder / ".venv" / "lib" / "half-made").touch()
    return project


@pytest.fixture
def project(shared_project, wheels, any_door) -> Project:
    """Return a project whose environment is made."""
    shared_project.require("server==1.0")
    call = any_door("test", script=shared_project.script, **offline(wheels))
    assert call.ends() == 3, call.text
    return shared_project


def test_the_environment_is_made_over_a_half_made_one_and_the_next_call_goes_on_inside_it_at_once(project, any_door):
    assert not (project.folder / ".venv" / "lib" / "half-made").exists()
    call = any_door("test", "-k", "wind", script=project.script, **offline())
    assert call.ends() == 3, "the exit status of the program inside"
    assert call.text.splitlines() == ["arguments ['test', '-k', 'wind']", f"prefix {project.folder / '.venv'}"]


def test_other_requirements_are_installed_at_the_next_call(project, wheels, any_door):
    project.require("server==1.0", "another==1.0")
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 3
    steps = ["What the workshop needs has changed", "[2/3] Getting the installer uv", "[3/3] Installing 3 packages"]
    assert [step for step in steps if step not in call.text] == []
    assert "[1/3]" not in call.text, "the environment is kept, so it takes seconds"
    assert list(project.folder.glob(".venv/**/another.py"))
    project.require("server==1.0")
    assert any_door("test", script=project.script, **offline(wheels)).ends() == 3
    assert not list(project.folder.glob(".venv/**/another.py")), "what is not required any more is gone"
    for declared in (PLUGIN, "pyproject.toml"):
        with (project.folder / declared).open("a") as file:
            file.write("# another version\n")
        call = any_door("test", script=project.script, **offline(wheels))
        assert call.ends() == 3
        assert "What the workshop needs has changed" in call.text


def test_where_there_is_no_uv_pip_does_it(project, wheels, any_door, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    wheel(links, "another", "1.0", {"another.py": ""})
    shutil.copy(next(wheels.glob("server-*")), links)
    (project.folder / "requirements.txt").write_text('server==1.0\nanother==1.0\nuv==99.0 ; sys_platform == "none"\n')
    call = any_door("test", script=project.script, **offline(links))
    assert call.ends() == 3
    assert "uv can't do it here, so pip does, which takes some minutes." in call.text
    assert list(project.folder.glob(".venv/**/another.py"))


def test_settings_of_python_pip_and_uv_for_other_work_do_not_lead_the_installation_astray(
    project, wheels, any_door, tmp_path
):
    (tmp_path / "pip.conf").write_text("[global]\nuser = true\n")
    (tmp_path / "constraints.txt").write_text("another==2.0\n")
    (tmp_path / "elsewhere" / "server").mkdir(parents=True)
    (tmp_path / "elsewhere" / "server" / "__init__.py").write_text("raise RuntimeError('of another installation')\n")
    places = dict.fromkeys(("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONPATH"), str(tmp_path / "elsewhere"))
    constraints = dict.fromkeys(("PIP_CONSTRAINT", "UV_CONSTRAINT"), str(tmp_path / "constraints.txt"))
    flags = dict.fromkeys(("PIP_USER", "PIP_REQUIRE_HASHES", "PYTHONSAFEPATH", "UV_REQUIRE_HASHES"), "1")
    project.require("server==1.0", "another==1.0")
    sources = offline(wheels, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    call = any_door("test", script=project.script, **sources | places | constraints | flags)
    assert call.ends() == 3, call.text
    assert "uv can't do it here" not in call.text
    assert list(project.folder.glob(".venv/**/another.py"))


@posix
def test_a_moved_folder_gets_a_new_environment_and_one_behind_a_link_is_used(project, wheels, any_door, tmp_path):
    moved, elsewhere = project.folder.with_name("moved"), tmp_path / "elsewhere"
    project.folder.rename(moved)
    project.folder, project.script = moved, moved / "workshop.py"
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 3
    assert "[1/3] Making the environment .venv" in call.text
    assert f"prefix {moved / '.venv'}" in call.text
    (moved / ".venv").rename(elsewhere)
    (moved / ".venv").symlink_to(elsewhere, target_is_directory=True)
    assert any_door("test", script=project.script, **offline()).ends(20) == 3
    (moved / ".venv").unlink()
    elsewhere.rename(moved / ".venv")


@posix
def test_an_environment_of_others_behind_a_link_is_left_alone(any_door, tmp_path):
    project, others = Project(tmp_path / "project"), tmp_path / "others"
    (others / "bin").mkdir(parents=True)
    (others / "bin" / "python").symlink_to(sys.executable)
    (others / "pyvenv.cfg").touch()
    (project.folder / ".venv").symlink_to(others)
    call = any_door("test", script=project.script)
    assert call.ends() == 1
    assert call.last_line.startswith(f"workshop.py: {project.folder / '.venv'} is a link to {others}")
    assert sorted(path.name for path in others.iterdir()) == ["bin", "pyvenv.cfg"]


def test_an_installation_that_fails_is_shown_with_the_last_lines_of_its_log(project, wheels, any_door):
    project.require("server==1.0", "no-such-package==1.0")
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 1
    assert "workshop.py: The installation failed. Its log ends with:" in call.text
    assert "No matching distribution found for no-such-package==1.0" in call.text
    assert call.last_line.endswith(f"The log is {project.folder / 'server' / 'logs' / 'install.log'}.")


def test_an_installation_without_a_network_says_so_and_is_not_tried_again_with_pip(any_door, tmp_path, free_port):
    project, index = Project(tmp_path / "project"), f"http://127.0.0.1:{free_port()}/simple"
    call = any_door("run", script=project.script, **offline(PIP_INDEX_URL=index, UV_INDEX_URL=index))
    assert call.ends() == 1
    assert "so pip does" not in call.text
    assert call.last_line.startswith("workshop.py: The package index can't be reached. Check the network and the proxy")


@posix
@pytest.mark.slow
def test_an_interrupted_installation_leaves_nothing_running_and_the_next_call_begins_anew(any_door, tmp_path, wheels):
    project = Project(tmp_path / "project")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        call = any_door("test", script=project.script, **offline(PIP_INDEX_URL=index))
        silent.settimeout(60)
        connection = silent.accept()[0]
        second = any_door("test", script=project.script, **offline(wheels))
        assert second.ends() == 1
        assert "workshop.py: Another workshop.py is at work and writes to " in second.last_line
        call.popen.send_signal(signal.SIGTERM)
        assert call.ends(15) == 130
        connection.close()
    assert call.last_line == "Stopped before it was done."
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 3
    assert "[1/3] Making the environment .venv ..." in call.text


def with_the_machine(change: str, script: Path) -> subprocess.CompletedProcess:
    """Run a door on a machine that lacks something."""
    code = f"import runpy, shutil, sys; {change}; sys.argv = ['workshop.py', 'run']; "
    code += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)


def test_a_disk_that_is_too_small_is_named_before_anything_is_made(tmp_path):
    project = Project(tmp_path / "project")
    small = "from types import SimpleNamespace; shutil.disk_usage = lambda path: SimpleNamespace(free=1.25e9)"
    done = with_the_machine(small, project.script)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"workshop.py: The packages need 5 GB of disk, and 1.2 GB are free in {project.folder}. Free some."
    )
    assert not (project.folder / ".venv").exists()


@pytest.mark.parametrize("character", ["#", os.pathsep])
def test_a_character_in_the_path_that_mlflow_or_python_take_for_something_else_is_named(tmp_path, any_door, character):
    project = Project(tmp_path / f"wind{character}solar" / "project")
    call = any_door("run", script=project.script)
    assert call.ends() == 1
    assert call.last_line == f"workshop.py: Take the {character} out of the name of the folder {project.folder}."
    assert not (project.folder / ".venv").exists()


# The servers, the main job and the notebooks


def test_a_state_folder_that_cannot_be_made_is_named(door, tmp_path, free_port):
    (tmp_path / "file").touch()
    call = door("servers", "--state", tmp_path / "file", "--ftp-port", free_port(), "--mlflow-port", free_port())
    assert call.ends() == 1
    assert call.last_line.startswith("workshop.py: ")
    assert str(tmp_path / "file") in call.last_line


@pytest.mark.slow
@posix
def test_both_servers_come_up_are_shown_and_are_gone_after_ctrl_c_even_if_it_comes_twice(
    door, tmp_path, free_port, monkeypatch
):
    monkeypatch.delenv("MLFLOW_FTP_PASSWORD", raising=False)
    ftp_port, mlflow_port, state = free_port(), free_port(), tmp_path / "state #1 of größe? 100%20;=&"
    call = door("servers", "--ftp-port", ftp_port, "--mlflow-port", mlflow_port, "--state", state)
    call.says("Ctrl-C stops what was started here.")
    assert "Starting the artifact store and the MLflow server: done in" in call.text
    assert f"export MLFLOW_TRACKING_URI=http://127.0.0.1:{mlflow_port}\n" in call.text
    assert "export MLFLOW_FTP_USERNAME=guest MLFLOW_FTP_PASSWORD=12345\n" in call.text
    assert f"ftp://127.0.0.1:{ftp_port}\n" in call.text
    assert ftp_answers(ftp_port)
    assert mlflow_answers(mlflow_port)
    assert len(call.processes()) > 2
    os.killpg(call.popen.pid, signal.SIGINT)
    call.says("Stopping ...")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(call.popen.pid, signal.SIGINT)
        os.killpg(call.popen.pid, signal.SIGTERM)
    assert call.ends(15) == 0
    assert not listens(ftp_port)
    assert not listens(mlflow_port)
    assert sorted(path.name for path in (state / "logs").iterdir()) == ["ftpserver.log", "mlflow.log"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "when"), [("servers", "Ctrl-C stops what was started here."), ("run", "Training and judging")]
)
def test_a_server_that_dies_is_named_and_all_else_is_stopped(door, command, when, tmp_path, free_port):
    ports = "--ftp-port", free_port(), "--mlflow-port", free_port()
    call = door(command, *ports, "--state", tmp_path)
    call.says(when)
    for child in call.processes("ftpserver.py"):
        child.kill()
    assert call.ends(15) == 1
    assert "workshop.py: The artifact store ended with exit status" in call.text
    assert f"Its log is {tmp_path / 'logs' / 'ftpserver.log'}, which ends with:" in call.text


def test_a_disk_that_becomes_full_during_the_main_job_is_named_within_seconds(door, up, small_disk, free_port):
    call = door("run", *at(up, small_disk), "--dashboard-port", free_port())
    call.says("Training and judging the models")
    fill(small_disk)
    assert call.ends(15) == 1
    assert call.last_line == f"workshop.py: The disk is full: 0.0 MB are free in {small_disk}. Free some and try again."


@posix
def test_what_it_found_is_used_and_left_running_and_only_what_it_started_is_stopped(door, up, tmp_path, free_port):
    port = free_port()
    call = door("servers", *at(up, tmp_path / "state"), "--ftp-port", port)
    call.says("Ctrl-C stops what was started here.")
    assert "The MLflow server was running already. It is used, and left running." in call.text
    assert ftp_answers(port)
    call.popen.send_signal(signal.SIGTERM)
    assert call.ends(15) == 0
    assert not listens(port)
    assert mlflow_answers(up.mlflow_port)


@posix
def test_ctrl_c_while_the_servers_start_leaves_neither_behind(door, tmp_path, free_port):
    call = door("run", "--ftp-port", free_port(), "--mlflow-port", free_port(), "--state", tmp_path)
    until(lambda: call.processes("mlflow server"))
    os.killpg(call.popen.pid, signal.SIGINT)
    assert call.ends(15) == 130
    assert call.last_line == "Stopped before it was done."


@posix
def test_a_second_call_is_told_and_ctrl_c_stops_the_steps_of_the_first_and_leaves_the_servers_that_were_found(
    door, up, tmp_path, free_port
):
    call = door("run", *at(up, tmp_path), "--dashboard-port", free_port())
    until(lambda: call.processes("ingest.py"))
    second = door("run", *at(up, tmp_path), "--dashboard-port", free_port())
    assert second.ends() == 1
    log = tmp_path / "logs" / "dashboard.log"
    assert second.last_line == f"workshop.py: Another workshop.py is at work and writes to {log}. Wait until it ends."
    os.killpg(call.popen.pid, signal.SIGINT)
    assert call.ends(15) == 130
    assert ftp_answers(up.ftp_port)
    assert mlflow_answers(up.mlflow_port)
    client = mlflow.MlflowClient(up.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    assert {run.info.status for run in runs} <= {"FAILED", "FINISHED", "KILLED"}, "a stopped run is not left as running"


def test_an_experiment_that_was_deleted_is_named_with_the_command_that_brings_it_back(door, up, tmp_path, free_port):
    client = mlflow.MlflowClient(up.tracking_uri)
    found = client.get_experiment_by_name("wind_solar")
    experiment_id = found.experiment_id if found else client.create_experiment("wind_solar")
    client.delete_experiment(experiment_id)
    try:
        call = door("run", *at(up, tmp_path), "--dashboard-port", free_port())
        assert call.ends() == 1
    finally:
        client.restore_experiment(experiment_id)
    assert call.last_line.startswith("workshop.py: The experiment wind_solar has been deleted. While the servers run")
    assert call.last_line.endswith(f"mlflow experiments restore --experiment-id {experiment_id}")


@pytest.mark.slow
def test_the_dashboard_of_another_mlflow_server_is_not_taken_for_this_one(door, up, tmp_path, free_port, root):
    port = free_port()
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'other.db'}"}
    command = [sys.executable, root / "dashboard" / "app.py", "--port", port]
    with process("The other dashboard", command, tmp_path / "dashboard.log", env=env) as other:
        other.wait_until(lambda: get(f"http://127.0.0.1:{port}/health") is not None, 60)
        call = door("run", "--once", *at(up, tmp_path), "--dashboard-port", port)
        assert call.ends(30) == 1
    assert call.last_line == (
        f"workshop.py: Port {port} is taken by a program that is not the dashboard of this MLflow server. Stop that "
        "program, or choose another port with --dashboard-port."
    )


@pytest.mark.slow
def test_a_step_that_refuses_its_data_is_heard_in_its_own_words(door, up, tmp_path, free_port):
    csv = tmp_path / "größe 1.csv"
    csv.write_text("a,b\n1,2\n")
    arguments = ["--once", *at(up, tmp_path), "--dashboard-port", free_port(), "--data", csv]
    call = door("run", *arguments)
    assert call.ends(180) == 1
    *_, sentence, log = call.text.strip().splitlines()
    assert sentence.startswith(f"workshop.py: Training and judging the models failed. data: {csv}: column 'utc_time")
    assert log == f"Its log is {tmp_path / 'logs' / 'workflow.log'}."


@pytest.mark.slow
@posix
def test_jupyterlab_knows_the_servers_ends_when_it_is_shut_down_and_its_token_is_in_no_log(
    door, up, tmp_path, free_port
):
    port, token = free_port(), uuid.uuid4().hex
    settings = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    settings["IPYTHONDIR"] = str(tmp_path / "ipython")
    # What every kernel does when it has started.
    startup, said = tmp_path / "ipython" / "profile_default" / "startup" / "say.py", tmp_path / "said"
    startup.parent.mkdir(parents=True)
    startup.write_text(f"import os, pathlib; pathlib.Path({str(said)!r}).write_text(os.environ['MLFLOW_TRACKING_URI'])")
    # --allow-root, as tests also run in containers
    arguments = ["--no-browser", "--allow-root", "--port", port]
    call = door("notebook", *at(up, tmp_path / "state"), *arguments, JUPYTER_TOKEN=token, **settings)

    def ask(path: str, data: bytes | None = None) -> dict | None:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"Authorization": f"token {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or "null")
        except OSError:
            assert call.popen.poll() is None, call.text
            return None

    assert until(lambda: ask("/api/status"))["kernels"] == 0
    assert ask("/api/kernels", b"{}")
    assert until(lambda: said.exists() and said.read_text()) == up.tracking_uri
    assert f"127.0.0.1:{port}" in call.text or f"localhost:{port}" in call.text
    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/lab?token={token}", timeout=30).read().decode()
    assert '"buildCheck": false' in page, "it would ask for a build"
    assert '"disabledExtensions": ["@jupyterlab/apputils-extension:announcements"]' in page, "it would ask about news"
    ask("/api/shutdown", b"")
    assert call.ends(20) == 0
    logs = [path for path in tmp_path.rglob("*.log") if path.is_file()]
    assert not [path for path in logs if token in path.read_text(errors="replace")]
    assert mlflow_answers(up.mlflow_port)
