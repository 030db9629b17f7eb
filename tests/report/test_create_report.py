import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from forecasting.tracking import LEFT_OVER
from report import create_report as command
from report import mail, publish

NOW = "2017-01-02T06:00"


@pytest.fixture(scope="module")
def create_report(workflow):
    """Return a function that does what the README's command does, without the seconds that a new Python takes."""

    def run(*arguments, **environment) -> subprocess.CompletedProcess:
        said, told, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as variables:
            for name, value in {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", **environment}.items():
                variables.setenv(name, value)
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
                try:
                    command.main([str(part) for part in arguments])
                except SystemExit as end:
                    code = 1 if isinstance(end.code, str) else end.code or 0
                    print(end.code, file=told)
        return subprocess.CompletedProcess(arguments, code, said.getvalue(), told.getvalue())

    return run


@pytest.fixture(scope="module")
def script(root, tmp_path_factory):
    """Return a function that types a script with options, in a folder in which there is nothing."""

    def run(name: str, *options, **environment) -> subprocess.CompletedProcess:
        folder = tmp_path_factory.mktemp("empty")
        env = {name: value for name, value in (os.environ | environment).items() if value}
        command = [sys.executable, root / name, *options]
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stderr
        assert list(folder.iterdir()) == []
        return done

    return run


@pytest.fixture(scope="module")
def typed(workflow, script, tmp_path_factory) -> tuple[Path, str]:
    """Type the command of the README, and return the page that it makes, and its run's id."""
    folder = tmp_path_factory.mktemp("reports")
    done = script("report/create_report.py", "--output", folder)
    assert done.returncode == 0, done.stderr
    assert "Downloading" not in done.stderr
    assert done.stdout.splitlines()[0] == f"report: {folder / '2013-W34.html'}"
    logged = re.fullmatch(r"report: logged as run (\w+) in the experiment weekly_report", done.stdout.splitlines()[1])
    used = r"report: wind_solar version \d+ \(\w+\) of http://127\.0\.0\.1:\d+, on Simulated sample: .*"
    assert re.fullmatch(used, done.stdout.splitlines()[2])
    return folder / "2013-W34.html", logged[1]  # the small CSV ends on Saturday 31 August 2013


def production():
    return mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production")


def runs(week: str) -> list:
    experiment = mlflow.get_experiment_by_name("weekly_report").experiment_id
    return mlflow.search_runs([experiment], f"tags.week = '{week}'", output_format="list")


def test_the_last_complete_week_is_reported_with_its_model_data_and_code_and_logged(typed):
    report, page = typed[0], typed[0].read_text(encoding="utf-8")
    assert [path.name for path in report.parent.iterdir()] == ["2013-W34.html"]
    assert "Monday 19 August 2013 to Sunday 25 August 2013" in page
    version = production()
    training = mlflow.get_run(version.run_id)
    (data,) = mlflow.search_runs(  # the one in use, which need not be the one that the model was trained on
        [training.info.experiment_id],  # another test may have made a table in another experiment
        filter_string="tags.table_sha256 LIKE '%' and attributes.status = 'FINISHED'",
        order_by=["tags.used_at DESC"],
        max_results=1,
        output_format="list",
    )
    assert f"wind_solar, version {version.version}, alias production" in page
    assert "Simulated sample" in page
    for run in (training, data):
        address = f"{os.environ['MLFLOW_TRACKING_URI']}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"
        assert f'href="{address}"' in page
    assert data.data.tags["table_sha256"] in page
    assert training.data.tags.get("mlflow.source.git.commit", "not in a git repository") in page
    assert re.search(r"<td>[^<]*pandas==\d", page)
    run = mlflow.get_run(typed[1])
    assert (run.data.tags["project"], run.data.tags["model_version"]) == ("report", version.version)
    assert f"The model this week: {run.data.tags['verdict']}" in page
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="2013-W34.html")
    assert Path(path).read_bytes() == report.read_bytes()


def test_the_same_week_is_the_same_file_byte_for_byte_in_another_process_too(create_report, typed, tmp_path):
    made_at = re.search(r"Report made</th><td>(\S+) (\S+) UTC", typed[0].read_text(encoding="utf-8"))
    done = create_report("--output", tmp_path, "--no-log", REPORT_NOW="T".join(made_at.groups()))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "2013-W34.html").read_bytes() == typed[0].read_bytes()
    done = create_report("--output", tmp_path, "--no-log", "--now", "2016-05-01T08:30+02:00", REPORT_NOW=NOW)
    assert done.returncode == 0, done.stderr
    assert "2016-05-01 06:30 UTC" in (tmp_path / "2013-W34.html").read_text(encoding="utf-8")


def test_a_backlog_makes_every_complete_week_once_and_one_that_fails_does_not_stop_the_others(
    create_report, tmp_path, monkeypatch
):
    loaded = []
    monkeypatch.setattr(command, "load", lambda version, load=command.load: loaded.append(version) or load(version))
    before = len(runs("2013-W15"))
    (tmp_path / "2013-W20.html").mkdir()
    done = create_report("--all", "--output", tmp_path)
    assert done.returncode == 1
    names = [f"2013-W{number}" for number in range(14, 35)]  # from Monday 1 April on
    assert sorted(path.stem for path in tmp_path.iterdir()) == names
    lines = done.stdout.splitlines()
    progress = [f"[{n}/21] {name}" for n, name in enumerate(names, 1) if name != "2013-W20"]
    assert [line.split(": ")[1] for line in lines[:20]] == progress
    assert lines[20] == f"report: 20 of 21 weeks are in {tmp_path}"
    assert len(loaded) == 1
    assert len(runs("2013-W15")) == before + 1
    assert re.search(r"report: \[7/21\] 2013-W20: failed: .*2013-W20.html is a folder", done.stderr)
    assert done.stderr.splitlines()[-1] == "report: failed: 2013-W20. Make one again with: --week 2013-W20"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--week", "2013-W54"], "expected an ISO week such as 2015-W31, found '2013-W54'"),
        (["--week", "2014-W02"], "week 2014-W02 is not in the data"),
        (["--week", "2012-W10"], "choose a week from 2013-W14 to 2013-W35"),
        (["--week", "2013-W20", "--all"], "not allowed with argument"),
        (["--now", "yesterday"], "expected a time (UTC) such as 2016-12-31T06:00, found 'yesterday'"),
        (["--email", "ada"], "expected one mail address, found 'ada'"),
        (["--all", "--email", "ada@example.org"], "leave it out with --all"),
        (["--dry-run"], "name an address"),
        (["--email", "ada@example.org"], "set SMTP_HOST to the name of your mail server"),
        (
            ["--output", "2013-W34.html"],
            "--output: expected a folder, found the file 2013-W34.html; name another place",
        ),
        (["--output", "2013-W34.html/week"], "--output: expected a folder, found the file 2013-W34.html; name another"),
    ],
)
def test_what_can_not_be_done_is_refused_in_one_sentence_and_leaves_the_old_files(
    create_report, tmp_path, monkeypatch, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2013-W34.html").write_text("x")
    done = create_report("--output", tmp_path, *arguments)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["2013-W34.html"]
    assert (tmp_path / "2013-W34.html").read_text() == "x"


def test_a_report_that_can_not_be_logged_leaves_yesterdays_file_alone(create_report, tmp_path, monkeypatch):
    (tmp_path / "2013-W34.html").write_text("yesterday")

    def fail(*_):
        raise mlflow.exceptions.MlflowException("the artifact store is full")

    monkeypatch.setattr(publish.mlflow, "log_artifact", fail)
    done = create_report("--output", tmp_path)
    assert done.returncode == 1
    assert "the artifact store is full" in done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("2013-W34.html", "yesterday")]


def test_what_is_left_over_from_other_work_changes_neither_other_runs_nor_where_the_report_goes(
    create_report, tmp_path, monkeypatch
):
    version, client = production(), mlflow.MlflowClient()
    run = client.get_run(version.run_id)
    model = client.get_logged_model(run.outputs.model_outputs[0].model_id)
    left_over = {
        "MLFLOW_RUN_ID": run.info.run_id,
        "MLFLOW_EXPERIMENT_ID": run.info.experiment_id,
        "MLFLOW_EXPERIMENT_NAME": "somebody_elses",
        "MLFLOW_REGISTRY_URI": f"sqlite:///{tmp_path / 'other.db'}",
        "MLFLOW_ACTIVE_MODEL_ID": model.model_id,
    }
    assert set(left_over) == {f"MLFLOW_{name}" for name in LEFT_OVER}
    before = len(runs("2013-W34"))
    done = create_report("--output", tmp_path / "reports", **left_over)
    assert done.returncode == 0, done.stderr
    assert len(runs("2013-W34")) == before + 1
    assert client.get_run(run.info.run_id).to_dictionary() == run.to_dictionary()
    assert client.get_logged_model(model.model_id).to_dictionary() == model.to_dictionary()
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]


@pytest.mark.parametrize(
    "command",
    [
        "report/create_report.py",
        "dashboard/app.py",
        "dashboard/serve.py",
        "server/sweep.py",
        "2_tracking/experiments_management.py",
        "2_tracking/rest_api.py",
    ],
)
def test_no_command_takes_a_server_that_nobody_named(command, script):
    done = script(command, MLFLOW_TRACKING_URI="")
    assert done.returncode not in (0, None)
    assert re.search(r"MLFLOW_TRACKING_URI.*http://127\.0\.0\.1:5000|Set MLFLOW_TRACKING_URI", done.stderr)


def test_a_tracking_server_that_is_away_is_named_without_its_password(script, tmp_path, free_port):
    port = free_port()
    address = f"http://ann:s3cret@127.0.0.1:{port}"
    done = script("report/create_report.py", "--output", tmp_path, MLFLOW_TRACKING_URI=address)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("report: the tracking server or the artifact store returned an error: ")
    assert str(port) in last
    assert "s3cret" not in last


def test_a_report_is_sent_with_its_page_and_stays_if_the_mail_is_not_accepted(
    create_report, post_office, certificate, tmp_path, free_port, monkeypatch
):
    settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(post_office.port), "SSL_CERT_FILE": str(certificate[0])}
    settings |= {"SMTP_USER": "reporter@example.org", "SMTP_PASSWORD": "hush-hush"}
    done = create_report("--output", tmp_path, "--no-log", "--email", "ada@example.org", **settings)
    assert done.returncode == 0, done.stderr
    assert "report: sent to ada@example.org" in done.stdout
    ((secure, letter),) = post_office.letters
    assert secure
    assert b"Subject: Solar and wind in Germany, week 2013-W34:" in letter
    assert b'filename="2013-W34.html"' in letter
    assert "hush-hush" not in done.stdout + done.stderr
    (tmp_path / "2013-W34.html").unlink()
    monkeypatch.setattr(mail, "PAUSES", ())
    settings["SMTP_PORT"] = str(free_port())
    done = create_report("--output", tmp_path, "--no-log", "--email", "ada@example.org", **settings)
    assert done.returncode == 1
    again = "To send it: python report/create_report.py --week 2013-W34 --email ada@example.org"
    assert "did not accept the mail" in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].endswith(again)
    assert (tmp_path / "2013-W34.html").exists()


def test_a_dry_run_prints_the_message_and_sends_none(create_report, tmp_path):
    options = ["--no-log", "--email", "ada@example.org", "--dry-run", "--now", NOW]
    done = create_report("--output", tmp_path, *options, SMTP_FROM="reporter@example.org\r")
    assert done.returncode == 0, done.stderr
    expected = "From: reporter@example.org\nTo: ada@example.org\nSubject: Solar and wind in Germany, week 2013-W34: "
    assert expected in done.stdout
    assert "Date: Mon, 02 Jan 2017 06:00:00 +0000" in done.stdout
    assert re.search(r"\nSolar: [\d.]+ [GT]Wh, [\d.]+ GW on average\.", done.stdout)
    assert re.search(r"\[attached: 2013-W34.html, \d+ kB\]", done.stdout)


@pytest.mark.skipif(importlib.util.find_spec("weasyprint") is not None, reason="WeasyPrint is installed")
def test_a_pdf_without_its_extra_is_refused_with_the_command_that_installs_it(create_report, tmp_path):
    done = create_report("--output", tmp_path, "--pdf")
    assert done.returncode == 1
    assert "(No module named 'weasyprint'). Type: pip install -r report/requirements-pdf.txt" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_pdf_is_the_same_file_each_time_and_is_logged(create_report, tmp_path):
    pytest.importorskip("weasyprint", reason="the PDF's extra is missing: pip install -r report/requirements-pdf.txt")
    contents = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        done = create_report("--output", folder, "--pdf", "--now", NOW)
        assert done.returncode == 0, done.stderr
        contents.append((folder / "2013-W34.pdf").read_bytes())
    assert contents[0].startswith(b"%PDF")
    assert contents[0] == contents[1]
    logged = mlflow.MlflowClient().list_artifacts(runs("2013-W34")[0].info.run_id)
    assert [file.path for file in logged] == ["2013-W34.html", "2013-W34.pdf"]


def test_help_lists_the_settings_of_the_mail(create_report):
    done = create_report("--help")
    for name in ("SMTP_HOST", "SMTP_PORT", "SMTP_SECURITY", "SMTP_USER", "SMTP_PASSWORD", "SMTP_FROM", "REPORT_NOW"):
        assert name in done.stdout
