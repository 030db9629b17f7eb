"""Files up, down, listed and deleted, on our server and on vsftpd, with and without TLS."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException
from mlflow_ftp import FTPArtifactRepository
from names import content, tree_of


@pytest.fixture
def tree(tmp_path) -> Path:
    return tree_of(tmp_path / "tree")


def test_a_tree_with_names_of_all_sorts_goes_up_is_listed_and_comes_down_equal(repository, server, tree, tmp_path):
    repository.log_artifacts(str(tree), "model")
    assert content(server.folder / "model") == content(tree)
    listed = {(info.path, info.is_dir, info.file_size) for info in repository.list_artifacts("model")}
    assert listed == {
        (f"model/{path.name}", path.is_dir(), path.stat().st_size if path.is_file() else None)
        for path in tree.iterdir()
    }
    assert content(repository.download_artifacts("model")) == content(tree)
    assert content(repository.download_artifacts("")) == content(server.folder)


def test_what_is_missing_has_no_files_and_its_download_is_an_error_that_changes_nothing(repository, tmp_path):
    assert repository.list_artifacts() == repository.list_artifacts("missing") == []
    (tmp_path / "missing").write_text("old")
    with pytest.raises(MlflowException, match=r"^Cannot read /.*/missing: .* has no such file \(550") as error:
        repository.download_artifacts("missing", tmp_path)
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert content(tmp_path) == {"missing": b"old"}


def test_a_file_is_replaced_and_a_folder_is_not_and_neither_is_a_file_by_a_folder(repository, server, tmp_path):
    file = tmp_path / "model"
    (tmp_path / "empty").mkdir()
    for text in ("a long first version", "second"):
        file.write_text(text)
        repository.log_artifact(file)
        assert content(server.folder) == {"model": text.encode()}
    with pytest.raises(MlflowException, match="refuses it"):
        repository.log_artifact(file, "model/b")
    with pytest.raises(MlflowException, match="refuses it"):
        repository.log_artifacts(tmp_path / "empty", "model/b")
    assert content(server.folder) == {"model": b"second"}
    (server.folder / "model").unlink()
    (server.folder / "model").mkdir()
    with pytest.raises(MlflowException, match=r"^Cannot write /.*artifacts/1/model: .* refuses it"):
        repository.log_artifact(file)
    assert content(server.folder) == {"model": None}, "nothing is left of the failed upload"


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


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((path, "Invalid artifact path") for path in ("..", "../2", "a/../../2", "/etc")),
        *((name, r"^The name '.*' .*Rename") for name in ("line\nbreak", "line\rbreak", "latin-\udce4")),
    ],
)
def test_a_path_that_leaves_the_root_or_that_ftp_can_not_carry_is_an_error_before_anything_is_sent(
    plain_store, tmp_path, name, reason
):
    repository = FTPArtifactRepository(plain_store.address)
    (tmp_path / "file").touch()
    shutil.rmtree(plain_store.folder, ignore_errors=True)
    for deed in (
        lambda: repository.list_artifacts(name),
        lambda: repository.delete_artifacts(name),
        lambda: repository.download_artifacts(name, tmp_path),
        lambda: repository.log_artifact(tmp_path / "file", name),
        lambda: repository.log_artifacts(tmp_path, name),
    ):
        with pytest.raises(MlflowException, match=reason):
            deed()
    assert not plain_store.folder.exists()


def test_local_links_to_files_are_followed_and_links_to_folders_left_out(repository, server, tmp_path):
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
    assert {(info.path, info.file_size) for info in repository.list_artifacts()} == {("file", 5), ("link", 5)}
    assert content(repository.download_artifacts("")) == {"file": b"12345", "link": b"12345"}


def test_a_local_folder_that_is_missing_is_an_error(plain_store, tmp_path):
    repository = FTPArtifactRepository(plain_store.address)
    with pytest.raises(FileNotFoundError):
        repository.log_artifacts(tmp_path / "missing")
    with pytest.raises(FileNotFoundError):
        repository.log_artifact(tmp_path / "missing")
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(MlflowException, match=f"There is no folder {tmp_path / name} to download into"):
            repository.download_artifacts("", tmp_path / name)


def test_files_under_upload_are_not_listed(repository, server):
    server.folder.mkdir(parents=True)
    (server.folder / f".partial-{'a1' * 16}").touch()
    (server.folder / ".partial-mine").touch()
    assert [info.path for info in repository.list_artifacts()] == [".partial-mine"]


def test_one_repository_serves_several_threads(repository, server, tmp_path):
    def work(number: int) -> None:
        source, target = tmp_path / f"source {number}", tmp_path / f"target {number}"
        source.mkdir()
        target.mkdir()
        for name in range(20):
            (source / f"{name}").write_bytes(os.urandom(5000))
        repository.log_artifacts(source, f"{number}")
        assert len(repository.list_artifacts(f"{number}")) == 20
        repository.download_artifacts(f"{number}", target)
        assert content(target / f"{number}") == content(source)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


def test_what_may_not_be_deleted_is_an_error(vsftpd):
    locked = vsftpd.folder.parents[1] / "locked"
    locked.mkdir()
    (locked / "kept").touch()
    address = vsftpd.address.replace("/writable/artifacts/1", "/writable")
    for path in ("locked", "locked/kept"):
        with pytest.raises(MlflowException, match=rf"Cannot delete /writable/{path}: .* refuses it"):
            FTPArtifactRepository(address).delete_artifacts(path)
    assert (locked / "kept").exists()
    shutil.rmtree(locked)


def test_the_first_error_ends_a_download_of_many_files(plain_store, tmp_path, monkeypatch):
    shutil.rmtree(plain_store.folder, ignore_errors=True)
    plain_store.folder.mkdir(parents=True)
    for number in range(100):
        (plain_store.folder / f"{number:02}").write_text("text")
    (tmp_path / "05" / "in the way").mkdir(parents=True)
    download = FTPArtifactRepository._download_file

    def slow_at_first(repository, path, *arguments):
        if path == "00":
            time.sleep(1)
        download(repository, path, *arguments)

    monkeypatch.setattr(FTPArtifactRepository, "_download_file", slow_at_first)
    with pytest.raises(OSError, match="05"):
        FTPArtifactRepository(plain_store.address).download_artifacts("", tmp_path)
    assert len(list(tmp_path.iterdir())) < 50
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
