"""A copy of the chapter to work in, since its notebooks write beside themselves, and a way to run them."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

LEFT_BEHIND = shutil.ignore_patterns("opsd", "*.joblib", "*.html", "__pycache__", ".ipynb_checkpoints")


def code_cells(path: Path) -> list:
    """Return the code cells of a notebook; the first has the number 1 once it has run."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture(scope="session")
def code_of() -> Callable[[Path], list[str]]:
    """Return a function that gives the sources of a notebook's code cells."""
    return lambda path: [cell.source for cell in code_cells(path)]


@pytest.fixture(scope="session")
def copy_chapter(root, tmp_path_factory) -> Callable[[], Path]:
    """Return a function that copies the chapter into a project of its own, without what earlier runs left behind."""

    def copy() -> Path:
        folder = tmp_path_factory.mktemp("project") / "1_starting_point"
        return Path(shutil.copytree(root / "1_starting_point", folder, ignore=LEFT_BEHIND))

    return copy


@pytest.fixture(scope="session")
def execute() -> Callable[[Path], nbformat.NotebookNode]:
    """Return a function that runs a notebook from its own folder, top to bottom, with a fresh kernel."""

    def run(path: Path) -> nbformat.NotebookNode:
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
        return client.execute(transport_encryption="auto")

    return run


@pytest.fixture(scope="session")
def typed(root) -> Callable[[str], list[str]]:
    """Return a function that gives the command of the chapter's README that runs a script, ready to be started."""
    readme = (root / "1_starting_point" / "README.md").read_text(encoding="utf-8")

    def command(script: str) -> list[str]:
        (line,) = re.findall(rf"^    python ({re.escape(script)}.*)$", readme, re.MULTILINE)
        return [sys.executable, *line.split()]

    return command
