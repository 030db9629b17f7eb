"""The plugin in MLflow: a model of a run loads, and the server connects to no host but its own store."""

import json
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request

import mlflow
import pandas as pd
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow_ftp.repository import FTPArtifactRepository


class Model(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return model_input["wind_GW"] * 2


@pytest.fixture
def run(running_servers, tmp_path) -> mlflow.ActiveRun:
    """Return a finished run with a model."""
    experiment = mlflow.create_experiment(f"plugin {tmp_path}")
    with mlflow.start_run(experiment_id=experiment) as active:
        mlflow.pyfunc.log_model(name="model", python_model=Model(), pip_requirements=["mlflow"])
    return active


def test_a_model_loads_by_its_run(run):
    assert isinstance(get_artifact_repository(run.info.artifact_uri), FTPArtifactRepository)
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert list(model.predict(pd.DataFrame({"wind_GW": [1.5, 2.0]}))) == [3.0, 4.0]


def test_an_artifact_of_a_run_whose_folder_is_not_there_yet_is_an_error_and_nothing_is_left(run, tmp_path):
    with pytest.raises(mlflow.MlflowException) as error:
        download_artifacts(f"runs:/{run.info.run_id}/missing/file", dst_path=tmp_path)
    assert error.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_mlflow_server_does_not_connect_to_another_host_for_a_client(running_servers, tmp_path):
    arrived = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            listener.settimeout(30)
            try:
                listener.accept()[0].close()
            except OSError:
                return
            arrived.set()

        thread = threading.Thread(target=listen)
        thread.start()
        client = mlflow.MlflowClient(running_servers.tracking_uri)
        address = f"ftps://127.0.0.1:{listener.getsockname()[1]}/x"
        run = client.create_run(client.create_experiment(f"elsewhere {tmp_path}", artifact_location=address))
        query = urllib.parse.urlencode({"run_id": run.info.run_id})
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(
                f"{running_servers.tracking_uri}/ajax-api/2.0/mlflow/artifacts/list?{query}", timeout=20
            )
        with error.value as answer:
            assert answer.code == 400
            assert "does not connect to ftps://127.0.0.1" in json.loads(answer.read())["message"]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert not arrived.is_set()
