"""Names of files that are hard on programs, and a tree of files and folders that have them."""

import os
from collections.abc import Iterable
from pathlib import Path

BETWEEN_BARS = "model.pkl|a b| before|after |größe|#|%41|?|back\\slash|-la|*[a-z]|type=dir; a|->|..."
NAMES = [*BETWEEN_BARS.split("|"), "x" * 255]


def tree_of(top: Path, names: Iterable[str] = tuple(NAMES)) -> Path:
    """Make a folder with such names, files of all sizes and empty folders; return it."""
    for place in (top, top / "sub #1" / "größer"):
        place.mkdir(parents=True)
        for number, name in enumerate(names):
            (place / name).write_bytes(os.urandom(number * 7919))
    for name in names:
        (top / "nothing" / name / name).mkdir(parents=True)
    return top


def content(top: Path | str) -> dict[str, bytes | None]:
    """Return what is in the files below a folder, and None for each folder."""
    paths = {str(path.relative_to(top)): path for path in Path(top).rglob("*")}
    return {name: path.read_bytes() if path.is_file() else None for name, path in paths.items()}
