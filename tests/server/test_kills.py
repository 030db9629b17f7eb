"""Kill clients and servers in the middle of uploads, and look at what is under the final names."""

import hashlib
import multiprocessing
import os
import random
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import psutil
import pytest
from clients import FAILED, forked, log_and_register, upload, upload_with_stock_client
from mlflow_ftp import FTPArtifactRepository
from stores import FTPServer, until

pytestmark = pytest.mark.slow
PARTIAL = re.compile(r"\.partial-[0-9a-f]{32}")
SECONDS = 30  # what no step of these tests comes near


def serves_others(server: int) -> bool:
    """Return whether anybody but this process has a connection to the server of that process id."""
    ours = {connection.laddr.port for connection in psutil.Process().net_connections("tcp")}
    of_server = psutil.Process(server).net_connections("tcp")
    return any(connection.raddr and connection.raddr.port not in ours for connection in of_server)


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
    """Return numbered moments, spread evenly and at random over some seconds; a failed test shows their seed."""
    seed = random.randrange(1_000_000)
    print(f"the seed of the moments: {seed}")
    chance = random.Random(seed)
    return ((number, (number + chance.random()) / count * seconds) for number in range(count))


@pytest.fixture(autouse=True)
def quiet(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


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


def look(up: FTPServer, source: Path, folder: str) -> None:
    """See on the disk and through a client that what has a final name is whole, and that going on needs no repair."""
    sent, stored = digests(source), digests(up.folder / folder / "model")
    assert stored.items() <= sent.items()
    client = FTPArtifactRepository(f"{up.address}/{folder}")
    if stored:
        got = Path(client.download_artifacts("model"))
        assert digests(got) == stored
        shutil.rmtree(got)
    client.log_artifacts(str(source), "model")
    assert digests(up.folder / folder / "model") == sent
    shutil.rmtree(up.folder / folder)


@pytest.mark.parametrize(
    ("victim", "deed"),
    [("client", upload), ("client", upload_with_stock_client), ("server", upload)],
    ids=["plugin", "stock client", "server"],
)
def test_whoever_is_killed_at_any_moment_no_partial_file_has_a_final_name(
    victim, deed, kills, start_store, tmp_path, source
):
    up = start_store(tmp_path)
    seconds = statistics.median(undisturbed(deed, up.address, source, f"undisturbed{n}") for n in range(3))
    sent, unfinished = digests(source), 0
    for number, moment in moments(kills, seconds):
        folder = up.folder / f"run{number}" / "model"
        client = begin(deed, up.address, source, f"run{number}/model")
        time.sleep(moment)
        (client if victim == "client" else up.process).kill()
        assert digests(folder).items() <= sent.items()
        unfinished += folder.exists() and not (folder / "model.pkl").exists()
        if victim == "server":
            up.stop()
            up = start_store(tmp_path, ports=(up.port, up.passive))
        end(client)
        if victim == "client":
            until(lambda server=up.process.pid: not serves_others(server))
        else:
            assert client.exitcode in (0, FAILED)
            if client.exitcode == 0:
                assert digests(folder) == sent
        look(up, source, f"run{number}")
    assert unfinished, "no kill came in time"


def test_a_registered_version_always_loads_however_its_maker_ended(running_servers, kills):
    api, name = mlflow.MlflowClient(), f"killed {os.urandom(4).hex()}"
    arguments = log_and_register, running_servers.tracking_uri, api.create_experiment(name), name
    seconds = undisturbed(*arguments, 0)
    for number, moment in moments(kills, seconds):
        client = begin(*arguments, number)
        time.sleep(moment)
        client.kill()
        end(client)
        versions = api.search_model_versions(f"name = '{name}'")
        assert versions
        for version in versions:
            if version.status == "READY":
                assert len(mlflow.sklearn.load_model(f"models:/{name}/{version.version}").coef_) == 60_000
    assert len(versions) < kills + 1, "no kill came in time"
