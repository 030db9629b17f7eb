"""The commands of workshop.py, which runs this inside .venv: python -m server COMMAND."""

import contextlib
import functools
import json
import os
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Iterator

import psutil

from forecasting.errors import UserError
from server.environment import ROOT, become, child_environment
from server.options import parse
from server.processes import POLL, Process, process, progress, step, watch_over
from server.servers import HOST, Servers, get, present, servers

SIGNALS = [  # that ask for an end; Windows has no SIGHUP, the others no SIGBREAK
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]
DASHBOARD_SECONDS = 180  # until it shows the version in production


@contextlib.contextmanager
def start_servers(options: Namespace) -> Iterator[Servers]:
    """Have the two servers up, and print which of them ran already."""
    with contextlib.ExitStack() as stack:
        with progress("Starting the artifact store and the MLflow server"):
            up = stack.enter_context(
                servers(options.state, options.state / "logs", options.ftp_port, options.mlflow_port)
            )
        for name in up.already_running:
            print(f"The {name} was running already. It is used, and left running.")
        yield up


def stay(children: list[Process]) -> None:
    """Wait until Ctrl-C, which is a good end; raises UserError if one of the processes ends by itself."""
    print("Ctrl-C stops what was started here.")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            watch_over(children)
            time.sleep(POLL)


def show(up: Servers) -> None:
    """Print where the two servers are."""
    print(f"    MLflow          {up.tracking_uri}")
    print(f"    artifact store  ftp://{HOST}:{up.ftp_port}")


def ask(up: Servers, path: str) -> dict | None:
    """Return what the MLflow server's REST API answers to a question, None if there is no such thing."""
    answer = get(f"{up.tracking_uri}/api/2.0/mlflow/{path}")
    return json.loads(answer) if answer else None


def check_experiment(up: Servers, name: str) -> None:
    """Raise UserError if an experiment has been deleted."""
    answer = ask(up, f"experiments/get-by-name?experiment_name={name}")
    if answer and answer["experiment"]["lifecycle_stage"] == "deleted":
        raise UserError(
            f"The experiment {name} has been deleted. While the servers run (python workshop.py servers), restore it "
            f"with: mlflow experiments restore --experiment-id {answer['experiment']['experiment_id']}"
        )


def dashboard_health(port: int) -> dict:
    """Return which version the dashboard shows and which MLflow server it reads; empty if it doesn't answer."""
    try:
        health = json.loads(get(f"http://{HOST}:{port}/health") or "{}")
    except ValueError:
        return {}
    return health if isinstance(health, dict) else {}


def run(options: Namespace) -> None:
    """Do the whole main job."""
    logs, port = options.state / "logs", options.dashboard_port
    mlflow = f"http://{HOST}:{options.mlflow_port}"
    shown = present(
        lambda port: dashboard_health(port).get("mlflow") == mlflow,
        port,
        "the dashboard of this MLflow server",
        "--dashboard-port",
    )
    with start_servers(options) as up, contextlib.ExitStack() as stack:
        check_experiment(up, "wind_solar")
        env = child_environment(
            MLFLOW_TRACKING_URI=up.tracking_uri,
            DASHBOARD_PORT=str(port),
            MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="true",
            MLFLOW_RUN_CONTEXT='{"made_by": "workshop.py run"}',  # a tag, so the check tells them from the learner's
        )
        workflow = [sys.executable, "-m", "mlflow", "run", ROOT / "3_projects" / "workflow", "--env-manager", "local"]
        workflow += ["--experiment-name", "wind_solar", "-P", f"holdout_days={options.holdout_days}"]
        if options.data:
            workflow += ["-P", f"csv={options.data.resolve()}"]
        for parameter in options.parameters:
            workflow += ["-P", parameter]
        children = list(up.started)
        guard = functools.partial(watch_over, children, options.state)
        where = {"guard": guard, "cwd": ROOT, "env": env}
        if shown:
            print("The dashboard was running already. It is used, and left running.")
        else:  # while the workflow runs, which mostly keeps one core busy, it imports what it needs
            app = process(
                "The dashboard", [sys.executable, ROOT / "dashboard" / "app.py"], logs / "dashboard.log", ROOT, env
            )
            children.append(stack.enter_context(app))
        production = "registered-models/alias?name=wind_solar&alias=production"
        if ask(up, production) is None:
            print("A first run takes about two minutes. Later ones reuse what has not changed.")
        step("Training and judging the models", workflow, logs / "workflow.log", "workflow:", **where)
        answer = ask(up, production)
        if answer is None:
            raise UserError(f"No version of wind_solar is in production, see {up.tracking_uri}/#/models/wind_solar")
        version = answer["model_version"]["version"]
        report = [sys.executable, ROOT / "report" / "create_report.py", "--output", options.state / "reports"]
        step("Writing this week's report", report, logs / "report.log", "report:", **where)
        with progress("Waiting for the dashboard"):
            deadline = time.monotonic() + DASHBOARD_SECONDS
            while dashboard_health(port).get("version") != version:
                guard()
                if time.monotonic() > deadline:
                    raise UserError(
                        f"The dashboard on port {port} does not show version {version}. Stop it, and try again."
                    )
                time.sleep(POLL)
        print(f"wind_solar version {version} is in production, and the dashboard shows it.")
        show(up)
        print(f"    dashboard       http://{HOST}:{port}")
        if not options.once:
            stay(children)


def serve(options: Namespace) -> None:
    """Have the two servers up until Ctrl-C."""
    with start_servers(options) as up:
        show(up)
        print("In the terminal of your commands, say where they are:")
        print(f"    Linux, macOS    export MLFLOW_TRACKING_URI={up.tracking_uri}")
        print(f'    PowerShell      $env:MLFLOW_TRACKING_URI = "{up.tracking_uri}"')
        if "MLFLOW_FTP_PASSWORD" not in os.environ:
            print("and how they let you in:")
            print("    Linux, macOS    export MLFLOW_FTP_USERNAME=guest MLFLOW_FTP_PASSWORD=12345")
            print('    PowerShell      $env:MLFLOW_FTP_USERNAME = "guest"; $env:MLFLOW_FTP_PASSWORD = "12345"')
        stay(up.started)


def notebook(options: Namespace) -> None:
    """Have JupyterLab and the two servers up until Ctrl-C, or until its menu ends it: File, Shut Down."""
    with start_servers(options) as up:
        show(up)
        # JupyterLab stays off the network and asks no questions when it starts, see server/jupyter.
        paths = [str(ROOT / "server" / "jupyter"), *os.environ.get("JUPYTER_CONFIG_PATH", "").split(os.pathsep)]
        env = child_environment(
            MLFLOW_TRACKING_URI=up.tracking_uri,
            JUPYTER_CONFIG_PATH=os.pathsep.join(filter(None, paths)),
            # These come up in red between the cells, and look like errors there.
            MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        )
        command = [sys.executable, "-m", "jupyterlab", *options.arguments]
        # Its output, with the token in it, goes to the terminal and into no file.
        with process("JupyterLab", command, None, cwd=ROOT, env=env) as lab:
            try:
                stay([*up.started, lab])
            except UserError:
                if lab.popen.returncode != 0:
                    raise


def check(options: Namespace) -> int:
    """Look how far the learner has come."""
    server = {name: os.environ[name] for name in os.environ if name.startswith("MLFLOW_TRACKING_")}
    os.chdir(ROOT)
    return become([sys.executable, "-m", "server.check", *options.arguments], child_environment(**server))


def test(options: Namespace) -> int:
    """Run the tests: a process for each core, each with servers of its own that take 0.7 GB; files stay whole."""
    os.chdir(ROOT)
    parallel = ["-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
    return become([sys.executable, "-m", "pytest", *parallel, *options.arguments], child_environment())


COMMANDS = {"run": run, "servers": serve, "notebook": notebook, "check": check, "test": test}


def interrupt(signum: int, frame: object) -> None:
    """Stop in order at the first Ctrl-C, and take no further one while the children are being stopped."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.write(2, b"\nStopping ...\n")
    raise KeyboardInterrupt


def main() -> int | str | None:
    """Do what is asked for, and return the exit status, or a sentence that says what went wrong."""
    # What a log says may have letters that this terminal lacks; and what is printed comes before the error below it.
    sys.stdout.reconfigure(errors="replace", line_buffering=True)
    for number in SIGNALS:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, interrupt)
    try:
        options = parse(sys.argv[1:])
        return COMMANDS[options.command](options)
    except (UserError, OSError) as error:
        return f"\nworkshop.py: {error}"
    except KeyboardInterrupt:
        print("Stopped before it was done.")
        return 130
    finally:
        for child in psutil.Process().children(recursive=True):  # one that was just being started
            child.terminate()


if __name__ == "__main__":
    sys.exit(main())
