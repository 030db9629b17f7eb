"""Start real child processes, and look at what is left of them, of their logs and on the terminal."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from stores import until

from forecasting.errors import UserError
from server.environment import child_environment
from server.processes import Process, process, progress, step, watch_over

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals; taskkill ends the whole tree there")

ENDS = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print("closed", flush=True), {}))
print("ready", flush=True)
while True: time.sleep(1)
"""
HAS_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
while True: time.sleep(1)
"""

# What tutorials, clouds and other projects leave in a terminal, and what people set for the workshop.
LEFT_OVER = (
    "MLFLOW_EXPERIMENT_NAME MLFLOW_EXPERIMENT_ID MLFLOW_RUN_ID MLFLOW_REGISTRY_URI MLFLOW_TRACKING_URI "
    "MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD MLFLOW_TRACKING_AUTH MLFLOW_HTTP_REQUEST_MAX_RETRIES "
    "MLFLOW_BACKEND_STORE_URI MLFLOW_AUTH_CONFIG_PATH MLFLOW_S3_ENDPOINT_URL _MLFLOW_SERVER_ARTIFACT_ROOT "
    "PYTHONSAFEPATH PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PYTHONOPTIMIZE PYTHONHASHSEED "
    "PYTHONINSPECT PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIRE_HASHES PIP_NO_DEPS PIP_PYTHON "
    "PIP_DRY_RUN UV_SYSTEM_PYTHON UV_CONSTRAINT UV_EXCLUDE_NEWER UV_PROJECT_ENVIRONMENT DASH_DEBUG FLASK_DEBUG "
    "GUNICORN_CMD_ARGS UVICORN_RELOAD WEB_CONCURRENCY WERKZEUG_RUN_MAIN"
)
MEANT = (
    "MLFLOW_FTP_USERNAME MLFLOW_FTP_PASSWORD MLFLOW_FTP_TIMEOUT MLFLOW_FTP_CA_FILE MLFLOW_PORT FTP_PORT "
    "PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX JUPYTER_CONFIG_PATH JAVA_HOME SSL_CERT_FILE DASHBOARD_PORT "
    "PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_CERT PIP_PROXY PIP_CONFIG_FILE PIP_CACHE_DIR "
    "UV_DEFAULT_INDEX UV_INDEX_COMPANY_PASSWORD UV_FIND_LINKS UV_NO_CONFIG UV_HTTP_TIMEOUT UV_OFFLINE "
    "PYTHON_KEYRING_BACKEND"
)


@pytest.fixture
def log(tmp_path) -> Path:
    return tmp_path / "logs" / "child.log"


def python(*code: str) -> list[str]:
    """Return the command that runs a line of Python, behind options of Python."""
    return [sys.executable, *code[:-1], "-c", code[-1]]


def test_a_failed_child_is_named_with_its_exit_status_its_log_and_the_last_lines_of_it(log):
    code = "import sys; [print('line', n) for n in range(50)]; print('err', file=sys.stderr); raise SystemExit(7)"
    with process("The child", python("-u", code), log) as child, pytest.raises(UserError) as error:
        list(child.follow())
    first, *lines = str(error.value).splitlines()
    assert first == f"The child failed with exit status 7. Its log is {log}, which ends with:"
    assert [line.strip() for line in lines] == [*(f"line {n}" for n in range(39, 50)), "err"]
    with process("The child", python("raise SystemExit(7)"), log) as child, pytest.raises(UserError) as error:
        list(child.follow())
    assert str(error.value) == f"The child failed with exit status 7. Its log is {log}."


def test_a_log_that_a_living_process_of_another_call_writes_to_is_named_and_left_as_it_is(log):
    with process("The first", python("print('first', flush=True); import time; time.sleep(600)"), log):
        until(lambda: "first" in log.read_text())
        with pytest.raises(OSError, match=str(log)), process("The second", [], log):
            pytest.fail("it writes into the log of the first")
        assert log.read_text().split() == ["first"]
    with process("The third", python("print('third')"), log) as third:
        list(third.follow())
    assert log.read_text().split() == ["third"]


def test_bytes_that_are_no_text_and_lines_without_end_do_not_hide_why_a_child_failed(log):
    code = "import sys; sys.stdout.buffer.write(b'x' * 3_000_000 + b'\\nna\\xefve\\xff: no disk'); sys.exit(1)"
    seen = []
    with process("The child", python(code), log) as child, pytest.raises(UserError) as error:
        seen.extend(line for lines in child.follow() for line in lines)
    assert seen[-1] == "na\N{REPLACEMENT CHARACTER}ve\N{REPLACEMENT CHARACTER}: no disk"
    assert str(error.value).endswith(f"\n    {seen[-1]}")
    assert len(str(error.value)) < 2000, "a person has to read it"


def test_a_line_that_is_written_piece_by_piece_is_seen_once_and_whole(log, tmp_path):
    go = tmp_path / "go"
    code = f"""
import pathlib, time
print("report: half ", end="", flush=True)
while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)
print("and half\\nno end of line", end="", flush=True)
"""
    seen, looks = [], 0
    with process("The child", python(code), log) as child:
        for lines in child.follow():
            seen += lines
            looks += log.stat().st_size > 0
            if looks == 3:
                go.touch()
    assert seen == ["report: half and half", "no end of line"]


def test_waiting_for_a_server_ends_when_its_process_has_ended_or_time_runs_out(log):
    with (
        process("The child", python("print('port taken'); raise SystemExit(3)"), log) as child,
        pytest.raises(UserError, match=r"(?s)ended with exit status 3 before it was ready.*port taken"),
    ):
        child.wait_until(lambda: False, 60)
    with (
        process("The child", python("import time; time.sleep(600)"), log) as child,
        pytest.raises(UserError, match="The child did not answer within 1 s"),
    ):
        child.wait_until(lambda: False, 0.6)


@pytest.mark.parametrize("first", ["", pytest.param("sys.exit()", marks=posix)], ids=["ends with it", "outlives it"])
def test_what_a_child_started_is_stopped_too(log, first):
    with process("The child", python(HAS_A_CHILD.replace("while", f"{first}\nwhile")), log) as child:
        grandchild = int(until(lambda: log.read_text().strip()))
        if os.name == "posix":  # Ctrl-C in the terminal does not reach it
            assert os.getsid(grandchild) == child.popen.pid
        until(lambda: not first or child.popen.poll() is not None)
    until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE)


@posix
@pytest.mark.parametrize(("then", "status"), [("sys.exit()", 0), ("None", -signal.SIGKILL)])
def test_a_child_has_time_to_close_what_it_has_open_and_is_killed_if_it_does_not_end(log, then, status):
    child = Process("The child", python(ENDS.format(then)), log)
    until(lambda: "ready" in log.read_text())
    child.stop(seconds=10 if status == 0 else 0.5)
    assert log.read_text().split() == ["ready", "closed"]
    assert child.popen.returncode == status


def test_progress_that_is_not_on_a_terminal_is_a_line_at_each_end(capsys):
    with progress("Baking") as show:
        show("chatter")
        print("    oven: is hot")
    assert capsys.readouterr().out == "Baking ...\n    oven: is hot\nBaking: done in 0 s\n"
    with pytest.raises(UserError), progress("Baking"):
        raise UserError
    assert capsys.readouterr().out == "Baking ...\n"


def test_children_find_this_python_first_and_no_proxy_between_them_and_the_servers(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "example.org")
    env = child_environment(MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert env["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert env["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert env["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:1"
    assert env["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "MLFLOW_TRACKING_URI" not in os.environ or os.environ["MLFLOW_TRACKING_URI"] != "http://127.0.0.1:1"


def test_what_is_left_over_from_other_work_reaches_no_child(monkeypatch):
    for name in (*LEFT_OVER.split(), *MEANT.split(), "PIP_USER", "KERAS_BACKEND", "PYTHONIOENCODING", "PYTHONUTF8"):
        monkeypatch.setenv(name, "of other work")
    env = child_environment()
    assert [name for name in LEFT_OVER.split() if name in env] == []
    assert [name for name in MEANT.split() if env.get(name) != "of other work"] == []
    assert env["PIP_USER"] == "0"
    assert env["KERAS_BACKEND"] == "tensorflow"
    assert (env["PYTHONUTF8"], env["PYTHONIOENCODING"]) == ("1", "utf-8")
    assert child_environment(MLFLOW_RUN_ID="meant")["MLFLOW_RUN_ID"] == "meant"


@pytest.mark.parametrize("says", ["time.sleep(600)", "print('oven: The server does not answer.'); sys.exit(1)"])
def test_a_step_ends_when_something_else_has_ended_that_it_needs_and_names_that(says, log, tmp_path):
    dies = python("print('out of memory'); raise SystemExit(9)")
    with process("The server", dies, tmp_path / "server.log") as server:
        until(lambda: server.popen.poll() is not None)
        with pytest.raises(UserError) as error:
            step("Baking", python(f"import sys, time; {says}"), log, "oven:", guard=lambda: watch_over([server]))
    assert str(error.value).startswith(
        f"The server ended with exit status 9. Its log is {server.log}, which ends with:"
    )
    assert "out of memory" in str(error.value)
