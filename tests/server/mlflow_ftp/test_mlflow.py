"""The plugin in MLflow: what a run logs comes back, and the server connects to no host but its own store."""

import socket
import urllib.parse

import httpx
import mlflow
import pandas as pd
import pytest
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow_ftp.repository import FTPArtifactRepository
from names import NAMES, content, tree_of

MORE = " |gro\u0308\u00dfe|\u98a8 \U0001f32c|100%|%2F|%2e%2e|?x=1&y|~|'a'|$HOME `id`|ada:x@host:21|tab\t|.partial-0123"
HARD = [*NAMES, *MORE.split("|"), "\u00f6" * 127 + "o"]


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return model_input["wind_GW"] * 2


def listed(tracking_uri: str, run_id: str, path: str = "") -> list[str]:
    """Return the paths that MLflow's pages show in a folder of a run."""
    query = urllib.parse.urlencode({"run_id": run_id, "path": path})
    answer = httpx.get(f"{tracking_uri}/ajax-api/2.0/mlflow/artifacts/list?{query}", timeout=20, trust_env=False)
    return [file["path"] for file in answer.raise_for_status().json().get("files", [])]


def test_a_model_loads_by_its_run_and_names_of_all_sorts_come_back_and_are_on_the_pages(running_servers, tmp_path):
    tree = tree_of(tmp_path / "tree", HARD)
    with mlflow.start_run(experiment_id=mlflow.create_experiment(f"plugin {tmp_path}")) as run:
        mlflow.pyfunc.log_model(name="model", python_model=Model(), pip_requirements=["mlflow"])
        mlflow.log_artifacts(str(tree), "wind and sölar")
    run_id = run.info.run_id
    assert isinstance(get_artifact_repository(run.info.artifact_uri), FTPArtifactRepository)
    model = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert list(model.predict(pd.DataFrame({"wind_GW": [1.5, 2.0]}))) == [3.0, 4.0]
    assert content(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="wind and sölar")) == content(tree)
    pages = listed(running_servers.tracking_uri, run_id, "wind and sölar")
    assert set(pages) == {f"wind and sölar/{name}" for name in (*HARD, "sub #1", "nothing")}


def test_the_mlflow_server_does_not_connect_to_another_host_for_a_client(running_servers, tmp_path):
    client = mlflow.MlflowClient(running_servers.tracking_uri)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        address = f"ftps://127.0.0.1:{elsewhere.getsockname()[1]}/x"
        run = client.create_run(client.create_experiment(f"elsewhere {tmp_path}", artifact_location=address))
        with pytest.raises(httpx.HTTPStatusError, match="400") as error:
            listed(running_servers.tracking_uri, run.info.run_id)
        assert "does not connect to ftps://127.0.0.1" in error.value.response.json()["message"]
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
