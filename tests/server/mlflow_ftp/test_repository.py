"""Files up, down, listed and deleted, on our server and on vsftpd, with and without TLS."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow_ftp import FTPArtifactRepository

NAMES = ["model.pkl", "a b", " before", "after ", "größe", "#", "%41", "?", "back\\slash", "x" * 255, "-la", "*[a-z]"]
NAMES += ["type=dir; a", "->", "..."]


@pytest.fixture
def tree(tmp_path) -> Path:
    """Return a folder with names of all sorts, files of all sizes and an empty folder."""
    top = tmp_path / "tree"
    for place in (top, top / "sub #1" / "größer"):
        place.mkdir(parents=True)
        for number, name in enumerate(NAMES):
            (place / name).write_bytes(os.urandom(number * 7919))
    (top / "nothing" / "in here").mkdir(parents=True)
    return top


def content(top: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(top)): path.read_bytes() if path.is_file() else None for path in top.rglob("*")}


def test_a_tree_with_names_of_all_sorts_goes_up_is_listed_and_comes_down_equal(repository, server, tree, tmp_path):
    repository.log_artifacts(str(tree), "model")
    assert content(server.folder / "model") == content(tree)
    listed = {(info.path, info.is_dir, info.file_size) for info in repository.list_artifacts("model")}
    assert listed == {
        (f"model/{path.name}", path.is_dir(), path.stat().st_size if path.is_file() else None)
        for path in tree.iterdir()
    }
    (tmp_path / "back").mkdir()
    assert repository.download_artifacts("model", str(tmp_path / "back")) == str(tmp_path / "back" / "model")
    assert content(tmp_path / "back" / "model") == content(tree)
    assert content(Path(repository.download_artifacts("", None))) == {"model": None} | {
        f"model/{name}": data for name, data in content(tree).items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_one_file_goes_up_and_comes_down(repository, server, tmp_path, name):
    (tmp_path / name).write_bytes(b"model")
    repository.log_artifact(tmp_path / name, "a new/folder")
    assert [info.path for info in repository.list_artifacts("a new/folder")] == [f"a new/folder/{name}"]
    assert repository.list_artifacts(f"a new/folder/{name}") == []
    assert Path(repository.download_artifacts(f"a new/folder/{name}")).read_bytes() == b"model"


def test_what_is_missing_has_no_files_and_its_download_is_an_error_that_leaves_nothing(repository, tmp_path):
    assert repository.list_artifacts() == repository.list_artifacts("missing") == []
    with pytest.raises(MlflowException, match=r"^Cannot read /.*/missing: .* has no such file \(550") as error:
        repository.download_artifacts("missing", tmp_path)
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert list(tmp_path.iterdir()) == []


def test_a_failed_download_leaves_the_file_that_was_there(repository, tmp_path):
    (tmp_path / "model").write_text("old")
    with pytest.raises(MlflowException):
        repository.download_artifacts("model", tmp_path)
    assert content(tmp_path) == {"model": b"old"}


def test_a_download_into_a_folder_that_is_none_is_an_error(repository, tmp_path):
    (tmp_path / "file").touch()
    for name, code in (("missing", "RESOURCE_DOES_NOT_EXIST"), ("file", "INVALID_PARAMETER_VALUE")):
        with pytest.raises(MlflowException, match=name) as error:
            repository.download_artifacts("", tmp_path / name)
        assert error.value.error_code == code


def test_a_file_is_replaced_and_a_folder_is_not(repository, server, tmp_path):
    file = tmp_path / "model"
    for text in ("a long first version", "second"):
        file.write_text(text)
        repository.log_artifact(file)
        assert content(server.folder) == {"model": text.encode()}
    (server.folder / "model").unlink()
    (server.folder / "model").mkdir()
    with pytest.raises(MlflowException, match=r"^Cannot write /.*artifacts/1/model: .* refuses it"):
        repository.log_artifact(file)
    assert content(server.folder) == {"model": None}, "nothing is left of the failed upload"


def test_a_file_in_the_way_of_a_folder_is_an_error(repository, server, tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "empty").mkdir()
    repository.log_artifact(tmp_path / "a")
    with pytest.raises(MlflowException, match="refuses it"):
        repository.log_artifact(tmp_path / "a", "a/b")
    with pytest.raises(MlflowException, match="refuses it"):
        repository.log_artifacts(tmp_path / "empty", "a/b")
    assert content(server.folder) == {"a": b""}


def test_files_folders_and_everything_are_deleted_and_nothing_else(repository, server, tree):
    repository.log_artifacts(str(tree), "model")
    repository.log_artifacts(str(tree), "other")
    repository.delete_artifacts("model/model.pkl")
    repository.delete_artifacts("model/model.pkl")  # what isn't there is no error
    assert set(content(tree)) - set(content(server.folder / "model")) == {"model.pkl"}
    (server.folder / "model" / "sub #1" / f".partial-{'0' * 32}").touch()
    repository.delete_artifacts("model")
    assert content(server.folder / "other") == content(tree)
    assert not (server.folder / "model").exists()
    repository.delete_artifacts()
    repository.delete_artifacts()
    assert not server.folder.exists()
    assert server.folder.parent.exists()


def test_what_may_not_be_deleted_is_an_error(vsftpd):
    locked = vsftpd.folder.parents[1] / "locked"
    locked.mkdir()
    (locked / "kept").touch()
    address = vsftpd.address.replace("/writable/artifacts/1", "/writable")
    for path in ("locked", "locked/kept"):
        with pytest.raises(MlflowException, match=rf"Cannot delete /writable/{path}: .* refuses it"):
            FTPArtifactRepository(address).delete_artifacts(path)
    assert (locked / "kept").exists()
    (locked / "kept").unlink()
    locked.rmdir()


def test_a_link_is_deleted_and_not_what_it_leads_to(repository, server, tmp_path):
    kept = server.folder.parent / "kept"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "file").write_text("kept")
    (server.folder / "model").mkdir(parents=True)
    for folder in (server.folder, server.folder / "model"):
        folder.chmod(0o777)  # vsftpd is another user
    (server.folder / "model" / "link").symlink_to("../../kept")
    (server.folder / "link").symlink_to("../kept")
    repository.delete_artifacts("link")
    assert not (server.folder / "link").is_symlink()
    repository.delete_artifacts("model")
    assert not (server.folder / "model").exists()
    assert content(kept) == {"file": b"kept"}
    shutil.rmtree(kept)


@pytest.mark.parametrize("path", ["..", "../2", "a/../../2", "/etc"])
def test_no_path_leaves_the_root_of_the_artifacts(plain_store, tmp_path, path):
    repository = FTPArtifactRepository(plain_store.address)
    (tmp_path / "file").touch()
    for deed in (
        lambda: repository.list_artifacts(path),
        lambda: repository.delete_artifacts(path),
        lambda: repository.download_artifacts(path, tmp_path),
        lambda: repository.log_artifact(tmp_path / "file", path),
        lambda: repository.log_artifacts(tmp_path, path),
    ):
        with pytest.raises(MlflowException, match="Invalid artifact path"):
            deed()


@pytest.mark.parametrize("name", ["line\nbreak", "line\rbreak", b"latin-\xe4".decode("utf-8", "surrogateescape")])
def test_a_name_that_ftp_cannot_carry_is_an_error_before_anything_is_sent(plain_store, tmp_path, name):
    repository = FTPArtifactRepository(plain_store.address)
    folder = tmp_path / "names"
    folder.mkdir()
    for name_of_file in ("a", name):
        (folder / name_of_file).touch()
    shutil.rmtree(plain_store.folder, ignore_errors=True)
    for deed in (
        lambda: repository.log_artifacts(folder),
        lambda: repository.log_artifact(folder / name),
        lambda: repository.log_artifact(folder / "a", name),
        lambda: repository.delete_artifacts(name),
    ):
        with pytest.raises(MlflowException, match=r"^The name '.*' .*Rename"):
            deed()
    assert not plain_store.folder.exists()


def test_links_to_files_are_followed_and_links_to_folders_left_out(repository, server, tmp_path):
    source, elsewhere = tmp_path / "source", tmp_path / "elsewhere"
    source.mkdir()
    elsewhere.mkdir()
    (elsewhere / "file").write_text("behind the link")
    for name, target in (("file", elsewhere / "file"), ("folder", elsewhere), ("broken", tmp_path / "missing")):
        (source / name).symlink_to(target)
    repository.log_artifacts(source)
    assert content(server.folder) == {"file": b"behind the link"}


def test_links_on_the_server_are_files_if_they_lead_to_files(vsftpd):
    repository = FTPArtifactRepository(vsftpd.address)
    shutil.rmtree(vsftpd.folder, ignore_errors=True)
    vsftpd.folder.mkdir(parents=True)
    (vsftpd.folder / "file").write_text("12345")
    for name, target in (("link", "file"), ("circle", "."), ("broken", "missing")):
        (vsftpd.folder / name).symlink_to(target)
    assert {(info.path, info.is_dir, info.file_size) for info in repository.list_artifacts()} == {
        ("file", False, 5),
        ("link", False, 5),
    }
    assert content(Path(repository.download_artifacts(""))) == {"file": b"12345", "link": b"12345"}


def test_a_local_folder_that_is_missing_is_an_error(plain_store, tmp_path):
    repository = FTPArtifactRepository(plain_store.address)
    with pytest.raises(FileNotFoundError):
        repository.log_artifacts(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        repository.log_artifact(tmp_path / "missing")


def test_files_under_upload_are_not_listed(repository, server):
    server.folder.mkdir(parents=True)
    (server.folder / f".partial-{'a1' * 16}").touch()
    (server.folder / ".partial-mine").touch()
    assert [info.path for info in repository.list_artifacts()] == [".partial-mine"]


def test_one_repository_serves_several_threads(repository, server, tmp_path):
    errors = []

    def work(number: int) -> None:
        try:
            source, target = tmp_path / f"source {number}", tmp_path / f"target {number}"
            source.mkdir()
            target.mkdir()
            for name in range(20):
                (source / f"{name}").write_bytes(os.urandom(5000))
            repository.log_artifacts(source, f"{number}")
            assert len(repository.list_artifacts(f"{number}")) == 20
            repository.download_artifacts(f"{number}", target)
            assert content(target / f"{number}") == content(source)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def test_the_first_error_ends_a_download_of_many_files(plain_store, tmp_path):
    repository = FTPArtifactRepository(plain_store.address)
    shutil.rmtree(plain_store.folder, ignore_errors=True)
    plain_store.folder.mkdir(parents=True)
    for number in range(40):
        (plain_store.folder / f"{number:02}").write_text("text")
    (tmp_path / "05").mkdir()  # in the way
    (tmp_path / "05" / "file").touch()
    with pytest.raises(OSError, match="05"):
        repository.download_artifacts("", tmp_path)
    assert len(list(tmp_path.iterdir())) < 20
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".partial-")]


@pytest.mark.parametrize("wanted", [True, False])
def test_large_files_show_their_progress_unless_it_is_not_wanted(plain_store, tmp_path, monkeypatch, capfd, wanted):
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", str(wanted))
    monkeypatch.setattr("mlflow.utils.file_utils._PROGRESS_BAR_DISPLAY_THRESHOLD", 3_000_000)
    repository = FTPArtifactRepository(plain_store.address)
    for name, size in (("large", 3_000_000), ("small", 2_999_999)):
        (tmp_path / name).write_bytes(bytes(size))
        repository.log_artifact(tmp_path / name)
        repository.download_artifacts(name)
    shown = capfd.readouterr().err
    for verb in ("Uploading", "Downloading"):
        assert (f"{verb} /artifacts/1/large: 100%" in shown) == wanted
    assert "small" not in shown
