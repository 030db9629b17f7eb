"""How fast models and many small files go to the artifact store and back, beside the least that FTP can do.

    python benchmarks/artifact_store.py
    python benchmarks/artifact_store.py --megabytes 20

It starts the artifact store, the same with TLS, and an MLflow server that passes artifacts on, all on free ports with
an empty folder. Ratios are to one plain ftplib connection that logs in, makes the folder and sends or fetches one file
after the other in blocks of 1 MiB: the practical limit of one connection. Every operation begins with a new repository
object and no open connection, so each log-in counts. The best of some rounds counts.
Every download is compared with what was uploaded, outside the time.

On Linux, ``tc qdisc add dev lo root netem delay 2ms`` puts a distance between clients and servers, and ``tc qdisc del
dev lo root`` takes it away again. Both are for root.
"""

import contextlib
import ftplib
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from harness import ROOT, free_port, options, print_table, take_turns

from server.environment import child_environment
from server.processes import process
from server.servers import SMALL, listens, mlflow_answers

HERE = "127.0.0.1"
LOGIN = {"MLFLOW_FTP_USERNAME": "guest", "MLFLOW_FTP_PASSWORD": "12345"}
BLOCK = 2**20


class Plain:
    """One ftplib connection for each operation, with the methods of an artifact repository."""

    def __init__(self, port: int):
        """Take the port of the artifact store."""
        self.port = port

    def connect(self, folder: str) -> ftplib.FTP:
        """Return a connection that is logged in and in the folder, which is made if it is not there."""
        ftp = ftplib.FTP(timeout=60)
        ftp.connect(HERE, self.port)
        ftp.login(*LOGIN.values())
        try:
            ftp.cwd(folder)
        except ftplib.error_perm:
            ftp.mkd(folder)
            ftp.cwd(folder)
        return ftp

    def log_artifacts(self, source: str, folder: str) -> None:
        """Upload the files of a folder."""
        with self.connect(folder) as ftp:
            for path in Path(source).iterdir():
                with path.open("rb") as file:
                    ftp.storbinary(f"STOR {path.name}", file, BLOCK)

    def list_artifacts(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        with self.connect(folder) as ftp:
            return [name for name, facts in ftp.mlsd(facts=["type", "size"]) if facts["type"] == "file"]

    def download_artifacts(self, folder: str, target: str) -> None:
        """Download a folder into ``target``."""
        place = Path(target, folder)
        place.mkdir()
        with self.connect(folder) as ftp:
            for name in [name for name, facts in ftp.mlsd(facts=["type", "size"]) if facts["type"] == "file"]:
                with (place / name).open("wb") as file:
                    ftp.retrbinary(f"RETR {name}", file.write, BLOCK)


def clients(ftp: int, ftps: int, mlflow: int, local: Path) -> dict[str, Callable]:
    """Return what makes each client, the first of which is the measure of the others."""
    from mlflow.store.artifact.ftp_artifact_repo import FTPArtifactRepository as Stock
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
    from mlflow_ftp import FTPArtifactRepository

    return {
        "ftplib": lambda: Plain(ftp),
        "plugin": lambda: FTPArtifactRepository(f"ftp://{HERE}:{ftp}/"),
        "plugin, TLS": lambda: FTPArtifactRepository(f"ftps://{HERE}:{ftps}/"),
        "stock client": lambda: Stock(f"ftp://{':'.join(LOGIN.values())}@{HERE}:{ftp}/"),
        "proxied": lambda: MlflowArtifactsRepository("mlflow-artifacts:/", f"http://{HERE}:{mlflow}"),
        "local files": lambda: LocalArtifactRepository(str(local)),
    }


def make_files(folder: Path, megabytes: int) -> dict[str, Path]:
    """Write the three folders that go up and down, and return them by what they are called in the table."""
    model = [*(f"model/part{number}.txt" for number in range(6)), "model/model.pkl"]
    small = [f"small/{number:03}.json" for number in range(200)]
    sizes = dict.fromkeys(model, 3000) | {"model/model.pkl": 500_000} | dict.fromkeys(small, 1000)
    for name, size in (sizes | {"large/large.bin": megabytes * 10**6}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(random.Random(name).randbytes(size))
    titles = {"7 files": "model", "200 files": "small", f"one file of {megabytes} MB": "large"}
    return {title: folder / name for title, name in titles.items()}


def without_connections(deed: Callable[[], None]) -> None:
    """Do something when no connection is open."""
    from mlflow_ftp.pool import close_all

    close_all()
    deed()


def measure(makers: dict[str, Callable], source: Path, state: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Return the fewest seconds of each client for an upload, a listing and a download of the files in a folder."""
    sent = {path.name: path.read_bytes() for path in source.iterdir()}
    best = {}
    for number in range(rounds):
        folder = f"{source.name}-{number}"
        target = Path(tempfile.mkdtemp(dir=state))
        for name in makers:
            (target / name).mkdir()
        deeds = {
            "up": lambda make, name, folder=folder: make().log_artifacts(str(source), f"{folder}-{name}"),
            "list": lambda make, name, folder=folder: make().list_artifacts(f"{folder}-{name}"),
            "down": lambda make, name, folder=folder, target=target: make().download_artifacts(
                f"{folder}-{name}", str(target / name)
            ),
        }
        for operation, deed in deeds.items():
            contenders = {
                name: partial(without_connections, partial(deed, make, name)) for name, make in makers.items()
            }
            for name, (taken,) in take_turns(1, contenders).items():
                fastest = best.setdefault(operation, {})
                fastest[name] = min(taken.seconds, fastest.get(name, taken.seconds))
        for name in makers:
            got = {path.name: path.read_bytes() for path in (target / name).rglob("*") if path.is_file()}
            if got != sent:
                sys.exit(f"artifact_store: {name} does not bring back what it took away from {source}.")
    return best


@contextlib.contextmanager
def running(state: Path) -> Iterator[dict[str, Callable]]:
    """Run the servers for as long as the block lasts, which gets the clients for them."""
    ports = {"ftp": free_port(), "ftps": free_port(), "mlflow": free_port()}
    store = [sys.executable, ROOT / "server" / "ftpserver.py", "--port"]
    proxy = [sys.executable, "-m", "mlflow", "server", "--port", ports["mlflow"]]
    proxy += ["--backend-store-uri", "sqlite:///mlruns.db", "--artifacts-destination", state / "proxied"]
    commands = {
        "ftp": [*store, ports["ftp"], "--root", state / "ftp" / "ftp_root"],
        "ftps": [*store, ports["ftps"], "--root", state / "ftps" / "ftp_root", "--tls"],
        "mlflow": proxy,
    }
    env = child_environment(**SMALL, **LOGIN)
    with contextlib.ExitStack() as stack:
        for name, command in commands.items():
            server = stack.enter_context(process(name, command, state / f"{name}.log", cwd=state, env=env))
            ready = mlflow_answers if name == "mlflow" else listens
            server.wait_until(lambda name=name, ready=ready: ready(ports[name]), 120)
        yield clients(**ports, local=state / "local")


def main() -> None:
    """Measure and print the table."""
    chosen = options(
        __doc__.splitlines()[0],
        rounds=6,
        megabytes=(200, "size of the large file"),
    )
    os.environ |= LOGIN | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    rows = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as makers:
        state = Path(folder)
        os.environ["MLFLOW_FTP_CA_FILE"] = str(state / "ftps" / "ftp_tls" / "certificate.pem")
        for title, source in make_files(state, chosen.megabytes).items():
            for operation, seconds in measure(makers, source, state, chosen.rounds).items():
                limit = seconds["ftplib"]
                rows.append([f"{title}, {operation}", limit, *(each / limit for each in seconds.values())])
    print_table(["", "seconds", *makers], rows)
    print("aim of the plugin: 1.2 for the large file, 1.5 for 200 files, 3 with TLS")


if __name__ == "__main__":
    main()
