import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_has_nothing_to_say(root, command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."],
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


def test_commands_of_a_project_are_one_line_without_quotes(root):
    """Backslash continuations and quoted paths break on Windows."""
    projects = sorted((root / "3_projects").glob("*/MLproject"))
    assert len(projects) >= 6
    for path in projects:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "command:" in line:
                command = line.split("command:", 1)[1].strip()
                assert command.startswith('"python '), path
                assert "\\" not in command, path
                assert "'" not in command, path
