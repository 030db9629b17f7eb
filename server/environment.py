"""Make the environment .venv and install requirements.txt into it.

Standard library only, as it runs before anything is installed.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import sys
from pathlib import Path

from processes import ProcessError, child_environment, step

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ROOT / "requirements.txt"
PLUGIN = ROOT / "server" / "mlflow-ftp" / "pyproject.toml"  # what it declares is written down when it is installed
LOG = ROOT / "server" / "logs" / "install.log"
DISK = 5  # GB; the packages take 3.4 when they are unpacked


def make_environment() -> None:
    """Make .venv and install what is needed into it, unless that has been done; raises ProcessError."""
    marker = VENV / "installed-requirements.sha256"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + PLUGIN.read_bytes()).hexdigest()
    # An environment that was moved has programs in it that look for their Python in the old place.
    made_for = (VENV / "pyvenv.cfg").read_text(encoding="utf-8") if PYTHON.exists() and marker.exists() else ""
    whole = str(VENV) in made_for or str(VENV.resolve()) in made_for
    if whole and marker.read_text() == digest:
        return
    env = child_environment()
    try:
        if whole:
            print("What the workshop needs has changed since .venv was made.")
            marker.unlink()
        else:
            check_means()
            step("[1/3] Making the environment .venv", [sys.executable, "-m", "venv", "--clear", VENV], LOG, env=env)
        install(env)
    except ProcessError as error:
        raise ProcessError(cause() or str(error)) from None
    marker.write_text(digest)


def check_means() -> None:
    """Raise ProcessError if this Python can't make an environment here, or the disk is too small for one."""
    if VENV.is_symlink():
        raise ProcessError(
            f"{VENV} is a link to {VENV.resolve()}, which the workshop did not make and does not touch. Remove the "
            "link and try again."
        )
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        major, minor = sys.version_info[:2]
        raise ProcessError(
            "This Python can't make environments, as its module venv or ensurepip is missing. Install it (on Debian "
            f"and Ubuntu: sudo apt install python{major}.{minor}-venv) and try again."
        )
    if (sys.platform, platform.machine()) == ("darwin", "x86_64"):
        raise ProcessError(
            "This is a Mac with an Intel processor, for which tensorflow has no build any more. Use another machine."
        )
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < DISK:
        raise ProcessError(
            f"The packages need {DISK} GB of disk, and {free:.1f} GB are free in {ROOT}. Free some and try again."
        )


def install(env: dict[str, str]) -> None:
    """Install the packages with uv, or with pip where uv fails; raises ProcessError."""
    packages = [line.split()[0] for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if "==" in line]
    title = f"[3/3] Installing {len(packages)} packages, some 3.4 GB"
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "--retries", "2", "install"]
    uv = [package for package in packages if package.startswith("uv==")]
    # Bytecode is compiled here once, or else at every import where the user's settings forbid writing it later. The
    # machine's certificates are the ones to trust, as there may be a company's own among them.
    sync = [PYTHON, "-m", "uv", "pip", "sync", "--compile-bytecode", "--system-certs", "--no-progress"]
    sync += ["--python", PYTHON, REQUIREMENTS]
    try:
        step("[2/3] Getting the installer uv", [*pip, "--only-binary=:all:", *uv], LOG, env=env)
        step(title, sync, LOG, cwd=ROOT, env=env)
    except ProcessError:
        if cause():
            raise
        # There is no uv for some machines, and it doesn't read the settings of pip, such as a company's own index.
        print("uv can't do it here, so pip does, which takes some minutes.")
        step(title, [*pip, "-r", REQUIREMENTS], LOG, cwd=ROOT, env=env)


def cause() -> str | None:
    """Return what to do about a full disk or a missing network if that made pip or uv fail, else None."""
    text = LOG.read_text(encoding="utf-8", errors="replace").lower() if LOG.exists() else ""
    signs = ("no space left", "not enough space", "quota exceeded")
    if any(sign in text for sign in signs) or shutil.disk_usage(ROOT).free < 1e8:
        return f"The disk is full: {DISK} GB are needed in {ROOT}. Free some and try again. The log is {LOG}."
    if "connection broken by" in text:
        return (
            "The package index can't be reached. Check the network and the proxy (HTTPS_PROXY), then try again. "
            f"The log is {LOG}."
        )
    return None
