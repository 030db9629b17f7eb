"""Files that are whole or not there: written beside their place and renamed. Checksums of files."""

import contextlib
import hashlib
import tempfile
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a path in the same folder to write to; it takes the place of ``path`` if the block succeeds.

    The folder is made if it is missing. If the block fails, what was at ``path`` before stays. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        written = Path(folder, path.name)  # the same name, because some formats go by its ending
        yield written
        written.replace(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
