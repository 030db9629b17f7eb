import itertools
import os
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from command import Refused

# Counts in a tag, which goes wrong if two do it at once.
COUNT = """
import sys, types, mlflow, lock
lock.WAIT = 300  # the machine of a test may be slow
client = mlflow.MlflowClient()
def count(name, times):
    for _ in range(times):
        with lock.lock(name, "count") as still_held:
            tags = client.get_registered_model(name).tags
            client.set_registered_model_tag(name, "count", str(int(tags.get("count", 0)) + 1))
sys.modules["counting"] = types.SimpleNamespace(count=count)
"""


@pytest.fixture
def model(registry, made, name) -> str:
    made.client.create_registered_model(name)
    return name


@pytest.fixture
def leave(made, model):
    """Return a function that leaves a lock behind, as a killed command does."""

    tokens = itertools.count()

    def lock(host: str = socket.gethostname(), age: float = 0, suffix: str = "", pid: int | None = None) -> None:
        since = (datetime.now(UTC) - timedelta(seconds=age)).isoformat()
        tags = {
            "token": f"t{next(tokens)}",
            "host": host,
            "pid": str(pid or gone()),
            "purpose": "approve by Ada",
            "since": since,
        }
        made.client.create_registered_model(f"{model}.lock{suffix}", tags)

    return lock


def gone() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def locks(made, model: str) -> list[str]:
    return [found.name for found in made.client.search_registered_models(f"name LIKE '{model}.lock%'")]


@pytest.mark.slow
def test_of_many_at_once_one_holds_the_lock_at_a_time_even_if_one_was_left_behind(made, model, warm, leave):
    leave()
    children = [warm.start("counting.count", model, 3, setup=COUNT) for _ in range(5)]
    assert [child.end() for child in children] == [0] * 5, [child.said for child in children]
    assert made.client.get_registered_model(model).tags["count"] == "15"
    assert locks(made, model) == []


@pytest.mark.slow
def test_a_holder_that_is_killed_does_not_stop_the_others(made, model, warm):
    setup = COUNT + "\nimport os\nset_tag = client.set_registered_model_tag\n"
    setup += "client.set_registered_model_tag = lambda *a: (set_tag(*a), os.kill(os.getpid(), 9))"
    children = [warm.start("counting.count", model, 3, setup=COUNT) for _ in range(3)]
    assert warm.start("counting.count", model, 1, setup=setup).end() == -signal.SIGKILL
    assert [child.end() for child in children] == [0] * 3, [child.said for child in children]
    assert made.client.get_registered_model(model).tags["count"] == "10"


def test_nobody_who_lists_the_models_sees_the_lock_afterwards(registry, made, model):
    with registry.lock.lock(model, "test"):
        assert locks(made, model) == [f"{model}.lock"]
    assert locks(made, model) == []
    with pytest.raises(ZeroDivisionError), registry.lock.lock(model, "test"):
        _ = 1 / 0
    assert locks(made, model) == []


def test_a_lock_that_is_held_is_waited_for_and_then_told(registry, made, model, leave, monkeypatch):
    leave(pid=os.getpid())
    monkeypatch.setattr(registry.lock, "WAIT", 0.2)
    with pytest.raises(Refused) as refused, registry.lock.lock(model, "test"):
        pass
    assert f"another command is writing (approve by Ada, process {os.getpid()} on {socket.gethostname()})" in str(
        refused.value
    )
    assert locks(made, model) == [f"{model}.lock"]


@pytest.mark.parametrize(("age", "taken"), [(1, False), (61, True)])
def test_the_lock_of_another_machine_is_taken_from_it_after_a_minute(
    registry, made, model, leave, monkeypatch, age, taken
):
    leave(host="elsewhere", age=age)
    monkeypatch.setattr(registry.lock, "WAIT", 0.2)
    if taken:
        with registry.lock.lock(model, "test"):
            pass
        assert locks(made, model) == []
    else:
        with pytest.raises(Refused, match="on elsewhere"), registry.lock.lock(model, "test"):
            pass


def test_a_lock_whose_breaker_was_killed_too_is_broken(registry, made, model, leave):
    leave()
    leave(suffix=".t0")
    with registry.lock.lock(model, "test"):
        assert locks(made, model) == [f"{model}.lock"]
    assert locks(made, model) == []


def test_the_next_command_removes_what_was_left_behind(registry, made, model, leave, capsys):
    leave()
    leave(suffix=".t9")
    registry.transitions.mend(model)
    assert locks(made, model) == []


def test_a_lock_that_has_changed_hands_is_not_freed_by_its_former_holder(registry, made, model, leave):
    with registry.lock.lock(model, "slow"):
        made.client.delete_registered_model(f"{model}.lock")
        leave(pid=os.getpid())
    assert locks(made, model) == [f"{model}.lock"]


def test_a_holder_that_is_too_slow_writes_nothing_more(registry, model, monkeypatch):
    with registry.lock.lock(model, "test") as still_held:
        still_held()
        monkeypatch.setattr(registry.lock, "LEASE", 0.0)
        with pytest.raises(Refused, match="the tracking server is too slow"):
            still_held()


def test_a_request_that_is_repeated_finds_its_own_lock(registry, model, made, monkeypatch):
    create = registry.lock.client.create_registered_model

    def twice(*arguments):
        create(*arguments)
        return create(*arguments)

    monkeypatch.setattr(registry.lock.client, "create_registered_model", twice)
    with registry.lock.lock(model, "test"):
        assert locks(made, model) == [f"{model}.lock"]
    assert locks(made, model) == []


def test_a_repeated_request_to_free_the_lock_is_no_error(registry, model, made, monkeypatch):
    delete = registry.lock.client.delete_registered_model

    def twice(*arguments):
        delete(*arguments)
        return delete(*arguments)

    monkeypatch.setattr(registry.lock.client, "delete_registered_model", twice)
    with registry.lock.lock(model, "test"):
        pass
    assert locks(made, model) == []


def test_a_lock_that_is_freed_while_the_models_are_listed_is_not_stumbled_over(registry, made, model):
    made.client.create_registered_model(f"{model}.lock")  # as it is seen then: its tags are gone already
    registry.transitions.mend(model)
    assert locks(made, model) == [f"{model}.lock"]


def test_the_time_outs_are_those_of_before_when_the_lock_is_free(registry, model, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with registry.lock.lock(model, "test"):
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


@pytest.mark.slow
def test_of_many_approvals_at_once_one_wins_and_the_others_are_told(registry, made, name, warm):
    made.waiting(name, made.model())
    people = ["Ada", "Gauss", "Emmy"]
    arguments = ["approve", name, "candidate"]
    children = [
        warm.start("approve.decide", *arguments, by, "I was first", False, hold="approve.lock") for by in people
    ]
    warm.let_go(children)  # all have read the state before one of them writes
    ends = [child.end() for child in children]
    assert sorted(ends) == [0, 1, 1], [child.said for child in children]
    winner = people[ends.index(0)]
    entries = registry.transitions.read(name).entries
    assert [entry["by"] for entry in entries] == [winner]
    for child, end in zip(children, ends, strict=True):
        if end:
            assert f"refused: {winner} has put version 1 into production meanwhile (approve, 20" in child.said
