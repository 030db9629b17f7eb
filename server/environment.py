"""The environment .venv, and the variables that programs in it get. Standard library only: it runs before .venv is."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ROOT / "requirements.txt"
# What decides what is installed: the packages, and what this project's own two packages declare.
DECLARED = (REQUIREMENTS, ROOT / "pyproject.toml", ROOT / "server" / "mlflow-ftp" / "pyproject.toml")
LOG = ROOT / "server" / "logs" / "install.log"
DISK = 5  # GB; the packages take 3.4 when they are unpacked
CAUSES = {  # words in the log of an installation that failed: what to do
    "connection broken by": "The package index can't be reached. Check the network and the proxy (HTTPS_PROXY), then",
    "no space left": f"The disk is full: {DISK} GB are needed in {ROOT}. Free some, then",
}

# Settings of these programs may be left over from other work, and a child gets none of them but those in MEANT, which a
# person sets for the workshop: where packages come from, the artifact store's login, where bytecode goes.
SETTINGS = re.compile("_?MLFLOW_|PYTHON(?!_)|PIP_|UV_|KERAS_|DASH_|FLASK_|WERKZEUG_|GUNICORN_|UVICORN_|WEB_CONCURRENCY")
MEANT = re.compile(
    "MLFLOW_FTP_|MLFLOW_PORT|PYTHONDONTWRITEBYTECODE|PYTHONPYCACHEPREFIX|(PIP|UV)_.*"
    "(INDEX|LINKS|HOST|CERT|TLS|PROXY|KEYRING|CONFIG|CACHE|TIMEOUT|RETRIES|OFFLINE)"
)


def child_environment(**variables: str) -> dict[str, str]:
    """Make the environment of children: the caller's without what is left over from other work, and these variables.

    This Python's programs come first; UTF-8; pip installs into .venv; no proxy for loopback; no telemetry; the artifact
    store's guest, if the user has named no other login.
    """
    env = {name: value for name, value in os.environ.items() if MEANT.match(name) or not SETTINGS.match(name)}
    env |= variables
    env["PATH"] = str(Path(sys.executable).parent) + os.pathsep + env.get("PATH", "")
    env["PYTHONUTF8"] = "1"
    env["PYTHONIOENCODING"] = "utf-8"  # comes before PYTHONUTF8
    env["PYTHONUNBUFFERED"] = "1"
    env["PIP_USER"] = "0"  # in spite of pip.conf
    env["KERAS_BACKEND"] = "tensorflow"  # in spite of keras.json
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = ",".join(filter(None, [env.get(name), "127.0.0.1,localhost"]))
    env["MLFLOW_DISABLE_TELEMETRY"] = "true"
    env["DO_NOT_TRACK"] = "1"
    env["MLFLOW_FTP_USERNAME"] = env.get("MLFLOW_FTP_USERNAME") or "guest"
    env.setdefault("MLFLOW_FTP_PASSWORD", "12345")
    return env


def become(command: list[str], env: dict[str, str]) -> int:
    """Go on as another program, with this one's terminal, Ctrl-C and exit status."""
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, env)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # without exec: the child gets the same Ctrl-C and stops in order
    return subprocess.call(command, env=env)


def make_environment() -> Path:
    """Bring .venv up to date, and return its Python; ends the program with a sentence if that fails."""
    for character in ("#", os.pathsep):  # an address's fragment to mlflow run, the end of a folder in PATH
        if character in str(ROOT):
            sys.exit(f"workshop.py: Take the {character} out of the name of the folder {ROOT}.")
    marker = VENV / "installed-requirements.sha256"
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in DECLARED)).hexdigest()
    # The programs of an environment that was moved look for their Python in the old place.
    made_for = (VENV / "pyvenv.cfg").read_text(encoding="utf-8") if PYTHON.exists() and marker.exists() else ""
    whole = str(VENV) in made_for or str(VENV.resolve()) in made_for
    if whole and marker.read_text() == digest:
        return PYTHON
    if whole:
        print("What the workshop needs has changed since .venv was made.")
        marker.unlink()
    elif VENV.is_symlink():
        sys.exit(
            f"workshop.py: {VENV} is a link to {VENV.resolve()}, which the workshop did not make. Remove the link."
        )
    elif (free := shutil.disk_usage(ROOT).free / 1e9) < DISK:
        sys.exit(f"workshop.py: The packages need {DISK} GB of disk, and {free:.1f} GB are free in {ROOT}. Free some.")
    with open_log(LOG) as log:
        install(log, whole)
    marker.write_text(digest)
    return PYTHON


def open_log(log: Path) -> BinaryIO:
    """Open a log to be written anew; raises OSError if a process that another call started still writes to it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if os.name == "nt":
        log.unlink(missing_ok=True)  # an OSError while another process has it open
        return log.open("wb")
    import fcntl

    file = log.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the last process that inherits the file has ended
    except BlockingIOError:
        file.close()
        raise OSError(f"Another workshop.py is at work and writes to {log}. Wait until it ends.") from None
    file.truncate(0)
    return file


def last_lines(log: Path, count: int = 12, width: int = 400) -> list[str]:
    """Return how a log ends: no more of it than a person reads, however long it or its lines are."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 100_000))
        text = file.read().decode("utf-8", "replace")
    return [line[:width] for line in text.strip().splitlines()[-count:]]


def install(log: BinaryIO, whole: bool) -> None:
    """Make .venv unless it is ``whole``, and install the packages with uv, or with pip where uv fails."""
    packages = [line.split()[0] for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line]
    title = f"[3/3] Installing {len(packages)} packages, some 3.4 GB, which takes a minute or more"
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--retries", "2", "install"]
    uv = [package for package in packages if package.startswith("uv==")]
    # Bytecode is compiled here once, or else at every import where the user's settings forbid writing it later. The
    # machine's certificates are the ones to trust, because a company's own may be among them.
    sync = [PYTHON, "-m", "uv", "pip", "sync", "--compile-bytecode", "--system-certs", "--no-progress"]

    def step(title: str, *command: object) -> None:
        print(f"{title} ...", flush=True)
        output = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
        subprocess.run([str(part) for part in command], cwd=ROOT, env=child_environment(), check=True, **output)

    try:
        if not whole:
            step("[1/3] Making the environment .venv", sys.executable, "-m", "venv", "--clear", VENV)
        try:
            step("[2/3] Getting the installer uv", *pip, "--only-binary=:all:", *uv)
            step(title, *sync, "--python", PYTHON, REQUIREMENTS)
        except subprocess.CalledProcessError:
            if cause():
                raise
            # There is no uv for some machines, and it doesn't read the settings of pip, such as a company's own index.
            print("uv can't do it here, so pip does, which takes some minutes.", flush=True)
            step(title, *pip, "-r", REQUIREMENTS)
    except subprocess.CalledProcessError:
        end = "".join(f"\n    {line}" for line in last_lines(LOG))
        reason = cause() or f"The installation failed. Its log ends with:{end}\nCorrect that and"
        sys.exit(f"workshop.py: {reason} try again. The log is {LOG}.")


def cause() -> str | None:
    """Return what to do about a known cause of a failed installation, else None."""
    text = LOG.read_text(encoding="utf-8", errors="replace").lower()
    return next((advice for words, advice in CAUSES.items() if words in text), None)
