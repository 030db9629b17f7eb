"""Upload, list and download files and folders whose names are hard on programs, and compare the trees."""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
import servers
from mlflow.utils.uri import validate_path_is_safe
from mlflow_ftp import FTPArtifactRepository
from processes import child_environment, process

NAMES = {
    "space": "wind and solar",
    "leading space": " wind",
    "trailing space": "wind ",
    "only a space": " ",
    "leading and trailing spaces": "   wind   ",
    "composed": "Gr\u00f6\u00dfe \u98a8\u529b \U0001f32c",
    "decomposed": "Gro\u0308\u00dfe",
    "number sign": "wind#1",
    "per cent": "100%",
    "encoded space": "wind%20solar",
    "encoded slash": "wind%2Fsolar",
    "encoded parent": "%2e%2e",
    "question mark": "wind?",
    "query": "wind?format=json&x=1",
    "backslash": "wind\\solar",
    "star": "*",
    "brackets": "wind[0-9]{a,b}",
    "double quotes": '"wind"',
    "single quotes": "'wind'",
    "semicolon": "type=dir; wind",
    "arrow": "wind -> solar",
    "option": "-rf",
    "option of a listing": "-la",
    "hidden": ".hidden",
    "three dots": "...",
    "tilde": "~",
    "dollar": "$HOME `id` $(id)",
    "at sign and colon": "user:secret@host:21",
    "tab": "wind\tsolar",
    "255 bytes": "w" * 255,
    "255 bytes of umlauts": "ö" * 127 + "o",
    "255 bytes of emoji": "🌬" * 63 + "win",
    "like a temporary name": ".partial-0123",
}
NOT_ON_WINDOWS = frozenset('<>:"/\\|?*\t')


def answer_of_server(running_servers: servers.Servers, run_id: str, path: str) -> list[str] | str:
    """Return the paths that MLflow's pages show in a folder, or the error."""
    query = urllib.parse.urlencode({"run_id": run_id, "path": path})
    url = f"{running_servers.tracking_uri}/api/2.0/mlflow/artifacts/list?{query}"
    try:
        with servers.opener.open(url, timeout=30) as answer:
            return [file["path"] for file in json.load(answer).get("files", [])]
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)["message"]


def expected_of_server(path: str) -> list[str] | str:
    """Return what the pages are to show: MLflow's server refuses some names, and takes others for encoded ones."""
    if path.isspace():
        return [path]  # it is taken for no path at all, and this is what is at the top
    try:
        asked = validate_path_is_safe(path)
    except mlflow.exceptions.MlflowException as error:
        return error.message
    return [f"{path}/{name}" for name in ("empty", "files", "folders")] if asked == path else []


@pytest.fixture(scope="module")
def address(tmp_path_factory, free_port, login) -> Iterator[str]:
    """Run an artifact store and return its address."""
    folder, port = tmp_path_factory.mktemp("store"), free_port()
    command = [sys.executable, Path(servers.__file__).with_name("ftpserver.py"), "--port", port]
    command += ["--root", folder / "root"]
    with process("The artifact store", command, folder / "ftpserver.log", env=child_environment()) as server:
        server.wait_until(lambda: servers.ftp_answers(port), 20)
        yield f"ftp://127.0.0.1:{port}"


@pytest.fixture(params=NAMES.values(), ids=NAMES)
def name(request) -> str:
    if os.name == "nt" and (NOT_ON_WINDOWS & set(request.param) or request.param.strip(". ") != request.param):
        pytest.skip("Windows can't have such a file")
    return request.param


@pytest.fixture
def tree(tmp_path, name) -> Path:
    """Return a folder with the name as that of a file, of a folder with a file, and of an empty folder."""
    top = tmp_path / "tree"
    (top / "files").mkdir(parents=True)
    (top / "files" / name).write_text(f"file {name}", encoding="utf-8")
    (top / "folders" / name / "deeper").mkdir(parents=True)
    (top / "folders" / name / name).write_bytes(b"")
    (top / "folders" / name / "deeper" / name).write_text(f"deeper {name}", encoding="utf-8")
    (top / "empty" / name).mkdir(parents=True)
    return top


def content(top: Path) -> dict[str, bytes | None]:
    """Return what is in the files below a folder, and None for each folder."""
    paths = {path.relative_to(top).as_posix(): path for path in top.rglob("*")}
    return {name: None if path.is_dir() else path.read_bytes() for name, path in paths.items()}


def listed(list_artifacts: Callable, path: str | None = None) -> dict[str, int | None]:
    """Return the sizes of the files below a path as a client lists them, and None for each folder."""
    found = {}
    for info in list_artifacts(path):
        assert info.path not in found
        found[info.path] = info.file_size
        if info.is_dir:
            found |= listed(list_artifacts, info.path)
    return found


def under(name: str, tree: Path) -> dict[str, int | None]:
    """Return what has to be listed when a folder is in an artifact path."""
    sizes = {path: None if data is None else len(data) for path, data in content(tree).items()}
    return {name: None} | {f"{name}/{path}": size for path, size in sizes.items()}


def test_every_name_goes_up_is_listed_and_comes_down_as_it_was(address, name, tree, tmp_path, request):
    client = FTPArtifactRepository(f"{address}/{urllib.parse.quote(request.node.name)}")
    client.log_artifacts(str(tree), name)
    assert listed(client.list_artifacts) == under(name, tree)
    (tmp_path / "got").mkdir()
    folder = client.download_artifacts(name, str(tmp_path / "got"))
    assert content(Path(folder)) == content(tree)
    (tmp_path / "one").mkdir()
    one = client.download_artifacts(f"{name}/files/{name}", str(tmp_path / "one"))
    assert Path(one).read_bytes() == (tree / "files" / name).read_bytes()
    client.delete_artifacts(name)
    assert client.list_artifacts() == []


def test_every_name_may_be_part_of_the_address(address, name, tree, tmp_path, request):
    client = FTPArtifactRepository(f"{address}/{urllib.parse.quote(f'{request.node.name}/{name}', safe='/')}")
    client.log_artifact(str(tree / "files" / name))
    above = FTPArtifactRepository(f"{address}/{urllib.parse.quote(request.node.name)}")
    size = (tree / "files" / name).stat().st_size
    assert listed(above.list_artifacts) == {name: None, f"{name}/{name}": size}


def test_every_name_survives_a_run_of_mlflow(running_servers, name, tree, tmp_path):
    experiment = mlflow.create_experiment(f"names {tmp_path}")
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_artifacts(str(tree), name)
    api, run_id = mlflow.MlflowClient(), run.info.run_id
    if "'" in name:  # MLflow puts the name into a filter as it is
        with pytest.raises(mlflow.exceptions.MlflowException, match="Invalid filter string"):
            api.list_artifacts(run_id, name)
    else:
        assert listed(lambda path: api.list_artifacts(run_id, path)) == under(name, tree)
    whole = mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=tmp_path / "whole")
    assert content(Path(whole) / name) == content(tree)
    download = mlflow.artifacts.download_artifacts
    if set("#?\t") & set(name):  # and here it makes a URI of the name
        with pytest.raises(mlflow.exceptions.MlflowException, match="path is correct"):
            download(run_id=run_id, artifact_path=name, dst_path=tmp_path / "by path")
    else:
        folder = download(run_id=run_id, artifact_path=name, dst_path=tmp_path / "by path")
        assert content(Path(folder)) == content(tree)
    assert answer_of_server(running_servers, run_id, name) == expected_of_server(name)
