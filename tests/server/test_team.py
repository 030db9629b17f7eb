"""Do what the page "For a team" says, with a real PostgreSQL, TLS and logins."""

import base64
import contextlib
import http.client
import os
import re
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import psutil
import pytest
from stores import command_lines
from team import SERVER, block, blocks, load, log, postgresql

from server import servers
from server.environment import child_environment
from server.processes import Process, process


@dataclass
class Machine:
    """A machine of a team, as small as can be: a folder for everything, three ports, and a password for each of all."""

    folder: Path
    ports: dict[str, int]
    admin: str = field(default_factory=lambda: secrets.token_hex(12))
    ada: str = field(default_factory=lambda: secrets.token_hex(12))
    database: str = field(default_factory=lambda: rf"a:b\{secrets.token_hex(12)}")
    before: dict[str, list] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def here(self, text: str) -> str:
        """Return a passage of the page as it is typed on this machine."""
        for there in ("mlflow", "backup", "workshop", "new"):
            text = text.replace(f"/srv/{there}", str(self.folder / there))
        text = text.replace("/home/ada", str(self.folder / "mlflow"))
        # The one name is for the certificate and has to lead here, the other one is what the reverse proxy hands on.
        text = re.sub(r"(ftps://|CN=|DNS:)mlflow\.example\.org", r"\1localhost", text).replace("0.0.0.0", "127.0.0.1")
        text = text.replace("_URI=https://mlflow.example.org", f"_URI=http://127.0.0.1:{self.ports['5000']}")
        text = text.replace("sudo -u postgres ", "")
        return re.sub(r"\b(5000|5432|2121)\b", lambda match: str(self.ports[match[0]]), text)

    def settings(self, start: str) -> str:
        """Return a passage of settings with the secrets put in."""
        text = self.here(block(start))
        texts = {
            "<what is in ftp-password>": (self.folder / "mlflow" / "ftp-password").read_text().strip(),
            "<at least 12 letters>": self.admin,
            "<any long text that nobody guesses>": secrets.token_hex(12),
            "<ada's>": self.ada,
            "PASSWORD\n": re.sub(r"[\\:]", r"\\\g<0>", self.database) + "\n",
        }
        for placeholder, secret in texts.items():
            text = (text + "\n").replace(placeholder, secret).removesuffix("\n")
        return text + "\n"

    def type(self, start: str, given: str = "", ok: tuple[int, ...] = (0,), **variables: str) -> str:
        """Type a passage of the page; return what it says."""
        return self.run(["bash", "-euc", self.here(block(start))], given, ok, **variables)

    def run(self, command: list, given: str = "", ok: tuple[int, ...] = (0,), **variables: str) -> str:
        """Run a command to its end; return what it says."""
        name, path = self.here(block("export PGPASSFILE")).removeprefix("export ").split("=")
        env = child_environment(**{name: path}, **variables)
        done = subprocess.run(
            command,
            cwd=SERVER,
            env=env,
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            start_new_session=True,  # there is no terminal to ask for a password
        )
        assert done.returncode in ok, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def make_database(self) -> None:
        """Make user and database as the page says, as PostgreSQL's own user."""
        variables = {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["5432"]), "PGUSER": "postgres"}
        self.type("sudo -u postgres createuser", f"{self.database}\n{self.database}\n", **variables)

    @contextlib.contextmanager
    def ada_s_terminal(self) -> Iterator[None]:
        """Have the settings of the page in the environment, as ada has them."""
        lines = self.settings("MLFLOW_TRACKING_URI=").replace("=certificate", f"={self.folder}/mlflow/certificate")
        with mock.patch.dict(os.environ, dict(line.split("=", 1) for line in lines.splitlines())):
            yield

    def answer(self, login: str = "", host: str = "mlflow.example.org", method: str = "GET", **headers: str) -> int:
        """Return the status with which the MLflow server answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["5000"], timeout=20)
        headers |= {"Host": host}
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        with contextlib.closing(connection):
            path = "/api/2.0/mlflow/experiments/" + ("get?experiment_id=0" if method == "GET" else "search")
            connection.request(method, path, None if method == "GET" else '{"max_results": 1}', headers)
            return connection.getresponse().status

    @contextlib.contextmanager
    def up(self) -> Iterator[list[Process]]:
        """Run the artifact store and the MLflow server, started as the page says."""
        logs, env = self.folder / "logs", child_environment()
        passive = self.ports["passive"]
        store = self.here(block("python ftpserver.py")).replace("30000-30999", f"{passive}-{passive + 30}")
        mlflow = self.here(block("set -a")).replace("\nmlflow server", "\nexec mlflow server")
        for name in ("MLFLOW_FTP_USERNAME", "MLFLOW_FTP_PASSWORD"):
            env.pop(name)
        with (
            process("ftp", ["bash", "-euc", f"exec {store}"], logs / "ftp.log", SERVER, env) as ftp,
            process("mlflow", ["bash", "-euc", mlflow], logs / "mlflow.log", self.folder, env) as server,
        ):
            ftp.wait_until(lambda: servers.listens(self.ports["2121"]), 30)
            server.wait_until(lambda: servers.get(f"http://127.0.0.1:{self.ports['5000']}/health") == "OK", 120)
            yield [ftp, server]


def add_ada(machine: Machine) -> None:
    """Give ada a login, by the command of the page; without a terminal the two passwords come as lines."""
    command = machine.here(block("python -c")).replace("import getpass, os;", "import os;")
    command = re.sub(r"getpass\.getpass\('[^']*'\)", "input()", command)
    machine.run(["bash", "-euc", command], f"{machine.admin}\n{machine.ada}\n")


@pytest.fixture(scope="module")
def team(tmp_path_factory, free_port) -> Iterator[Machine]:
    """Run a machine of the page after a restore: all that it has came out of the backup of one that is gone."""
    if os.name == "nt":
        pytest.skip("the page is for Linux")
    folder = tmp_path_factory.mktemp("team")
    machine = Machine(folder, {name: free_port() for name in ("5000", "5432", "2121", "passive")})
    machine.type("umask")
    machine.type("openssl req")
    for name, start in (("pgpass", "127.0.0.1"), ("mlflow.env", "MLFLOW_BACKEND"), ("auth.ini", "[mlflow]")):
        path = folder / "mlflow" / name
        path.touch(mode=0o600)
        path.write_text(machine.settings(start))
    with postgresql(machine.ports["5432"]):
        machine.make_database()
        with machine.up():
            add_ada(machine)
            with machine.ada_s_terminal():
                log(1)
                machine.before = load()
            # tar ends with status 1 if a client logs at that moment.
            machine.type("mkdir -p /srv/backup", ok=(0, 1))
    shutil.rmtree(folder / "mlflow" / "ftp_root")
    with postgresql(machine.ports["5432"]):
        machine.make_database()
        machine.type("pg_restore")
        with machine.up() as machine.processes:
            yield machine


@pytest.mark.slow
def test_nobody_gets_in_without_a_login_of_the_team(team):
    for login in ("", "admin:", "admin:password", "admin:password1234", "admin:12345", f"eve:{team.admin}"):
        assert team.answer(login) == 401, login
    assert team.answer(f"admin:{team.admin}") == 200
    assert team.answer(f"ada:{team.ada}") == 200


@pytest.mark.slow
def test_the_server_answers_under_its_own_names_only_and_lets_only_its_own_pages_write(team):
    login = f"admin:{team.admin}"
    assert team.answer(login, host=f"127.0.0.1:{team.ports['5000']}") == 200
    assert team.answer(login, host="elsewhere.example.org") == 403
    for origin, status in (("https://mlflow.example.org", 200), ("https://elsewhere.example.org", 403)):
        headers = {"Content-Type": "application/json", "Origin": origin}
        assert team.answer(login, method="POST", **headers) == status


@pytest.mark.slow
def test_a_model_goes_over_tls_into_the_store_and_is_there_after_a_backup_and_a_restore_on_a_new_machine(team):
    ((number, errors, predicted, notes),) = team.before.values()
    assert (number, len(errors), predicted, notes) == ("1", 20, [0, 3, 6, 9], "wind")
    assert any((team.folder / "mlflow" / "ftp_root").rglob("MLmodel"))
    with team.ada_s_terminal():
        assert load().items() >= team.before.items()
        log(2)


@pytest.mark.slow
def test_no_secret_is_in_a_command_a_log_the_database_or_readable_by_others(team):
    settings = dict(line.split("=", 1) for line in team.settings("MLFLOW_BACKEND").splitlines())
    ftp = settings["MLFLOW_FTP_PASSWORD"]
    every = {ftp, team.admin, team.ada, team.database}
    for child in team.processes:
        seen = command_lines(child.popen) + child.log.read_text()
        assert not any(secret in seen for secret in every)
    address = f"postgresql://mlflow@127.0.0.1:{team.ports['5432']}/mlflow"
    dump = team.run(["pg_dump", "--dbname", address])
    assert "ftps://localhost:" in dump
    assert not any(secret in dump for secret in every)
    folder = team.folder / "mlflow"
    for path in (folder, *(folder / name for name in ("ftp-password", "pgpass", "mlflow.env", "auth.ini", "key.pem"))):
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.slow
def test_the_small_settings_of_the_page_make_two_processes(team):
    server = psutil.Process(team.processes[1].popen.pid)
    family = [server, *server.children(recursive=True)]
    assert len(family) == 2
    assert sum(part.memory_info().rss for part in family) < 1e9


@pytest.mark.slow
def test_the_commands_of_housekeeping_work_on_a_team_s_servers(team):
    login = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{team.ports['5000']}",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": team.admin,
        "MLFLOW_FTP_CA_FILE": str(team.folder / "mlflow" / "certificate.pem"),
        "MLFLOW_FTP_USERNAME": "mlflow",
        "MLFLOW_FTP_PASSWORD": (team.folder / "mlflow" / "ftp-password").read_text().strip(),
    }
    team.type("mlflow gc", **login)
    said = team.type("python sweep.py", **login)
    assert said.splitlines()[0].startswith(f"ftps://localhost:{team.ports['2121']}/artifacts/: 0 unused folders")


def test_the_commands_for_sqlite_save_and_restore(tmp_path):
    machine = Machine(tmp_path, dict.fromkeys(("5000", "5432", "2121"), 0))
    (tmp_path / "workshop" / "ftp_root").mkdir(parents=True)
    (tmp_path / "workshop" / "ftp_root" / "model").write_text("wind")
    servers.prepare(tmp_path / "workshop" / "mlruns.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "workshop" / "mlruns.db")) as database, database:
        database.execute("CREATE TABLE runs (name TEXT)")
    machine.type("python backup.py save")
    machine.type("python backup.py restore")
    assert (tmp_path / "new" / "ftp_root" / "model").read_text() == "wind"


def test_every_passage_of_the_page_is_typed_by_a_test():
    own = "".join(Path(__file__).with_name(name).read_text("utf-8") for name in ("test_team.py", "test_containers.py"))
    starts = re.findall(r'(?:type|block|settings)\("([^"]+)"', own) + re.findall(r'\("[a-z.]+", "([^"]+)"\)', own)
    untyped = [text for text in blocks() if not text.startswith(tuple(starts))]
    reason = "only the proxy's configuration and what needs an engine are not"
    assert [text.split()[0] for text in untyped] == ["mlflow.example.org", *["docker"] * 3], reason
