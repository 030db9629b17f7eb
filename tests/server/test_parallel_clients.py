"""Let sixteen clients log at the same time, and look whether anything is lost or mixed."""

import time
from pathlib import Path

import mlflow
import pytest
from clients import files_of, forked, log_run, metrics_of

CLIENTS = 16
SECONDS = 240  # far more than it takes


@pytest.mark.slow
def test_sixteen_clients_at_the_same_time_lose_and_mix_nothing(running_servers, store, tmp_path):
    api = mlflow.MlflowClient()
    experiment = api.create_experiment(f"parallel {tmp_path}")
    runs, clients = [], []
    for number in range(CLIENTS):
        for name, content in files_of(number).items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        runs.append(api.create_run(experiment))
        run_id = runs[-1].info.run_id
        clients.append(forked(log_run, running_servers.tracking_uri, run_id, number, tmp_path / str(number)))
    for client, _ in clients:
        client.start()
    try:
        deadline = time.monotonic() + SECONDS
        for client, _ in clients:
            client.join(max(0, deadline - time.monotonic()))
        assert [client.exitcode for client, _ in clients] == [0] * CLIENTS
    finally:
        for client, _ in clients:
            client.kill()
            client.join()
    for number, run in enumerate(runs):
        run_id = run.info.run_id
        assert api.get_run(run_id).info.status == "FINISHED"
        assert set(api.get_run(run_id).data.metrics) == set(metrics_of(number)[0])
        for name in metrics_of(number)[0]:
            history = [(metric.step, metric.value) for metric in api.get_metric_history(run_id, name)]
            assert sorted(history) == [(step, metrics[name]) for step, metrics in metrics_of(number).items()]
        folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id, dst_path=tmp_path / f"got{number}"))
        expected = {f"model/{name}": content for name, content in files_of(number).items()}
        of_store = store / "artifacts" / experiment / run_id / "artifacts"
        for top in (folder, of_store):
            files = [path for path in top.rglob("*") if path.is_file()]
            assert {path.relative_to(top).as_posix(): path.read_bytes() for path in files} == expected
