"""The runner and its cache, on a workflow of four steps that take no time: source -> left, right -> last."""

import os
import shutil
import signal

import mlflow
import pytest

SAME = "same code, parameters and input"
NAMES = ("source", "left", "right", "last")


def test_the_dry_run_tells_what_a_run_then_does(flow):
    assert flow.dry() == dict.fromkeys(NAMES, "would run: no workflow has run it yet")
    first = flow.runs()
    ids = {name: line.split()[1] for name, line in first.items()}
    assert first.keys() == set(NAMES)
    for name in NAMES:
        assert first[name].endswith("s: no workflow has run it yet")
    assert flow.dry() == {name: f"would reuse run {ids[name]}: {SAME}" for name in NAMES}
    assert flow.dry("--word", "b") == {
        "source": f"would reuse run {ids['source']}: {SAME}",
        "left": "would run: word changed from a to b",
        "right": f"would reuse run {ids['right']}: {SAME}",
        "last": "would run: its input may change: left would run",
    }
    locked = (flow.folder / "requirements.txt").read_text()
    flow.input.write_text("X")
    (flow.work / "more.py").touch()
    (flow.folder / "requirements.txt").write_text("numpy==2\n")
    lines = flow.dry("--force", "right")
    for line in (lines["source"], lines["left"]):
        assert line.startswith("would run: code changed: more.py (new); locked requirements changed from ")
    assert lines["source"].endswith("; its input changed: input.txt")
    assert lines["left"].endswith("; its input may change: source would run")
    assert lines["right"] == "would run: forced"
    mlflow.MlflowClient().delete_tag(ids["source"], "made")
    flow.input.write_text("x")
    (flow.work / "more.py").unlink()
    (flow.folder / "requirements.txt").write_text(locked)
    assert flow.dry()["source"] == "would run: its tag made is gone"


def test_a_step_follows_what_the_one_before_has_made_and_not_how_often(flow):
    # The first time, each of two steps that don't depend on each other waits for the other one to begin.
    flow.order("left.meet", "right.began")
    flow.order("right.meet", "left.began")
    flow.runs()
    left, right = flow.newest("left").info, flow.newest("right").info
    assert max(left.start_time, right.start_time) < min(left.end_time, right.end_time)
    assert flow.newest("source").info.end_time <= min(left.start_time, right.start_time)
    assert flow.newest("last").info.start_time >= max(left.end_time, right.end_time)
    flow.input.write_text("X")  # source makes small letters of it, and so the same
    lines = flow.runs()
    assert lines["source"].endswith("s: its input changed: input.txt")
    for name in ("left", "right", "last"):
        assert lines[name].startswith("reused run "), name
    flow.input.write_text("y")
    lines = flow.runs()
    assert lines["left"].endswith("s: its input changed: source")
    assert lines["last"].endswith("s: its input changed: left, right")


def test_another_experiment_a_state_that_somebody_has_changed_and_force_are_reasons_to_run(flow):
    flow.runs()
    flow.experiment = "tiny too"
    assert flow.dry()["source"] == "would run: no workflow has run it yet"
    flow.experiment = "tiny"
    flow.order("decision", "b")
    assert flow.dry()["last"] == "would run: the decision is b, and was none when it ended"
    assert flow.runs()["last"].endswith("s: the decision is b, and was none when it ended")
    assert flow.dry()["last"].endswith(SAME)
    lines = flow.runs("--force", "right")
    assert lines["right"].endswith("s: forced")
    assert lines["last"].endswith("s: its input changed: right")
    for name in ("source", "left"):
        assert lines[name].startswith("reused run "), name
    with pytest.raises(AssertionError, match=r"expected the name of a step after force \(source, left, .*found rigth"):
        flow.dry("--force", "rigth,last")


def test_a_failing_step_stops_the_others_and_the_next_dry_run_names_its_error(flow):
    flow.order("left.meet", "right.deep")
    flow.order("left.fail")
    flow.order("right.hang")
    assert flow.fails() == "workflow: left: left was told to fail"
    assert flow.processes() == []
    left, right, parent = flow.newest("left"), flow.newest("right"), flow.newest("")
    assert [run.info.status for run in (left, right, parent)] == ["FAILED", "KILLED", "FAILED"]
    assert parent.data.tags["error"] == "left: left was told to fail"
    assert not (flow.orders / "last.began").exists()
    lines = flow.dry()
    assert lines["source"].startswith("would reuse run ")
    assert lines["left"] == f"would run: its last run failed (run {left.info.run_id}: left was told to fail)"
    assert lines["right"] == f"would run: its last run was stopped before its end (run {right.info.run_id})"


def test_a_step_that_can_not_even_be_started_or_waits_for_nobody_fails_with_one_sentence(flow):
    (flow.work / "MLproject").write_text("name: work\n")
    assert flow.fails().startswith("workflow: source: ")
    assert flow.newest("source").info.status == "FAILED"
    shutil.rmtree(flow.work)
    assert flow.fails() == f"workflow: source: expected a project in {flow.work}, found no MLproject there"


def test_a_step_that_waits_for_one_that_is_not_listed_is_named(flow):
    flow.order("before last", "nobody")
    assert "would run: " in flow.dry()["last"]
    assert flow.fails() == "workflow: last: waiting for a step that is not listed, or for each other"


@pytest.mark.slow
def test_a_stopped_workflow_leaves_no_process_and_no_run_behind_and_goes_on_where_it_was(flow, until):
    for name, number in (("source", "SIGINT"), ("right", "SIGTERM"), ("last", "SIGHUP"), ("last", "SIGKILL")):
        flow.order(f"{name}.hang")
        workflow = flow.start()
        until(lambda name=name: flow.hangs(name))
        os.killpg(workflow.pid, signal.SIGKILL) if number == "SIGKILL" else os.kill(
            workflow.pid, getattr(signal, number)
        )
        assert workflow.wait(timeout=60) != 0
        if number == "SIGKILL":
            until(lambda: flow.processes() == [])
        else:
            assert flow.processes() == [], number
            assert (flow.folder / "errors").read_text().splitlines()[-1] == "workflow: stopped"
            assert [flow.newest(step).info.status for step in (name, "")] == ["KILLED", "KILLED"], number
            assert flow.newest("").data.tags["error"] == "stopped"
        for order in (f"{name}.hang", f"{name}.deep"):
            (flow.orders / order).unlink()
    killed = flow.newest("last")
    finished = {name: flow.newest(name).info.run_id for name in ("source", "left", "right")}
    lines = flow.runs()
    for name, run_id in finished.items():
        assert lines[name] == f"reused run {run_id}: {SAME}"
    assert lines["last"].endswith(f"s: run {killed.info.run_id} has started and has not ended")
