"""Open the one door as a person does: start it, interrupt it, take its ports, its disk and its network away."""

import ast
import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
from processes import process
from servers import Servers, ftp_answers, get, listens, mlflow_answers, servers

ROOT = Path(__file__).resolve().parents[1]
WORKSHOP = ROOT / "workshop.py"
PLUGIN = Path("server/mlflow-ftp/pyproject.toml")
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")


def until(condition: Callable[[], object], seconds: float = 60) -> object:
    """Return the first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return answer


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
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert self.popen.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

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
    digest = hashlib.sha256((ROOT / "requirements.txt").read_bytes() + (ROOT / PLUGIN).read_bytes()).hexdigest()
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


def at(servers_up: Servers, state: Path) -> list[object]:
    """Return the options for servers that are up."""
    return ["--ftp-port", servers_up.ftp_port, "--mlflow-port", servers_up.mlflow_port, "--state", state]


# The Python that it is called with


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 13), (3, 14, 0)])
def test_a_python_that_is_too_old_or_too_new_is_told_so_in_one_sentence(version):
    code = f"import sys; sys.version_info = {version}; exec(open({str(WORKSHOP)!r}).read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("workshop.py: expected Python 3.11, 3.12 or 3.13")
    assert f"found Python {version[0]}.{version[1]}. Install one from https://www.python.org" in done.stderr


def test_old_pythons_can_read_the_door_well_enough_to_refuse():
    names = ("python2", "python2.7", *(f"python3.{minor}" for minor in range(6, 11)))
    programs = [*filter(None, map(shutil.which, names)), *Path.home().glob(".pyenv/versions/*/bin/python")]
    ask = "import sys; sys.exit(0 if sys.version_info < (3, 11) else 1)"
    old = [program for program in programs if subprocess.run([program, "-c", ask], capture_output=True).returncode == 0]
    if not old:
        pytest.skip("there is no Python older than 3.11 here")
    for program in old:
        done = subprocess.run([program, WORKSHOP, "run"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert re.fullmatch(
            r"workshop\.py: expected Python 3\.11.*, found Python (2\.7|3\.\d+)\. .*", done.stderr.strip()
        )


def test_nothing_in_the_door_is_too_new_for_an_old_python_to_read():
    nodes = list(ast.walk(ast.parse(WORKSHOP.read_text(encoding="ascii"))))
    new = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.Nonlocal, ast.YieldFrom, ast.AsyncFunctionDef, ast.Match)
    assert [node.lineno for node in nodes if isinstance(node, new)] == []
    assert [node.lineno for node in nodes if isinstance(node, ast.Raise) and node.cause] == []
    assert [node.lineno for node in nodes if isinstance(node, ast.FunctionDef) and node.returns] == []
    assert [node.lineno for node in nodes if isinstance(node, ast.arg) and node.annotation] == []
    assert [node.lineno for node in nodes if isinstance(node, ast.arguments) and node.kwonlyargs] == []
    listed = [part for node in nodes if isinstance(node, ast.List | ast.Tuple | ast.Set) for part in node.elts]
    assert [part.lineno for part in listed if isinstance(part, ast.Starred)] == []


# What it is asked to do


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["run", "--fast"], "unrecognized arguments: --fast"),
        (["servers", "--mlflow", "1"], "unrecognized arguments: --mlflow 1"),
        (["servers", "--ftp-port", "ftp"], "argument --ftp-port: expected a number from 1 to 65535, found 'ftp'"),
        (["run", "--dashboard-port", "70000"], "expected a number from 1 to 65535, found '70000'"),
    ],
)
def test_what_it_does_not_know_gives_the_usage_and_status_2(door, arguments, reason):
    call = door(*arguments)
    assert call.ends(20) == 2
    assert call.text.startswith("usage: workshop.py")
    assert reason in call.text


def test_a_port_in_the_environment_is_checked_like_an_option(door):
    call = door("servers", MLFLOW_PORT="five thousand")
    assert call.ends(20) == 2
    assert "argument --mlflow-port: expected a number from 1 to 65535, found 'five thousand'" in call.last_line


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ([], ["run", "servers", "notebook", "test", "what follows goes to pytest"]),
        (["run"], ["--once", "--data", "--holdout-days", "--dashboard-port", "DASHBOARD_PORT", "--state"]),
        (["servers"], ["--ftp-port", "FTP_PORT", "--mlflow-port", "MLFLOW_PORT", "WORKSHOP_STATE"]),
        (["notebook"], ["JupyterLab", "what follows goes to it"]),
    ],
)
def test_help_names_every_option_and_its_variable(door, command, words):
    call = door(*command, "--help", COLUMNS="200")
    assert call.ends() == 0
    assert [word for word in words if word not in call.text] == []


def test_test_hands_its_arguments_to_pytest_and_hands_back_its_exit_status(door):
    call = door(
        "test", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/server/test_processes.py", "-k", "proxy"
    )
    assert call.ends() == 0
    assert "test_children_find_this_python_first_and_no_proxy_between_them_and_the_servers" in call.text
    assert "1/" in call.last_line
    call = door(
        "test", "--collect-only", "-q", "-p", "no:cacheprovider", "tests/server/test_processes.py", "-k", "no_such_test"
    )
    assert call.ends() == 5, "pytest's status for no tests"


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
    """Return a folder with the real uv, and with a program called pytest that says how it was called."""
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "pytest", "1.0", {"pytest/__init__.py": "", "pytest/__main__.py": SAYS})
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
        (folder / PLUGIN.parent).mkdir(parents=True)
        for path in (WORKSHOP, ROOT / PLUGIN, *(ROOT / "server").glob("*.py")):
            shutil.copy(path, folder / path.relative_to(ROOT))
        self.require("pytest==1.0")

    def require(self, *packages: str, uv: str = importlib.metadata.version("uv")) -> None:
        """Write requirements.txt as uv does."""
        lines = [f"{package}\n    # via -r requirements.in\n" for package in (*packages, f"uv=={uv}")]
        (self.folder / "requirements.txt").write_text("# made by uv\n" + "".join(lines))

    @property
    def script(self) -> Path:
        """Return the door."""
        return self.folder / "workshop.py"


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
    shared_project.require("pytest==1.0")
    call = any_door("test", script=shared_project.script, **offline(wheels))
    assert call.ends() == 3, call.text
    return shared_project


def test_the_environment_is_made_over_a_half_made_one_and_the_door_goes_on_inside_it(project, wheels, any_door):
    assert not (project.folder / ".venv" / "lib" / "half-made").exists()
    call = any_door("test", "-k", "wind", script=project.script, **offline(wheels))
    assert call.ends() == 3, "the exit status of the program inside"
    assert f"prefix {project.folder / '.venv'}" in call.text
    assert "arguments ['-k', 'wind']" in call.text


def test_a_second_call_skips_it_within_a_second(project, wheels, any_door):
    seconds = []
    for _ in range(3):
        start = time.monotonic()
        call = any_door("test", script=project.script, **offline())
        call.popen.wait(20)
        seconds.append(time.monotonic() - start)
        assert call.popen.returncode == 3
        assert "[" not in call.text.replace("arguments []", "")
    assert min(seconds) < 1


def test_other_requirements_are_installed_at_the_next_call(project, wheels, any_door):
    project.require("pytest==1.0", "another==1.0")
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 3
    steps = ["What the workshop needs has changed", "[2/3] Getting the installer uv", "[3/3] Installing 3 packages"]
    assert [step for step in steps if step not in call.text] == []
    assert "[1/3]" not in call.text, "the environment is kept, so it takes seconds"
    assert list(project.folder.glob(".venv/**/another.py"))
    project.require("pytest==1.0")
    assert any_door("test", script=project.script, **offline(wheels)).ends() == 3
    assert not list(project.folder.glob(".venv/**/another.py")), "what is not required any more is gone"


def test_what_the_plugin_declares_is_written_down_anew_when_it_has_changed(project, wheels, any_door):
    with (project.folder / PLUGIN).open("a") as file:
        file.write("# another version\n")
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 3
    assert "What the workshop needs has changed" in call.text
    assert "What the workshop needs" not in any_door("test", script=project.script, **offline()).text


def test_where_there_is_no_uv_pip_does_it(project, wheels, any_door, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    wheel(links, "another", "1.0", {"another.py": ""})
    shutil.copy(next(wheels.glob("pytest-*")), links)
    (project.folder / "requirements.txt").write_text('pytest==1.0\nanother==1.0\nuv==99.0 ; sys_platform == "none"\n')
    call = any_door("test", script=project.script, **offline(links))
    assert call.ends() == 3
    assert "uv can't do it here, so pip does, which takes some minutes." in call.text
    assert list(project.folder.glob(".venv/**/another.py"))


@pytest.mark.slow
def test_a_folder_that_was_moved_gets_an_environment_for_its_new_place(project, wheels, any_door):
    moved = project.folder.with_name("moved")
    project.folder.rename(moved)
    project.folder = moved
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 3
    assert "[1/3] Making the environment .venv" in call.text
    assert f"prefix {moved / '.venv'}" in call.text


def test_an_environment_that_is_a_link_to_another_place_is_used(project, any_door, tmp_path):
    environment = project.folder / ".venv"
    elsewhere = tmp_path / "elsewhere"
    environment.rename(elsewhere)
    try:
        environment.symlink_to(elsewhere, target_is_directory=True)
        assert any_door("test", script=project.script, **offline()).ends(20) == 3
    except OSError:
        pytest.skip("Windows lets only administrators make links")
    finally:
        environment.unlink(missing_ok=True)
        elsewhere.rename(environment)


@posix
def test_an_environment_of_others_behind_a_link_is_left_alone(any_door, tmp_path):
    project, others = Project(tmp_path / "project"), tmp_path / "others"
    (others / "bin").mkdir(parents=True)
    (others / "bin" / "python").symlink_to(sys.executable)
    (others / "pyvenv.cfg").touch()
    (project.folder / ".venv").symlink_to(others)
    call = any_door("test", script=project.script)
    assert call.ends() == 1
    assert call.last_line.startswith(
        f"workshop.py: {project.folder / '.venv'} is a link to {others}, which the workshop"
    )
    assert sorted(path.name for path in others.iterdir()) == ["bin", "pyvenv.cfg"]


def test_an_installation_that_fails_is_shown_with_the_last_lines_of_its_log(project, wheels, any_door):
    project.require("pytest==1.0", "no-such-package==1.0")
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 1
    assert "workshop.py: 'Installing 3 packages, some 3.4 GB' failed with exit status 1. Its log is " in call.text
    assert "No matching distribution found for no-such-package==1.0" in call.text


def test_an_index_that_cannot_be_reached_is_named(any_door, tmp_path, free_port):
    project = Project(tmp_path / "project")
    index = f"http://127.0.0.1:{free_port()}/simple"
    call = any_door("run", script=project.script, **offline(PIP_INDEX_URL=index, UV_INDEX_URL=index))
    assert call.ends() == 1
    assert call.last_line == (
        "workshop.py: The package index can't be reached. Check the network and the proxy (HTTPS_PROXY), then try "
        f"again. The log is {project.folder / 'server' / 'logs' / 'install.log'}."
    )
    assert "NewConnectionError" in (project.folder / "server" / "logs" / "install.log").read_text()


@posix
@pytest.mark.slow
def test_ctrl_c_during_the_installation_leaves_nothing_running_and_the_next_call_begins_anew(
    any_door, tmp_path, wheels
):
    project = Project(tmp_path / "project")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        call = any_door("test", script=project.script, **offline(PIP_INDEX_URL=index))
        silent.settimeout(60)
        silent.accept()[0].close()
        os.killpg(call.popen.pid, signal.SIGINT)
        assert call.ends(15) == 130
    assert call.last_line == "Stopped before it was done."
    call = any_door("test", script=project.script, **offline(wheels))
    assert call.ends() == 3
    assert "[1/3] Making the environment .venv: done in" in call.text
    assert "[3/3] Installing 2 packages, some 3.4 GB: done in" in call.text


def with_the_machine(change: str, script: Path) -> subprocess.CompletedProcess:
    """Run a door on a machine that lacks something."""
    code = f"import runpy, shutil, sys; {change}; sys.argv = ['workshop.py', 'run']; "
    code += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)


def test_a_python_without_venv_is_told_what_to_install(tmp_path):
    project = Project(tmp_path / "project")
    done = with_the_machine("sys.modules['ensurepip'] = None", project.script)
    assert done.returncode == 1
    assert "its module venv or ensurepip is missing. Install it (on Debian and Ubuntu: sudo apt install " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project.folder / ".venv").exists()


def test_a_disk_that_is_too_small_is_named_before_anything_is_made(tmp_path):
    project = Project(tmp_path / "project")
    done = with_the_machine(
        "from types import SimpleNamespace; shutil.disk_usage = lambda path: SimpleNamespace(free=1.25e9)",
        project.script,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"workshop.py: The packages need 5 GB of disk, and 1.2 GB are free in {project.folder}. Free some and try "
        "again."
    )
    assert not (project.folder / ".venv").exists()


@pytest.mark.parametrize(
    "words", ["OSError: [Errno 28] No space left on device", "There is not enough space on the disk. (os error 112)"]
)
def test_a_disk_that_becomes_full_during_the_installation_is_named(tmp_path, any_door, words):
    project = Project(tmp_path / "project")
    made = project.folder / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    made.mkdir(parents=True)
    (made.parent / "pyvenv.cfg").write_text(f"home = {sys.base_prefix}\ncommand = python -m venv {made.parent}\n")
    (made.parent / "installed-requirements.sha256").write_text("of earlier requirements")
    # An installer that finds no space; the real one needs a disk to be filled up.
    failing = made / ("python.exe" if os.name == "nt" else "python")
    if os.name == "nt":
        pytest.skip("a program of Windows can't be made of a line")
    failing.write_text(f"#!/bin/sh\necho '{words}'\nexit 2\n")
    failing.chmod(0o755)
    call = any_door("run", script=project.script)
    assert call.ends() == 1
    assert call.last_line.startswith(f"workshop.py: The disk is full: 5 GB are needed in {project.folder}. Free some")


def test_a_folder_in_which_nothing_can_be_written_is_named(tmp_path, any_door):
    project = Project(tmp_path / "project")
    (project.folder / "server" / "logs").write_text("no folder")
    call = any_door("run", script=project.script)
    assert call.ends() == 1
    assert call.last_line.startswith("workshop.py: ")
    assert str(project.folder / "server" / "logs") in call.last_line


# The servers, the main job and the notebooks


@pytest.mark.parametrize("which", ["--ftp-port", "--dashboard-port"])
def test_a_port_that_is_taken_is_named_with_the_option_that_helps_and_nothing_is_left(door, up, which, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken = silent.getsockname()[1]
        start = time.monotonic()
        call = door("run", *at(up, tmp_path / "state"), which, taken)
        assert call.ends(15) == 1
    assert time.monotonic() - start < 15
    assert re.fullmatch(
        rf"workshop\.py: Port {taken} is taken by a program that is not .*\. Stop that program, or choose another port "
        rf"with {which}\.",
        call.last_line,
    )


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
    ftp_port, mlflow_port, state = free_port(), free_port(), tmp_path / "state of größe"
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
def test_a_server_that_dies_is_named_and_the_other_one_is_stopped(door, tmp_path, free_port):
    ports = "--ftp-port", free_port(), "--mlflow-port", free_port()
    call = door("servers", *ports, "--state", tmp_path)
    call.says("Ctrl-C stops what was started here.")
    for child in call.processes("ftpserver.py"):
        child.kill()
    assert call.ends(15) == 1
    assert "workshop.py: The artifact store ended with exit status" in call.text
    assert f"Its log is {tmp_path / 'logs' / 'ftpserver.log'}, which ends with:" in call.text


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_it_found_is_used_and_left_running_and_only_what_it_started_is_stopped(
    door, up, number, tmp_path, free_port
):
    port = free_port()
    call = door("servers", *at(up, tmp_path / "state"), "--ftp-port", port)
    call.says("Ctrl-C stops what was started here.")
    assert "The MLflow server was running already. It is used, and left running." in call.text
    assert ftp_answers(port)
    call.popen.send_signal(number)
    assert call.ends(15) == 0
    assert not listens(port)
    assert mlflow_answers(up.mlflow_port)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_the_servers_start_leaves_neither_behind(door, number, tmp_path, free_port):
    ports = "--ftp-port", free_port(), "--mlflow-port", free_port()
    call = door("run", *ports, "--state", tmp_path)
    until(lambda: call.processes("mlflow server"))
    os.killpg(call.popen.pid, number)
    assert call.ends(15) == 130
    assert call.last_line == "Stopped before it was done."


@posix
def test_ctrl_c_during_the_workflow_stops_its_steps_too_and_leaves_the_servers_that_were_found(
    door, up, tmp_path, free_port
):
    call = door("run", *at(up, tmp_path), "--dashboard-port", free_port())
    until(lambda: call.processes("ingest.py"))
    os.killpg(call.popen.pid, signal.SIGINT)
    assert call.ends(15) == 130
    assert ftp_answers(up.ftp_port)
    assert mlflow_answers(up.mlflow_port)
    client = mlflow.MlflowClient(up.tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    assert {run.info.status for run in runs} <= {"FAILED", "FINISHED", "KILLED"}, "a stopped run is not left as running"


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
def test_a_step_that_refuses_its_data_is_heard_in_its_own_words_on_every_terminal(door, up, tmp_path, free_port):
    csv = tmp_path / "größe.csv"
    csv.write_text("a,b\n1,2\n")
    arguments = ["--once", *at(up, tmp_path), "--dashboard-port", free_port(), "--data", csv]
    call = door("run", *arguments, PYTHONIOENCODING="ascii")
    assert call.ends() == 1
    *_, sentence, log = call.text.strip().splitlines()
    escaped = str(csv).encode("ascii", "backslashreplace").decode()
    assert sentence.startswith(
        f"workshop.py: Training and judging the models failed. data: {escaped}: column 'utc_time"
    )
    assert log == f"Its log is {tmp_path / 'logs' / 'workflow.log'}."


@pytest.mark.slow
@posix
@pytest.mark.parametrize("end", ["Ctrl-C", "File, Shut Down"])
def test_jupyterlab_knows_the_servers_and_ends_as_it_should_and_its_token_is_in_no_log(
    door, up, end, tmp_path, free_port
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
    if end == "Ctrl-C":
        call.popen.send_signal(signal.SIGINT)
    else:
        ask("/api/shutdown", b"")
    assert call.ends(20) == 0
    logs = [path for path in tmp_path.rglob("*.log") if path.is_file()]
    assert not [path for path in logs if token in path.read_text(errors="replace")]
    assert mlflow_answers(up.mlflow_port)
