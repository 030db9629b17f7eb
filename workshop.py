"""One door to the workshop.

    python workshop.py run         the whole main job: servers, models, report, dashboard
    python workshop.py servers     just the two servers, to follow the chapters by hand
    python workshop.py notebook    JupyterLab beside the two servers
    python workshop.py check       what is done, step by step, and what to do next
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
import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "server"))

from environment import PYTHON, VENV, make_environment
from processes import ProcessError, Progress, child_environment, process, step
from servers import HOST, get, listens, servers, taken

SIGNALS = [  # Windows has no SIGHUP, the others no SIGBREAK
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]


@contextlib.contextmanager
def start_servers(options):
    """Have the two servers up, and say so."""
    progress = Progress("Starting the artifact store and the MLflow server")
    with servers(options.state, options.state / "logs", options.ftp_port, options.mlflow_port, progress) as up:
        progress.done()
        for name in up.found:
            print("The {} was running already. It is used, and left running.".format(name))
        yield up


def stay(children):
    """Wait until Ctrl-C, which is a good end; raises ProcessError if one of the processes ends by itself."""
    print("Ctrl-C stops what was started here.")
    sys.stdout.flush()
    try:
        while True:
            for child in children:
                if child.popen.poll() is not None:
                    if child.name == "JupyterLab" and child.popen.returncode == 0:
                        return  # its menu has an entry for that: File, Shut Down
                    raise child.failure("ended with exit status {}".format(child.popen.returncode))
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


def production(tracking_uri):
    """Return the number of the version in production; raises ProcessError if there is none."""
    url = tracking_uri + "/api/2.0/mlflow/registered-models/alias?name=wind_solar&alias=production"
    answer = get(url)
    if answer is None:
        raise ProcessError("No version of wind_solar is in production, see {}/#/models/wind_solar".format(tracking_uri))
    return json.loads(answer)["model_version"]["version"]


def wait_for_dashboard(ready, found, children):
    """Wait until the dashboard shows the version in production; raises ProcessError if it doesn't."""
    progress = Progress("Waiting for the dashboard")
    if not found:
        children[-1].wait_until(ready, 60, progress)
    while not ready():
        if progress.seconds > 60:
            raise ProcessError(
                "The dashboard that was running already shows another model. Stop it, or choose another port with "
                "--dashboard-port."
            )
        progress([])
        time.sleep(0.5)
    progress.done()


def show(up):
    """Print where the two servers are."""
    print("    MLflow          {}".format(up.tracking_uri))
    print("    artifact store  ftp://{}:{}".format(HOST, up.ftp_port))


def run(options):
    """Do the whole main job."""
    logs = options.state / "logs"
    address = "http://{}:{}".format(HOST, options.dashboard_port)

    def health():
        return get(address + "/health") or ""

    found = listens(options.dashboard_port)
    if found and '"wind_solar"' not in health():
        raise taken(options.dashboard_port, "the dashboard", "--dashboard-port")
    with start_servers(options) as up, contextlib.ExitStack() as stack:
        if found and '"mlflow":"{}"'.format(up.tracking_uri) not in health().replace(" ", ""):
            raise taken(options.dashboard_port, "the dashboard of this MLflow server", "--dashboard-port")
        env = child_environment(
            MLFLOW_TRACKING_URI=up.tracking_uri,
            DASHBOARD_PORT=str(options.dashboard_port),
            MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
        )
        workflow = [PYTHON, "-m", "mlflow", "run", ROOT / "3_projects" / "workflow", "--env-manager", "local"]
        workflow += ["--experiment-name", "predicting_wind_solar", "-P", "holdout_days={}".format(options.holdout_days)]
        if options.data:
            workflow += ["-P", "csv={}".format(options.data.resolve())]
        for parameter in options.parameters:
            workflow += ["-P", parameter]
        step("Training and judging the models", workflow, logs / "workflow.log", "workflow:", cwd=ROOT, env=env)
        version = production(up.tracking_uri)

        children = list(up.started)
        if found:
            print("The dashboard was running already. It is used, and left running.")
        else:
            command = [PYTHON, ROOT / "dashboard" / "app.py"]
            children.append(
                stack.enter_context(process("The dashboard", command, logs / "dashboard.log", cwd=ROOT, env=env))
            )
        report = [PYTHON, ROOT / "report" / "create_report.py", "--output", options.state / "reports"]
        step("Writing this week's report", report, logs / "report.log", "report:", cwd=ROOT, env=env)
        wait_for_dashboard(lambda: '"version":"{}"'.format(version) in health().replace(" ", ""), found, children)
        print("wind_solar version {} is in production, and the dashboard shows it.".format(version))
        show(up)
        print("    dashboard       {}".format(address))
        if not options.once:
            stay(children)


def serve(options):
    """Have the two servers up until Ctrl-C."""
    with start_servers(options) as up:
        show(up)
        print("In the terminal of your commands, say where they are:")
        print("    Linux, macOS    export MLFLOW_TRACKING_URI={}".format(up.tracking_uri))
        print('    PowerShell      $env:MLFLOW_TRACKING_URI = "{}"'.format(up.tracking_uri))
        if "MLFLOW_FTP_PASSWORD" not in os.environ:
            print("and how they let you in:")
            print("    Linux, macOS    export MLFLOW_FTP_USERNAME=guest MLFLOW_FTP_PASSWORD=12345")
            print('    PowerShell      $env:MLFLOW_FTP_USERNAME = "guest"; $env:MLFLOW_FTP_PASSWORD = "12345"')
        stay(up.started)


def notebook(options):
    """Have JupyterLab and the two servers up until Ctrl-C."""
    with start_servers(options) as up:
        show(up)
        # JupyterLab stays off the network and asks no questions when it starts, see server/jupyter.
        paths = [str(ROOT / "server" / "jupyter")] + os.environ.get("JUPYTER_CONFIG_PATH", "").split(os.pathsep)
        env = child_environment(
            MLFLOW_TRACKING_URI=up.tracking_uri,
            JUPYTER_CONFIG_PATH=os.pathsep.join(filter(None, paths)),
            # These come up in red between the cells, and look like errors there.
            MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        )
        command = [PYTHON, "-m", "jupyterlab"] + options.arguments
        # Its output, with the token in it, goes to the terminal and into no file.
        with process("JupyterLab", command, None, cwd=ROOT, env=env) as lab:
            stay(up.started + [lab])


def check(options):
    """Look how far the learner has come, and hand back the exit status."""
    return become([PYTHON, ROOT / "server" / "check.py"] + options.arguments, child_environment())


def test(options):
    """Run the tests, and hand back the exit status of pytest."""
    os.chdir(str(ROOT))
    return become([PYTHON, "-m", "pytest"] + options.arguments, child_environment())


def become(command, env=None):
    """Go on as another program, with this one's terminal, Ctrl-C and exit status."""
    sys.stdout.flush()
    command = [str(part) for part in command]
    if os.name != "nt":
        os.execve(command[0], command, os.environ if env is None else env)
    # Windows has no exec. The child gets the same Ctrl-C and does the stopping.
    ignore_signals()
    return subprocess.call(command, env=env)


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
        command = commands.add_parser(name, parents=[common], help=text, description=text, allow_abbrev=False)
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
                "-P",
                dest="parameters",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="another parameter of 3_projects/workflow, such as trials=5; may be given several times",
            )
            command.add_argument(
                "--dashboard-port",
                type=port,
                default=os.environ.get("DASHBOARD_PORT", "8050"),
                metavar="PORT",
                help="default: DASHBOARD_PORT, else 8050",
            )
    text = "what is done, step by step through the chapters, and what to do next"
    commands.add_parser("check", help=text, description=text, add_help=False).set_defaults(function=check)
    text = "all tests; what follows goes to pytest"
    commands.add_parser("test", help=text, description=text, add_help=False).set_defaults(function=test)
    options, rest = parser.parse_known_args(arguments)
    if rest and options.function not in (check, test, notebook):
        parser.error("unrecognized arguments: {}".format(" ".join(rest)))
    options.arguments = rest
    return options


def ignore_signals():
    """Take no Ctrl-C, nor its like, from now on."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupt(signum, frame):
    """Stop in order at the first Ctrl-C, and take no further one while the children are being stopped."""
    ignore_signals()
    os.write(2, b"\nStopping ...\n")
    raise KeyboardInterrupt


def main():
    """Make the environment, go on inside it, and do what was asked."""
    sys.stdout.reconfigure(errors="replace")  # what a log says may have letters that this terminal lacks
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    try:
        options = parse(sys.argv[1:])
        make_environment()
        if Path(sys.prefix).resolve() != VENV.resolve():
            return become([PYTHON, ROOT / "workshop.py"] + sys.argv[1:])
        return options.function(options)
    except (ProcessError, OSError) as error:
        return "\nworkshop.py: {}".format(error)
    except KeyboardInterrupt:
        print("Stopped before it was done.")
        return 130


if __name__ == "__main__":
    sys.exit(main())
