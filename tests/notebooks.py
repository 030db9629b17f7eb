"""Run notebooks one after another in one kernel, since its start and its imports take longer than most notebooks."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

# What a test may have changed after the kernel was started.
PASSED_ON = ("MLFLOW_TRACKING_URI", "EXERCISE_PORT", "EXAMPLE_PORT")


class Kernel:
    """Runs notebooks; none of them sees a name from the one before."""

    def __init__(self, client: NotebookClient):
        """Take a client whose kernel runs."""
        self.client = client

    def run(self, path: Path, until: str = "") -> NotebookNode:
        """Run a notebook in its folder, to the cell of an id if one is named, and return it."""
        notebook = nbformat.read(path, as_version=4)
        if until:
            del notebook.cells[[cell.id for cell in notebook.cells].index(until) + 1 :]
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self.type_in(
            f"%reset -f\nimport os\nos.chdir({str(path.parent)!r})\nos.environ.update({environment})\n%reset -f"
        )
        for cell in notebook.cells:
            self._execute(cell)
        return notebook

    def type_in(self, source: str) -> None:
        """Run a cell of one's own below the notebook."""
        self._execute(new_code_cell(source))

    def _execute(self, cell: NotebookNode) -> None:
        self.client.nb.cells = [cell]
        self.client.execute_cell(cell, 0)


@contextlib.contextmanager
def started() -> Iterator[Kernel]:
    """Yield a kernel, which ends with the block."""
    client = NotebookClient(new_notebook(), kernel_name="python3", timeout=300)
    with client.setup_kernel(transport_encryption="auto"):
        yield Kernel(client)


def code_cells(path: Path) -> list[NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """Return what a notebook has shown."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def printed(notebook: NotebookNode) -> str:
    """Return what a notebook has printed."""
    return "".join(output.text for output in outputs(notebook) if output.get("name") == "stdout")


def shown(notebook: NotebookNode) -> dict[str, str]:
    """Return the output of each code cell by its id, as text; a plotly figure as its JSON."""

    def text(output: NotebookNode) -> str:
        data = output.get("data", {})
        return output.get("text") or str(data.get("application/vnd.plotly.v1+json") or data.get("text/plain"))

    return {
        cell.id: "".join(text(output) for output in cell.outputs if output.get("name") != "stderr")
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def assert_pristine(path: Path, *words: str) -> None:
    """Check that a notebook is kept as it is before its first run, and says in its first cell what it is."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5), path
    assert notebook.metadata.kernelspec.name == "python3", path
    assert not any(cell.outputs or cell.execution_count for cell in code_cells(path)), path
    first = notebook.cells[0].source
    assert first.startswith("# "), path
    assert [word for word in words if word not in first] == [], path
