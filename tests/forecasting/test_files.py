import hashlib
import shutil

import pytest

from forecasting.files import replacing, sha256


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "new folder" / "report.html"
    with replacing(path) as beside:
        beside.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(FileNotFoundError), replacing(path) as beside:
        shutil.copy(tmp_path / "gone", beside)
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]
    assert sha256(path) == hashlib.sha256(b"first").hexdigest()
