"""Type the commands of the README and of the chapters' pages, all of them, in the order in which they stand there."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest

from server.processes import process
from server.servers import ftp_answers, get, mlflow_answers

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "1_starting_point/README.md", "2_tracking/README.md", "2_tracking/exercise/README.md"]

# The commands that are not typed here, and why; of some the beginning.
LEFT_OUT = {
    "python workshop.py run": "test_main_job.py types it, with --once and on less data",
    "python workshop.py run --data 1_starting_point/opsd/germany.csv": "test_main_job.py types it with another file",
    "python workshop.py test": "it is what runs this test",
    "python workshop.py notebook": "test_workshop.py types it with a port of its own",
    "python workshop.py check exercise --watch": "it stays until all is done; server/test_check.py types it",
    "python 1_starting_point/download.py": "no network; 1_starting_point/test_download.py runs it on a local server",
    "python 1_starting_point/dashboard/app.py": "1_starting_point/test_dashboard.py types it with a port of its own",
    "mlflow run https://example.org/...": "the address is made up; 3_projects/test_git.py runs one that is there",
    "mlflow run 3_projects/stock -e deploy...": "there is no bucket; 3_projects/stock/test_deploy.py runs it locally",
    "python -m pip install -r report/requirements-pdf.txt": "no network",
    "0 7 * * 1  cd /path/to/workshop...": "for a crontab; report/test_scheduled.py runs it",
    "schtasks /Create...": "for the Task Scheduler of Windows; report/test_scheduled.py runs what it starts",
    "python dashboard/app.py --live-data": "no network; dashboard/next_days/test_page.py runs it on local servers",
    "python dashboard/screenshot.py": "it wants a browser; dashboard/test_pages.py types it",
    "$env:...": "for PowerShell",
}
# What stays in its terminal, and how one sees that it is ready.
STAYS = {
    "python ftpserver.py": lambda ports: ftp_answers(ports["2121"]),
    "mlflow server": lambda ports: mlflow_answers(ports["5000"]),
    "mlflow models serve": lambda ports: get(f"http://127.0.0.1:{ports['8003']}/ping") is not None,
    "python dashboard/app.py": lambda ports: '"version":"' in (get(f"http://127.0.0.1:{ports['8050']}/health") or ""),
    "python dashboard/serve.py": lambda ports: '"version":"' in (get(f"http://127.0.0.1:{ports['8060']}/health") or ""),
}
ROLLBACK = (
    'mlflow run 3_projects/registry -e rollback --env-manager local -P by=Ada -P reason="it was moved by hand" '
    "--experiment-name wind_solar"
)


def move_by_hand(ports: dict[str, int]) -> None:
    """Give the alias to another version, as one does in the MLflow pages; dashboard/test_following.py clicks there."""
    client = mlflow.MlflowClient(f"http://127.0.0.1:{ports['5000']}")
    now = client.get_model_version_by_alias("wind_solar", "production").version
    others = [found.version for found in client.search_model_versions("name = 'wind_solar'") if found.version != now]
    client.set_registered_model_alias("wind_solar", "production", others[0])


# What a page tells to do by hand before a command is typed.
BY_HAND = {ROLLBACK: move_by_hand}
# What ends with another status than 0, as not all is done yet.
NOT_YET = {
    "python workshop.py check",
    "python workshop.py check 2",
    "python workshop.py test server/check_pytest.py -k exercise",
}


def blocks(page: str) -> list[list[str]]:
    """Return the lines of each block of commands of a page; the lines that a command prints are none."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"\n\n((?:(?: {4}| {7})\S.*\n)+)", text)
    lines = [[line.strip() for line in block.splitlines()] for block in found]
    typed = [[line for line in block if not line.startswith("workflow:")] for block in lines]
    return [block for block in typed if block]


def is_left_out(line: str, known: str) -> bool:
    """Return whether a command is this one of those that are left out."""
    return line == known or (known.endswith("...") and line.startswith(known.removesuffix("...")))


def commands() -> list[str]:
    """Return all commands of all pages."""
    return [line for page in PAGES for block in blocks(page) for line in block]


@pytest.fixture
def learner(checkout) -> Path:
    """Return a copy of the project as a learner has it, with the last 26 months of the sample alone."""
    csv = checkout / "1_starting_point" / "germany.csv"
    lines = csv.read_text(encoding="utf-8").splitlines(keepends=True)
    csv.write_text("".join([lines[0], *lines[-26 * 731 :]]), encoding="utf-8")
    return checkout


class Terminal:
    """A learner's terminal: what is exported in one line holds in the next."""

    def __init__(self, folder: Path, ports: dict[str, int]):
        """Begin at the top of the project, with the environment switched on and nothing else set."""
        self.folder, self.ports = folder, ports
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "WORKSHOP"))}
        self.env = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # The ports of the README may be taken on this machine.
            **{f"{name}_PORT": str(ports[port]) for name, port in (("FTP", "2121"), ("MLFLOW", "5000"))},
            "DASHBOARD_PORT": str(ports["8050"]),
            # As the README's table has them: a small server that stays off the network.
            "MLFLOW_WORKERS": "1",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def own(self, line: str) -> str:
        """Return a line with the ports of this test run."""
        for port, mine in self.ports.items():
            line = line.replace(f":{port}", f":{mine}")
            line = line.replace(f"-p {port}", f"-p {mine}").replace(f"--port {port}", f"--port {mine}")
        return line

    def export(self, line: str) -> None:
        """Set the variables of a line that begins with export."""
        self.env |= dict(re.findall(r"(\w+)=(\S+)", self.own(line)))

    def type(self, line: str) -> None:
        """Type a line; it has to end with the status that is expected of it."""
        start = time.monotonic()
        done = subprocess.run(
            ["bash", "-c", self.own(line)],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        print(f"$ {line}  # {time.monotonic() - start:.0f} s\n{done.stdout}")
        assert done.returncode == (1 if line in NOT_YET else 0), f"{line}\n{done.stdout}"
        assert "Traceback" not in done.stdout, f"{line}\n{done.stdout}"

    @contextlib.contextmanager
    def stay(self, line: str, log: Path, ready: Callable) -> Iterator[None]:
        """Type a line that stays, and wait until it is ready."""
        with process(line, ["bash", "-c", f"exec {self.own(line)}"], log, cwd=self.folder, env=self.env) as child:
            child.wait_until(lambda: ready(self.ports), 120)
            yield


def test_the_list_of_what_is_not_typed_names_only_what_the_pages_have():
    assert set(commands()) >= NOT_YET
    assert not [known for known in LEFT_OUT if not any(is_left_out(line, known) for line in commands())]
    for reason in LEFT_OUT.values():
        for test in re.findall(r"\S+\.py(?= )", reason):
            assert (ROOT / "tests" / test).exists(), reason


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="the commands are for bash; PowerShell's stand beside them")
def test_every_command_of_the_pages_works(learner, free_port, monkeypatch):
    # Those of the tests' own servers are not a learner's.
    for name in ("MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    ports = {port: free_port() for port in ("2121", "5000", "8003", "8050", "8060")}
    third = Terminal(learner, ports)
    with contextlib.ExitStack() as stack:
        for number, block in enumerate(block for page in PAGES for block in blocks(page)):
            terminal = third
            if block[0].startswith("cd "):  # a terminal of its own
                terminal = Terminal(learner / block[0].removeprefix("cd "), ports)
                del block[0]
            for line in block:
                if any(is_left_out(line, known) for known in LEFT_OUT):
                    continue
                if line.startswith("export "):
                    terminal.export(line)
                elif ready := next((STAYS[start] for start in STAYS if line.startswith(start)), None):
                    stack.enter_context(terminal.stay(line, learner / f"{number}.log", ready))
                else:
                    BY_HAND.get(line, lambda ports: None)(ports)
                    terminal.type(line)
        # All in one has run since, as `run` does: nothing of that is in the way of who types the chapter now.
        chapter = (ROOT / "README.md").read_text(encoding="utf-8").partition("### One step after")[2]
        lines = re.findall("^    (mlflow run .*)$", chapter.partition("### All in one")[0], re.MULTILINE)
        for line in lines:
            if "keras" not in line and "-e evaluate" not in line:
                third.type(line.replace("chapter_3", "again").replace("=mine", "=also_mine"))
        client = mlflow.MlflowClient(f"http://127.0.0.1:{ports['5000']}")
        for name in ("mine", "also_mine"):
            tags = client.get_registered_model(name).tags
            ledger = [json.loads(tags[key]) for key in sorted(tags) if key.startswith("ledger.")]
            assert [entry["action"] for entry in ledger] == ["approve", "approve", "rollback"]
            assert {entry["by"] for entry in ledger} == {"Ada"}
            versions = {found.version: found.tags for found in client.search_model_versions(f"name = '{name}'")}
            assert ledger[2]["to"] == ledger[0]["to"] != ledger[1]["to"]
            assert [tags["gate"] for tags in versions.values() if tags["project"] == "lr"] == ["failed"]


def test_what_the_template_table_names_can_be_deleted(learner):
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Taking it away")[2]
    named = [name for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in re.findall("`(.+?)`", row)]
    for name in named:
        found = list(learner.glob(name))
        assert found, name
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not list(learner.rglob("*.ipynb"))
    # The tests that are left are found and import what they need, and the check leaves out what is gone.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(learner)}  # before the packages as they are installed
    answers = []
    some = "tests/test_style.py tests/test_requirements.py tests/test_workflows.py"
    for line in ("-m pytest -q --collect-only", f"-m pytest -q {some}", "server/check.py --help"):
        command = ["python", *line.split()]
        done = subprocess.run(
            command, cwd=learner, env=env, stdout=subprocess.PIPE, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout
        answers.append(done.stdout)
    assert "tests/3_projects" in answers[0]
    assert "servers, 3 (default: all of them)" in " ".join(answers[-1].split())
