"""The README's lines for a scheduler, run as a scheduler does: from an environment that has nothing of a terminal's."""

import os
import re
import shutil
import subprocess

import pytest


@pytest.fixture
def installed(root, tmp_path):
    """Yield a function that copies what the report needs and writes the README's settings, with this run's servers."""

    def install(post_office, certificate, line_end: str):
        folder = tmp_path / "work shop"
        folder.mkdir()
        (folder / ".venv").symlink_to(root / ".venv")
        shutil.copytree(root / "report", folder / "report", ignore=shutil.ignore_patterns("output", ".env"))
        readme = (root / "README.md").read_text(encoding="utf-8")
        settings = re.search(r"to a file, `report/\.env`.*?\n\n((?:    [A-Z_]+=[^\n]*\n)+)", readme, re.DOTALL)[1]
        mine = {"MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"], "SMTP_HOST": "127.0.0.1"}
        mine["MLFLOW_FTP_PASSWORD"] = os.environ["MLFLOW_FTP_PASSWORD"]
        lines = [line.strip() for line in settings.splitlines()]
        names = [line.partition("=")[0] for line in lines]
        assert set(mine) <= set(names)
        lines = [f"{name}={mine[name]}" if name in mine else line for name, line in zip(names, lines, strict=True)]
        # What a real mail server would not need: its port, and that its certificate is trusted.
        lines += [f"SMTP_PORT={post_office.port}", f"SSL_CERT_FILE={certificate[0]}"]
        (folder / "report" / ".env").write_text(line_end.join([*lines, ""]), encoding="utf-8", newline="")
        return folder

    yield install
    # Where the README has the password; after all tests, none may be left in any file.
    (tmp_path / "work shop" / "report" / ".env").unlink(missing_ok=True)


def line_for(scheduler: str, root) -> str:
    """Return the command that the README gives to a scheduler, in the words of sh."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    if scheduler == "crontab":
        return re.search(r"^ {4}\d+ \d+ \* \* \d +(.*)$", readme, re.MULTILINE)[1]
    command = re.search(r'^ {4}schtasks .*/TR "cmd /c (.*)"$', readme, re.MULTILINE)[1]
    command = command.replace("cd /d C:\\workshop", "cd /path/to/workshop")
    return command.replace("\\Scripts\\", "\\bin\\").replace("\\", "/")


@pytest.mark.skipif(os.name == "nt", reason="the lines are run by sh")
@pytest.mark.parametrize(("scheduler", "line_end"), [("crontab", "\n"), ("schtasks", "\r\n")])
def test_the_line_of_a_scheduler_works_from_an_empty_environment(
    scheduler, line_end, workflow, installed, post_office, certificate, root
):
    folder = installed(post_office, certificate, line_end)
    command = line_for(scheduler, root).replace("/path/to/workshop", f"'{folder}'")
    done = subprocess.run(
        ["env", "-i", "/bin/sh", "-c", command], cwd="/", capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "report: sent to team@example.org" in done.stdout
    assert len(post_office.letters) == 1
    assert "rcpt TO:<team@example.org>" in post_office.heard


def test_every_line_of_a_scheduler_names_its_settings(root):
    pages = [root / "README.md", *root.glob("*/*.md"), *root.glob("3_projects/*/*.md")]
    lines = [
        line
        for page in pages
        for line in re.findall(r"^ {4}(?:[\d*/,]+ ){5}.*|^ {4}schtasks.*", page.read_text(), re.M)
    ]
    assert len(lines) == 2
    assert all(re.search(r"dotenv -f report[/\\]\.env run -- ", line) for line in lines)
