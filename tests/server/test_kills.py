"""Kill clients and servers in the middle of uploads, and look at what is under the final names."""

import hashlib
import multiprocessing
import os
import random
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
from clients import FAILED, forked, log_and_register, upload, upload_with_stock_client
from mlflow_ftp import FTPArtifactRepository
from stores import SCRIPT, started, until

from server import servers

pytestmark = pytest.mark.slow
PARTIAL = re.compile(r"\.partial-[0-9a-f]{32}")
SECONDS = 30  # what no step of these tests comes near


class Store:
    """An artifact store that can be killed and started again with the same command."""

    def __init__(self, folder: Path, port: int):
        self.root, self.port, self.log = folder / "root", port, folder / "ftpserver.log"
        self.address = f"ftp://127.0.0.1:{port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, SCRIPT, "--port", self.port, "--root", self.root]
        self.process = started(command, self.log, lambda: servers.listens(self.port))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def serves_others(self) -> bool:
        """Return whether anybody but this process has a connection to the server."""
        ours = {connection.laddr.port for connection in psutil.Process().net_connections("tcp")}
        of_server = psutil.Process(self.process.pid).net_connections("tcp")
        return any(connection.raddr and connection.raddr.port not in ours for connection in of_server)

    def unfinished(self, folder: str) -> bool:
        """Return whether an upload to a folder has begun, and its largest file has not arrived."""
        return (self.root / folder).exists() and not (self.root / folder / "model.pkl").exists()


def digests(folder: Path) -> dict[str, str]:
    """Return the digests of what lies under final names in a folder, without asking the server."""
    files = [path for path in folder.rglob("*") if path.is_file() and not PARTIAL.fullmatch(path.name)]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def begin(deed: Callable, *arguments) -> multiprocessing.Process:
    """Return a client that is at work."""
    client, begun = forked(deed, *arguments)
    client.start()
    assert begun.wait(SECONDS)
    return client


def end(client: multiprocessing.Process) -> None:
    client.join(SECONDS)
    assert client.exitcode is not None, "the client hangs"


def undisturbed(deed: Callable, *arguments) -> float:
    """Return how many seconds something takes."""
    client, start = begin(deed, *arguments), time.monotonic()
    end(client)
    assert client.exitcode == 0
    return time.monotonic() - start


def moments(count: int, seconds: float) -> Iterator[tuple[int, float]]:
    """Return numbered moments, spread evenly and at random over some seconds."""
    chance = random.Random(count)
    return ((number, (number + chance.random()) / count * seconds) for number in range(count))


@pytest.fixture(autouse=True)
def quiet(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


@pytest.fixture
def store(tmp_path, free_port, login) -> Iterator[Store]:
    up = Store(tmp_path, free_port())
    yield up
    up.kill()
    shutil.rmtree(up.root)


@pytest.fixture
def source(tmp_path) -> Path:
    """Return a folder like that of a model: small files around one of 12 MB."""
    content = random.Random(20)
    sizes = {"MLmodel": 900, "code/model.py": 3000, "conda.yaml": 200, "model.pkl": 12_000_000, "zoo/last.txt": 90}
    for name, size in sizes.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.randbytes(size))
    return tmp_path / "source"


def look(store: Store, source: Path, folder: str) -> None:
    """See on the disk and through a client that what has a final name is whole, and that going on needs no repair."""
    sent, stored = digests(source), digests(store.root / folder / "model")
    assert stored.items() <= sent.items()
    client = FTPArtifactRepository(f"{store.address}/{folder}")
    if stored:
        got = Path(client.download_artifacts("model"))
        assert digests(got) == stored
        shutil.rmtree(got)
    client.log_artifacts(str(source), "model")
    assert digests(store.root / folder / "model") == sent
    shutil.rmtree(store.root / folder)


@pytest.mark.parametrize(
    ("victim", "deed", "kills"),
    [("client", upload, 60), ("client", upload_with_stock_client, 25), ("server", upload, 60)],
    ids=["plugin", "stock client", "server"],
)
def test_whoever_is_killed_at_any_moment_no_partial_file_has_a_final_name(victim, deed, kills, store, source):
    seconds = statistics.median(undisturbed(deed, store.address, source, f"undisturbed{n}") for n in range(5))
    sent, unfinished = digests(source), 0
    for number, moment in moments(kills, seconds):
        folder = f"run{number}"
        client = begin(deed, store.address, source, f"{folder}/model")
        time.sleep(moment)
        (client if victim == "client" else store).kill()
        assert digests(store.root / folder / "model").items() <= sent.items()
        if victim == "client":
            end(client)
            until(lambda: not store.serves_others())
            unfinished += store.unfinished(f"{folder}/model")
        else:
            unfinished += store.unfinished(f"{folder}/model")
            store.start()
            end(client)
            assert client.exitcode in (0, FAILED)
            if client.exitcode == 0:
                assert digests(store.root / folder / "model") == sent
        look(store, source, folder)
    assert unfinished > kills / 10


def test_a_registered_version_always_loads_however_its_maker_ended(running_servers):
    api, name = mlflow.MlflowClient(), f"killed {os.urandom(4).hex()}"
    arguments = log_and_register, running_servers.tracking_uri, api.create_experiment(name), name
    seconds = undisturbed(*arguments, 0)
    for number, moment in moments(10, seconds):
        client = begin(*arguments, number)
        time.sleep(moment)
        client.kill()
        end(client)
        versions = api.search_model_versions(f"name = '{name}'")
        assert versions
        for version in versions:
            if version.status == "READY":
                assert len(mlflow.sklearn.load_model(f"models:/{name}/{version.version}").coef_) == 60_000
    assert len(versions) < 11, "no kill came in time"
