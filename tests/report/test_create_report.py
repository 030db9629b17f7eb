import contextlib
import importlib.util
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from report import create_report as command
from report import filing

NOW = "2017-01-02T06:00"


@dataclass
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def create_report(workflow):
    """Return a function that does what the README's command does, without the seconds that a new Python takes."""

    def run(*arguments, **environment) -> Done:
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
        return Done(code, said.getvalue(), told.getvalue())

    return run


@pytest.fixture(scope="module")
def typed(workflow, root, tmp_path_factory) -> tuple[Path, str]:
    """Type the command of the README, and return the page that it makes, and its run's id."""
    folder = tmp_path_factory.mktemp("reports")
    done = subprocess.run(
        [sys.executable, "report/create_report.py", "--output", folder],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Downloading" not in done.stderr
    assert done.stdout.splitlines()[0] == f"report: {folder / '2013-W34.html'}"
    logged = re.fullmatch(r"report: logged as run (\w+) in the experiment weekly_report", done.stdout.splitlines()[1])
    assert re.fullmatch(r"report: wind_solar version \d+ \(\w+\) on Simulated sample: .*", done.stdout.splitlines()[2])
    return folder / "2013-W34.html", logged[1]  # the small CSV ends on Saturday 31 August 2013


@pytest.fixture(scope="module")
def report(typed) -> Path:
    return typed[0]


def production():
    return mlflow.MlflowClient().get_model_version_by_alias("wind_solar", "production")


def runs(week: str) -> list:
    experiment = mlflow.get_experiment_by_name("weekly_report").experiment_id
    return mlflow.search_runs([experiment], f"tags.week = '{week}'", output_format="list")


def test_the_last_complete_week_is_reported_unless_another_is_asked_for(report):
    assert [path.name for path in report.parent.iterdir()] == ["2013-W34.html"]
    assert "Monday 19 August 2013 to Sunday 25 August 2013" in report.read_text(encoding="utf-8")


def test_the_report_names_model_data_and_code(report, root):
    page = report.read_text(encoding="utf-8")
    version = production()
    run = mlflow.get_run(version.run_id)
    (data,) = mlflow.search_runs(  # the one in use, which need not be the one that the model was trained on
        search_all_experiments=True,
        filter_string="tags.step = 'data' and attributes.status = 'FINISHED'",
        order_by=["tags.used_at DESC"],
        max_results=1,
        output_format="list",
    )
    assert f"wind_solar, version {version.version}, alias production" in page
    assert "Simulated sample" in page
    server = os.environ["MLFLOW_TRACKING_URI"]
    for run_id in (run, data):
        assert f'href="{server}/#/experiments/{run_id.info.experiment_id}/runs/{run_id.info.run_id}"' in page
    assert data.data.tags["table_sha256"] in page
    assert run.data.tags.get("mlflow.source.git.commit", "not in a git repository") in page
    assert re.search(r"<td>[^<]*pandas==\d", page)


def test_the_report_is_an_artifact_of_a_run_that_names_the_version_and_the_verdict(typed):
    report, run = typed[0], mlflow.get_run(typed[1])
    assert run.data.tags["model_version"] == production().version
    assert run.data.tags["step"] == "report"
    assert f"The model this week: {run.data.tags['verdict']}" in report.read_text(encoding="utf-8")
    path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="2013-W34.html")
    assert Path(path).read_bytes() == report.read_bytes()


def test_the_error_of_the_week_is_that_of_the_production_model(report):
    page = report.read_text(encoding="utf-8")
    model = mlflow.pyfunc.load_model(f"models:/wind_solar/{production().version}")
    data_run = re.search(r"Table run</th><td><a [^>]*>(\w+)</a>", page)[1]
    path = mlflow.artifacts.download_artifacts(run_id=data_run, artifact_path="table.parquet")
    week = pd.read_parquet(path)["2013-08-19":"2013-08-25"]
    power = model.predict(week[model.metadata.get_input_schema().input_names()])
    errors, holdout = (
        [float(value) for value in re.findall(r">([\d.]+)</td>", re.search(rf"{row}</th>(.*?)</tr>", page)[1])]
        for row in ("The model, this week", "The model, all of its holdout")
    )
    for number, target in enumerate(("solar_GW", "wind_GW")):
        assert errors[number] == pytest.approx((power[target] - week[target]).abs().mean(), abs=0.006)
        assert holdout[number] == pytest.approx(float(production().tags[f"holdout_mae_{target}"]), abs=0.006)


def test_the_same_week_is_the_same_file_byte_for_byte_in_another_process_too(create_report, report, tmp_path, root):
    made_at = re.search(r"Report made</th><td>(\S+) (\S+) UTC", report.read_text(encoding="utf-8"))
    done = create_report("--output", tmp_path, "--no-log", REPORT_NOW="T".join(made_at.groups()))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "2013-W34.html").read_bytes() == report.read_bytes()


def test_the_time_of_making_is_the_one_that_is_given(create_report, tmp_path):
    for arguments, stated in ((["--now", "2016-05-01T08:30+02:00"], "2016-05-01 06:30"), ([], "2017-01-02 06:00")):
        assert create_report("--output", tmp_path, "--no-log", *arguments, REPORT_NOW=NOW).returncode == 0
        assert f"{stated} UTC" in (tmp_path / "2013-W34.html").read_text(encoding="utf-8")


def test_a_week_of_the_training_is_reported_with_a_word_on_that(create_report, tmp_path, report):
    done = create_report("--week", "2013-W20", "--output", tmp_path, "--no-log")
    assert done.returncode == 0, done.stderr
    sentence = "168 hours of this week are of the time that the model was trained on"
    assert sentence in (tmp_path / "2013-W20.html").read_text(encoding="utf-8")
    assert "are of the time that the model" not in report.read_text(encoding="utf-8")


def test_a_week_with_some_hours_says_how_many(create_report, tmp_path):
    done = create_report("--week", "2013-W35", "--output", tmp_path, "--no-log")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "2013-W35.html").read_text(encoding="utf-8")
    assert "Of the 168 hours of the week, 144 were recorded" in page
    assert "no weather for that week yet" in page


def test_a_backlog_makes_every_complete_week_and_shows_how_far_it_is(create_report, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(command, "load", lambda version, load=command.load: loaded.append(version) or load(version))
    before = len(runs("2013-W15"))
    done = create_report("--all", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    names = [f"2013-W{number}" for number in range(14, 35)]  # from Monday 1 April on
    assert sorted(path.stem for path in tmp_path.iterdir()) == names
    lines = done.stdout.splitlines()
    assert [line.split(": ")[1] for line in lines[:21]] == [f"[{n}/21] {name}" for n, name in enumerate(names, 1)]
    assert lines[21] == f"report: 21 of 21 weeks are in {tmp_path}"
    assert len(loaded) == 1
    assert len(runs("2013-W15")) == before + 1


def test_a_week_that_fails_does_not_stop_the_others_of_a_backlog(create_report, tmp_path):
    (tmp_path / "2013-W20.html").mkdir()
    done = create_report("--all", "--output", tmp_path, "--no-log")
    assert done.returncode == 1
    assert re.search(r"report: \[7/21\] 2013-W20: failed: .*2013-W20.html is a folder", done.stderr)
    assert "20 of 21 weeks are in" in done.stdout
    assert done.stderr.splitlines()[-1] == "report: failed: 2013-W20. Make one again with: --week 2013-W20"
    assert len(list(tmp_path.glob("*.html"))) == 21
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--week", "2013-W54"], "expected an ISO week such as 2015-W31, found '2013-W54'"),
        (["--week", "last"], "expected an ISO week such as 2015-W31, found 'last'"),
        (["--week", "2014-W02"], "Week 2014-W02 is not in the data"),
        (["--week", "2012-W10"], "Choose a week from 2013-W14 to 2013-W35"),
        (["--week", "2013-W20", "--all"], "not allowed with argument"),
        (["--now", "yesterday"], "expected a time (UTC) such as 2016-12-31T06:00, found 'yesterday'"),
        (["--email", "ada"], "expected one mail address, found 'ada'"),
        (["--all", "--email", "ada@example.org"], "leave it out with --all"),
        (["--dry-run"], "name an address"),
        (["--email", "ada@example.org"], "set SMTP_HOST to the name of your mail server"),
    ],
)
def test_what_can_not_be_done_is_refused_in_one_sentence_and_leaves_the_old_files(
    create_report, tmp_path, arguments, sentence
):
    (tmp_path / "2013-W34.html").write_text("x")
    done = create_report(*arguments, "--output", tmp_path)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["2013-W34.html"]
    assert (tmp_path / "2013-W34.html").read_text() == "x"


def test_a_report_that_can_not_be_logged_leaves_yesterdays_file_alone(create_report, tmp_path, monkeypatch):
    (tmp_path / "2013-W34.html").write_text("yesterday")

    def fail(*_):
        raise mlflow.exceptions.MlflowException("the artifact store is full")

    monkeypatch.setattr(filing.mlflow, "log_artifact", fail)
    done = create_report("--output", tmp_path)
    assert done.returncode == 1
    assert "its artifact store did not do its part: the artifact store is full" in done.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("2013-W34.html", "yesterday")]


def test_an_empty_tracking_server_is_named_with_the_command_that_fills_it(create_report, tmp_path):
    done = create_report("--output", tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'empty.db'}")
    assert done.returncode == 1
    assert "No version of wind_solar has the alias production" in done.stderr
    assert "mlflow run 3_projects/workflow" in done.stderr


def test_a_tracking_server_that_is_away_is_named_without_its_password(root, tmp_path, free_port):
    port = free_port()
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"http://ann:s3cret@127.0.0.1:{port}"}
    script = [sys.executable, root / "report" / "create_report.py", "--output", tmp_path]
    done = subprocess.run(script, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    away = f"the tracking server http://127.0.0.1:{port} or its artifact store did not do its part"
    assert away in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr.splitlines()[-1]


def test_an_output_that_is_a_file_is_refused_in_one_sentence(create_report, tmp_path):
    (tmp_path / "file").write_text("x")
    done = create_report("--output", tmp_path / "file")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("report: ")


def test_a_report_is_sent_with_its_page(create_report, post_office, certificate, tmp_path):
    settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(post_office.port), "SSL_CERT_FILE": str(certificate[0])}
    settings |= {"SMTP_USER": "reporter@example.org", "SMTP_PASSWORD": "hush-hush"}
    done = create_report("--output", tmp_path, "--no-log", "--email", "ada@example.org", **settings)
    assert done.returncode == 0, done.stderr
    assert "report: sent to ada@example.org" in done.stdout
    ((secure, letter),) = post_office.letters
    assert secure
    assert b"Subject: Wind and solar power in Germany, week 2013-W34:" in letter
    assert b'filename="2013-W34.html"' in letter
    assert "hush-hush" not in done.stdout + done.stderr


def test_a_mail_that_is_not_taken_leaves_the_report_and_says_so(create_report, free_port, tmp_path):
    settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(free_port()), "SMTP_FROM": "reporter@example.org"}
    done = create_report("--output", tmp_path, "--no-log", "--email", "ada@example.org", **settings)
    assert done.returncode == 1
    assert "did not take the mail" in done.stderr.splitlines()[-1]
    assert (tmp_path / "2013-W34.html").exists()


def test_a_dry_run_prints_the_message_and_sends_none(create_report, tmp_path):
    done = create_report("--output", tmp_path, "--no-log", "--email", "ada@example.org", "--dry-run", "--now", NOW)
    assert done.returncode == 0, done.stderr
    assert "To: ada@example.org\nSubject: Wind and solar power in Germany, week 2013-W34: " in done.stdout
    assert "Date: Mon, 02 Jan 2017 06:00:00 +0000" in done.stdout
    assert re.search(r"\nSolar gave [\d.]+ [GT]Wh, [\d.]+ GW on average\.", done.stdout)
    assert re.search(r"\[attached: 2013-W34.html, \d+ kB\]", done.stdout)


@pytest.mark.skipif(importlib.util.find_spec("weasyprint") is not None, reason="WeasyPrint is installed")
def test_a_pdf_without_its_extra_is_refused_with_the_command_that_installs_it(create_report, tmp_path):
    done = create_report("--output", tmp_path, "--pdf")
    assert done.returncode == 1
    assert "which is not installed. Type: pip install -r report/requirements-pdf.txt" in done.stderr
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
