"""How fast models and many small files go to the artifact store and back, beside the least that FTP can do.

    python benchmarks/artifact_store.py
    python benchmarks/artifact_store.py --latency 2

It starts the artifact store, the same with TLS, and an MLflow server that passes artifacts on, all on free ports with
an empty folder. Ratios are to one plain ftplib connection that logs in, makes the folder and sends or fetches one file
after the other in blocks of 1 MiB: the practical limit of one connection. Every operation of every client begins with a
new repository object in a new thread, so that nobody has a connection left, and each log-in counts. The best of some
rounds counts; within a round the clients take turns, each round beginning with another one. Every download is compared
with what was uploaded, outside the time.

With --latency the clients go through a relay that holds everything back for that many milliseconds each way, so that a
question and its answer take twice as much. Connections are still opened at once. It needs Linux, where 127.0.0.2 is
this machine too: the servers are there, and the relay has the same ports at 127.0.0.1.
"""

import argparse
import asyncio
import contextlib
import ftplib
import multiprocessing
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "server"))

from processes import Progress, child_environment, process  # noqa: E402  (they are found in the folder just named)
from servers import SMALL, mlflow_answers  # noqa: E402

HERE, BEHIND = "127.0.0.1", "127.0.0.2"  # where clients look for servers, and where these are behind the relay
USER, PASSWORD = "guest", "12345"
BLOCK = 2**20
PASSIVE = 50  # ports for data connections; the relay listens on each


@dataclass(frozen=True)
class Plain:
    """One ftplib connection for each operation."""

    port: int
    name: str = "ftplib"

    def connect(self, folder: str) -> ftplib.FTP:
        """Return a connection that is logged in and in the folder, which is made if it is not there."""
        ftp = ftplib.FTP(timeout=60)
        ftp.connect(HERE, self.port)
        ftp.login(USER, PASSWORD)
        try:
            ftp.cwd(folder)
        except ftplib.error_perm:
            ftp.mkd(folder)
            ftp.cwd(folder)
        return ftp

    def up(self, source: Path, folder: str) -> None:
        """Upload the files of a folder."""
        with self.connect(folder) as ftp:
            for path in source.iterdir():
                with path.open("rb") as file:
                    ftp.storbinary(f"STOR {path.name}", file, BLOCK)

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder."""
        with self.connect(folder) as ftp:
            return {name for name, facts in ftp.mlsd(facts=["type", "size"]) if facts["type"] == "file"}

    def down(self, folder: str, target: Path) -> None:
        """Download a folder into ``target``."""
        (target / folder).mkdir()
        with self.connect(folder) as ftp:
            for name in [name for name, facts in ftp.mlsd(facts=["type", "size"]) if facts["type"] == "file"]:
                with (target / folder / name).open("wb") as file:
                    ftp.retrbinary(f"RETR {name}", file.write, BLOCK)


@dataclass(frozen=True)
class Repository:
    """An artifact repository of MLflow or of the plugin, made anew for each operation."""

    name: str
    make: Callable

    def up(self, source: Path, folder: str) -> None:
        """Upload the files of a folder."""
        self.make().log_artifacts(str(source), folder)

    def names(self, folder: str) -> set[str]:
        """Return the names of the files in a folder."""
        return {Path(info.path).name for info in self.make().list_artifacts(folder)}

    def down(self, folder: str, target: Path) -> None:
        """Download a folder into ``target``."""
        self.make().download_artifacts(folder, str(target))


def clients(ftp: int, ftps: int, mlflow: int, local: Path) -> list[Plain | Repository]:
    """Return the clients, of which the first is the measure of the others."""
    from mlflow.store.artifact.ftp_artifact_repo import FTPArtifactRepository as Stock
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
    from mlflow_ftp import FTPArtifactRepository

    return [
        Plain(ftp),
        Repository("plugin", lambda: FTPArtifactRepository(f"ftp://{HERE}:{ftp}/")),
        Repository("plugin, TLS", lambda: FTPArtifactRepository(f"ftps://{HERE}:{ftps}/")),
        Repository("stock client", lambda: Stock(f"ftp://{USER}:{PASSWORD}@{HERE}:{ftp}/")),
        Repository("proxied", lambda: MlflowArtifactsRepository("mlflow-artifacts:/", f"http://{HERE}:{mlflow}")),
        Repository("local files", lambda: LocalArtifactRepository(str(local))),
    ]


def make_files(folder: Path, megabytes: int) -> dict[str, Path]:
    """Write the three folders that go up and down, and return them by what they are called in the table."""
    model = [*(f"model/part{number}.txt" for number in range(6)), "model/model.pkl"]
    small = [f"small/{number:03}.json" for number in range(200)]
    sizes = dict.fromkeys(model, 3000) | {"model/model.pkl": 500_000} | dict.fromkeys(small, 1000)
    for name, size in (sizes | {"large/large.bin": megabytes * 10**6}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(random.Random(name).randbytes(size))
    return {
        "7 files": folder / "model",
        "200 files": folder / "small",
        f"one file of {megabytes} MB": folder / "large",
    }


def timed(deed: Callable) -> tuple[float, object]:
    """Return how many seconds something takes in a thread of its own, which has no open connection, and its result."""

    def measured() -> tuple[float, object]:
        start = time.perf_counter()
        result = deed()
        return time.perf_counter() - start, result

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(measured).result()


def measure(client: Plain | Repository, source: Path, folder: str, target: Path) -> dict[str, float]:
    """Return the seconds of an upload, a listing and a download into ``target``; what comes back has to be equal."""
    target.mkdir()
    try:
        up, _ = timed(lambda: client.up(source, folder))
        listed, names = timed(lambda: client.names(folder))
        down, _ = timed(lambda: client.down(folder, target))
        sent = {path.name: path.read_bytes() for path in source.iterdir()}
        got = {path.name: path.read_bytes() for path in (target / folder).iterdir()}
        if not (sent == got and names == set(sent)):
            sys.exit(f"artifact_store: {client.name} does not bring back what it took away from {source}.")
    finally:
        shutil.rmtree(target)
    return {"up": up, "list": listed, "down": down}


def free_ports(count: int) -> int:
    """Return the first of some ports in a row on which nothing listens."""
    while True:
        first = random.randrange(20000, 30000)
        with contextlib.ExitStack() as listeners, contextlib.suppress(OSError):
            for port in range(first, first + count):
                for host in (HERE, BEHIND)[: 1 + (sys.platform == "linux")]:
                    listeners.enter_context(socket.create_server((host, port)))
            return first


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write what is read, all of it ``delay`` seconds later; what comes in the meantime does not wait longer."""
    now = asyncio.get_running_loop().time
    waiting = asyncio.Queue(1000)

    async def read() -> None:
        while data := await reader.read(BLOCK):
            await waiting.put((now() + delay, data))
        await waiting.put((now() + delay, b""))

    async def write() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - now())
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(write())


async def relay(ports: list[int], delay: float) -> None:
    """Take connections at 127.0.0.1 and pass on what goes through them to the same ports at 127.0.0.2."""
    tasks = set()  # the event loop itself forgets a task whose connection is half closed

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, writers = asyncio.current_task(), [writer]
        tasks.add(task)
        try:
            answers, questions = await asyncio.open_connection(BEHIND, writer.get_extra_info("sockname")[1])
            writers.append(questions)
            async with asyncio.TaskGroup() as group:
                group.create_task(pass_on(reader, questions, delay))
                group.create_task(pass_on(answers, writer, delay))
        except* OSError:
            pass  # one side has hung up, so the other one is to hear of it
        for each in writers:
            each.close()
        tasks.discard(task)

    listeners = [await asyncio.start_server(connected, HERE, port) for port in ports]
    await asyncio.gather(*(listener.serve_forever() for listener in listeners))


def ftp_answers(port: int) -> bool:
    """Return whether an FTP server greets, also behind the relay, which takes every connection."""
    try:
        with socket.create_connection((HERE, port), timeout=5) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def run_relay(ports: list[int], delay: float) -> None:
    """Run the relay until the process is ended."""
    asyncio.run(relay(ports, delay))


@contextlib.contextmanager
def running(state: Path, latency: float) -> Iterator[list[Plain | Repository]]:
    """Have the servers up for as long as the ``with`` block lasts, which gets the clients for them."""
    host = BEHIND if latency else HERE
    ftp, ftps, mlflow = (free_ports(count) for count in (1 + PASSIVE, 1 + PASSIVE, 1))
    env = child_environment(**SMALL, MLFLOW_FTP_USERNAME=USER, MLFLOW_FTP_PASSWORD=PASSWORD)
    with contextlib.ExitStack() as stack:
        if latency:
            ports = [*range(ftp, ftp + 1 + PASSIVE), *range(ftps, ftps + 1 + PASSIVE), mlflow]
            between = multiprocessing.Process(target=run_relay, args=(ports, latency / 1000), daemon=True)
            between.start()
            stack.callback(between.join)
            stack.callback(between.terminate)
        started = []
        for name, port, options in (("ftp", ftp, []), ("ftps", ftps, ["--tls"])):
            command = [sys.executable, ROOT / "server" / "ftpserver.py", "--host", host, "--port", port, *options]
            command += ["--root", state / name / "ftp_root", "--passive-ports", f"{port + 1}-{port + PASSIVE}"]
            server = stack.enter_context(process("The artifact store", command, state / f"{name}.log", env=env))
            started.append((server, lambda port=port: ftp_answers(port), 20))
        command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", mlflow, "--backend-store-uri"]
        command += ["sqlite:///mlruns.db", "--artifacts-destination", state / "proxied"]
        server = stack.enter_context(process("The MLflow server", command, state / "mlflow.log", cwd=state, env=env))
        started.append((server, lambda: mlflow_answers(mlflow), 120))
        for server, ready, seconds in started:
            server.wait_until(ready, seconds)
        yield clients(ftp, ftps, mlflow, state / "local")


def print_table(best: dict[tuple[str, str], dict[str, float]], names: list[str]) -> None:
    """Print a line for each operation: the seconds of the first client, and the ratios of all to it."""
    print(f"\n{'':26}{'seconds':>8}" + "".join(f"{name:>13}" for name in names) + f"{'aim':>14}")
    for (files, operation), seconds in best.items():
        limit = seconds[names[0]]
        ratios = "".join(f"{seconds[name] / limit:13.2f}" for name in names)
        aim = "" if files.startswith("7") else f"{'1.2' if files.startswith('one') else '1.5'}, TLS 3"
        print(f"{f'{files}, {operation}':26}{limit:8.3f}{ratios}{aim:>14}")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Time up, list and down with the artifact store and its rivals.")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the large file (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=6, help="the best of them counts (default: %(default)s)")
    parser.add_argument(
        "--latency", type=float, default=0, metavar="MS", help="milliseconds that everything takes longer, each way"
    )
    options = parser.parse_args()
    if options.latency and sys.platform != "linux":
        sys.exit("artifact_store: --latency needs Linux, where 127.0.0.2 is this machine too. Leave it out.")
    variables = {"MLFLOW_FTP_USERNAME": USER, "MLFLOW_FTP_PASSWORD": PASSWORD}
    os.environ |= variables | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    best = {}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), options.latency) as others:
        state = Path(folder)
        os.environ["MLFLOW_FTP_CA_FILE"] = str(state / "ftps" / "ftp_tls" / "certificate.pem")
        sources = make_files(state, options.megabytes)
        for turn in range(options.rounds):
            progress = Progress(f"Round {turn + 1} of {options.rounds}")
            for files, source in sources.items():
                for client in others[turn % len(others) :] + others[: turn % len(others)]:
                    progress([f"{files}: {client.name}"])
                    seconds = measure(client, source, f"{source.name}-{turn}", state / "got")
                    for kept in list(state.rglob(f"{source.name}-{turn}")):
                        shutil.rmtree(kept)
                    for operation, took in seconds.items():
                        if (source.name, operation) != ("large", "list"):
                            fastest = best.setdefault((files, operation), {})
                            fastest[client.name] = min(took, fastest.get(client.name, took))
            progress.done()
    print_table(best, [client.name for client in others])


if __name__ == "__main__":
    main()
