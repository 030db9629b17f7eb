import json
import re
import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "pyrefly check"])
def test_lint_format_and_types_are_right(root, command):
    done = subprocess.run(
        [sys.executable, "-m", *command.split()],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_notebooks_are_kept_without_output(root):
    folders = [root / "1_starting_point", root / "2_tracking", root / "3_projects"]
    for path in (path for folder in folders for path in folder.rglob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not any(cell.get("outputs") for cell in cells), path


def test_commands_of_a_project_have_no_values(root):
    """A shell takes values apart, each in another way; so the programs of the system read them from the run."""
    lessons = {"data", "lr", "rf", "keras", "boosting"}  # whose values have no blanks, but for the path of the CSV
    projects = [path for path in (root / "3_projects").rglob("MLproject") if path.parent.name not in lessons]
    assert len(projects) >= 3
    for path in projects:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "command:" in line:
                end = r"( --steps [\w/]+\.py)? --from-run"
                assert re.fullmatch(rf' +command: "python [\w/.]+\.py( \w+)?{end}"', line), f"{path}: {line}"
            assert 'default: ""' not in line, path


def test_git_keeps_the_line_ends_on_every_system(root):
    if not (root / ".git").exists():
        pytest.skip("this copy is not under git")
    command = ["git", "ls-files", "--eol"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    for line in done.stdout.splitlines():
        assert re.match(r"i/(lf|none|-text) .*attr/text=auto eol=lf", line), line
