"""Keras takes its backend from KERAS_BACKEND, else from keras.json; here it is always tensorflow."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = [ROOT / name for name in ("1_starting_point", "2_tracking", "3_projects")]
CHOICE = 'os.environ["KERAS_BACKEND"] = "tensorflow"'


def source(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")


def test_whoever_imports_keras_says_before_which_backend_it_wants():
    files = [path for folder in FOLDERS for kind in ("*.py", "*.ipynb") for path in folder.rglob(kind)]
    found = {path.relative_to(ROOT): source(path) for path in files if "import keras" in source(path)}
    assert len(found) >= 7
    for path, text in found.items():
        for place in re.finditer(r"^ *import keras\b", text, re.MULTILINE):
            assert CHOICE in text[: place.start()], path


@pytest.mark.slow
def test_the_lesson_runs_beside_the_backend_of_other_work(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    env = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "torch"}
    command = [sys.executable, "train.py", "--help"]
    done = subprocess.run(command, cwd=ROOT / "3_projects" / "keras", env=env, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
