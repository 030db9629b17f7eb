"""One door to the workshop.

    python workshop.py run         the whole main job: servers, models, report, dashboard
    python workshop.py servers     just the two servers, to follow the chapters by hand
    python workshop.py notebook    JupyterLab beside the two servers
    python workshop.py test        all tests; what follows goes to pytest

The first call makes the environment .venv and installs requirements.txt into it. Standard library only, and no syntax
that an old Python can't read, so that the check below gets to speak.
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "workshop.py: expected Python 3.11, 3.12 or 3.13 (tensorflow has no build for others), found Python %d.%d. "
        "Install one from https://www.python.org/downloads/ and type, for example: python3.13 workshop.py run"
        % sys.version_info[:2]
    )

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "server"))

from processes import Process, ProcessError, Progress, child_environment, process
from servers import HOST, get, listens, servers, taken

VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = ROOT / "requirements.txt"
DISK = 5  # GB; the packages take 3.4 when they are unpacked


def make_environment():
    """Make .venv and install requirements.txt into it, unless that has been done; raises ProcessError."""
    marker = VENV / "installed-requirements.sha256"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if PYTHON.exists() and marker.exists() and marker.read_text() == digest:
        return
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise ProcessError(
            "This Python can't make environments, as its module venv or ensurepip is missing. Install it (on Debian and "
            "Ubuntu: sudo apt install python{}.{}-venv) and try again.".format(*sys.version_info)
        )
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < DISK:
        raise ProcessError(
            "The packages need {} GB of disk, and {:.1f} GB are free in {}. Free some and try again.".format(
                DISK, free, ROOT
            )
        )
    lines = REQUIREMENTS.read_text().splitlines()
    packages = [line.split()[0] for line in lines if "==" in line]
    uv = next(package for package in packages if package.startswith("uv=="))
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check"]
    log = VENV.with_name(".venv-install.log")
    env = child_environment()
    # Bytecode is compiled here once, or else at every import where the user's settings forbid writing it later.
    fast = [PYTHON, "-m", "uv", "pip", "sync", "--compile-bytecode", "--no-progress", "--python", PYTHON, REQUIREMENTS]
    marker.unlink(missing_ok=True)
    try:
        step("[1/3] Making the environment .venv", [sys.executable, "-m", "venv", "--clear", VENV], log, env=env)
        step("[2/3] Getting the installer uv", pip + ["install", uv], log, env=env)
        title = "[3/3] Installing {} packages, some 3.4 GB".format(len(packages))
        step(title, fast, log, env=env)
    except ProcessError as error:
        raise ProcessError(explain(error, log))
    marker.write_text(digest)


def explain(error, log):
    """Return what to do about a failed installation: a full disk and a missing network have a sentence of their own."""
    text = log.read_text(encoding="utf-8", errors="replace").lower()
    if "no space left" in text or "not enough space" in text:
        return "The disk is full: {} GB are needed in {}. Free some and try again. The log is {}.".format(
            DISK, ROOT, log
        )
    signs = (
        "failed to fetch",
        "dns error",
        "newconnectionerror",
        "name resolution",
        "connection refused",
        "proxyerror",
    )
    if any(sign in text for sign in signs):
        return (
            "The package index can't be reached. Check the network and the proxy (HTTPS_PROXY), then try again; what is "
            "already fetched is kept. The log is {}.".format(log)
        )
    return str(error)


def step(title, command, log, keep="", **options):
    """Run a command to its end with a line of progress; raises ProcessError if it fails."""
    name = title.split("] ")[-1]
    progress = Progress(title, keep)
    with process("'{}'".format(name), command, log, **options) as child:
        child.wait(progress)
    progress.done()


def start_servers(options):
    """Return the context of the two servers, and say that they are being started."""
    print("Starting the artifact store and the MLflow server ...")
    sys.stdout.flush()
    return servers(options.state, options.state / "logs", options.ftp_port, options.mlflow_port)


def stay(children):
    """Wait until Ctrl-C; raises ProcessError if one of the processes ends by itself."""
    print("Ctrl-C stops what was started here.")
    sys.stdout.flush()
    while True:
        for child in children:
            if child.popen.poll() is not None:
                raise child.failure("ended with exit status {}".format(child.popen.returncode))
        time.sleep(0.5)


def production(tracking_uri):
    """Return the number of the version in production, or None."""
    url = tracking_uri + "/api/2.0/mlflow/registered-models/alias?name=wind_solar&alias=production"
    answer = get(url)
    return json.loads(answer)["model_version"]["version"] if answer else None


def run(options):
    """Do the whole main job."""
    logs = options.state / "logs"
    health = "http://{}:{}/health".format(HOST, options.dashboard_port)
    if listens(options.dashboard_port) and '"wind_solar"' not in (get(health) or ""):
        raise taken(options.dashboard_port, "the dashboard", "--dashboard-port")
    with start_servers(options) as up:
        env = child_environment(MLFLOW_TRACKING_URI=up.tracking_uri, DASHBOARD_PORT=str(options.dashboard_port))
        mlflow = [PYTHON, "-m", "mlflow"]
        workflow = mlflow + ["run", ROOT / "3_projects" / "workflow", "--env-manager", "local"]
        workflow += ["--experiment-name", "predicting_wind_solar", "-P", "holdout_days={}".format(options.holdout_days)]
        if options.data:
            workflow += ["-P", "csv={}".format(options.data.resolve())]
        step("Training and judging the models", workflow, logs / "workflow.log", "workflow:", cwd=ROOT, env=env)

        command = [PYTHON, ROOT / "dashboard" / "app.py"]
        with process("The dashboard", command, logs / "dashboard.log", cwd=ROOT, env=env) as dashboard:
            report = [PYTHON, ROOT / "report" / "create_report.py", "--output", options.state / "reports"]
            step("Writing this week's report", report, logs / "report.log", "report:", cwd=ROOT, env=env)
            version = production(up.tracking_uri)
            expected = '"version":"{}"'.format(version)
            dashboard.wait_until(lambda: expected in (get(health) or "").replace(" ", ""), 60)
            print("wind_solar version {} is in production, and the dashboard shows it.".format(version))
            print("    MLflow          {}".format(up.tracking_uri))
            print("    artifact store  ftp://{}:{}".format(HOST, up.ftp_port))
            print("    dashboard       http://{}:{}".format(HOST, options.dashboard_port))
            if not options.once:
                stay(up.started + [dashboard])


def serve(options):
    """Have the two servers up until Ctrl-C."""
    with start_servers(options) as up:
        print("    MLflow          {}".format(up.tracking_uri))
        print("    artifact store  ftp://{}:{}".format(HOST, up.ftp_port))
        print("In the terminal of your commands, say where they are:")
        print("    Linux, macOS    export MLFLOW_TRACKING_URI={}".format(up.tracking_uri))
        print('    PowerShell      $env:MLFLOW_TRACKING_URI = "{}"'.format(up.tracking_uri))
        stay(up.started)


def notebook(options):
    """Have JupyterLab and the two servers up until Ctrl-C."""
    with start_servers(options) as up:
        env = child_environment(MLFLOW_TRACKING_URI=up.tracking_uri)
        lab = Process("JupyterLab", [PYTHON, "-m", "jupyterlab"] + options.arguments, None, cwd=ROOT, env=env)
        try:
            stay(up.started + [lab])
        finally:
            lab.stop()


def test(options):
    """Run the tests."""
    return subprocess.call([str(PYTHON), "-m", "pytest"] + options.arguments, cwd=str(ROOT), env=child_environment())


def port(text):
    """Return the port as a number from 1 to 65535."""
    if text.isdecimal() and 1 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError("expected a number from 1 to 65535, found {!r}".format(text))


def parse(arguments):
    """Return the command and its options; each option has an environment variable as its fall-back."""
    common = argparse.ArgumentParser(add_help=False)
    for name, default in (("ftp", "2121"), ("mlflow", "5000")):
        variable = name.upper() + "_PORT"
        common.add_argument(
            "--{}-port".format(name),
            type=port,
            default=os.environ.get(variable, default),
            metavar="PORT",
            help="default: {}, else {}".format(variable, default),
        )
    common.add_argument(
        "--state",
        type=lambda text: Path(text).resolve(),
        default=os.environ.get("WORKSHOP_STATE", ROOT / "server"),
        metavar="DIR",
        help="folder of database, artifacts, logs and reports (default: WORKSHOP_STATE, else server)",
    )
    parser = argparse.ArgumentParser(description="The MLflow workshop: one door to all of it.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        ("run", run, "the whole main job: servers, models, report, dashboard"),
        ("servers", serve, "just the two servers, to follow the chapters by hand"),
        ("notebook", notebook, "JupyterLab beside the two servers; what follows goes to it"),
    ):
        command = commands.add_parser(name, parents=[common], help=text, description=text)
        command.set_defaults(function=function)
        if function is run:
            command.add_argument("--once", action="store_true", help="end after the report and the dashboard's answer")
            command.add_argument(
                "--data", type=Path, metavar="CSV", help="another file with the columns of germany.csv"
            )
            command.add_argument(
                "--holdout-days", type=float, default=365, help="days at the end to judge the models on (default: 365)"
            )
            command.add_argument(
                "--dashboard-port",
                type=port,
                default=os.environ.get("DASHBOARD_PORT", "8050"),
                metavar="PORT",
                help="default: DASHBOARD_PORT, else 8050",
            )
    text = "all tests; what follows goes to pytest"
    commands.add_parser("test", help=text, description=text, add_help=False).set_defaults(function=test)
    options, rest = parser.parse_known_args(arguments)
    if rest and options.function not in (test, notebook):
        parser.error("unrecognized arguments: {}".format(" ".join(rest)))
    options.arguments = rest
    return options


def interrupt(signum, frame):
    """Stop in order at the first Ctrl-C, and take no further one while the children are being stopped."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    """Make the environment, go on inside it, and do what was asked."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGINT, interrupt)
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):  # Windows has no SIGHUP, the others no SIGBREAK
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)
    try:
        make_environment()
        if Path(sys.prefix).resolve() != VENV:
            again = [str(PYTHON), str(ROOT / "workshop.py")] + sys.argv[1:]
            if os.name != "nt":
                os.execv(again[0], again)
            # Windows has no exec. The child gets the same Ctrl-C and does the stopping.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            return subprocess.call(again)
        return options.function(options)
    except ProcessError as error:
        return "\nworkshop.py: {}".format(error)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0 if getattr(options, "once", True) is False else 130


if __name__ == "__main__":
    sys.exit(main())
