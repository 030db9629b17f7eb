"""The runner and its cache, on a workflow of four steps that take no time: source -> left, right -> last."""

import os
import signal

import mlflow
import pytest

SAME = "same code, parameters and input"
NAMES = ("source", "left", "right", "last")


def count_runs() -> int:
    return len(mlflow.search_runs(experiment_names=["tiny"], output_format="list"))


@pytest.mark.slow
def test_the_dry_run_tells_what_a_run_then_does(flow):
    assert flow.dry() == dict.fromkeys(NAMES, "would run: no workflow has run it yet")
    first = flow.runs()
    ids = {name: line.split()[1] for name, line in first.items()}
    assert first.keys() == set(NAMES)
    for name in NAMES:
        assert first[name].endswith("s: no workflow has run it yet")
    before = count_runs()
    assert flow.dry() == {name: f"would reuse run {ids[name]}: {SAME}" for name in NAMES}
    assert flow.dry("--word", "b") == {
        "source": f"would reuse run {ids['source']}: {SAME}",
        "left": "would run: word changed from a to b",
        "right": f"would reuse run {ids['right']}: {SAME}",
        "last": "would run: its input will change: left runs",
    }
    flow.input.write_text("X")
    (flow.work / "more.py").touch()
    (flow.folder / "requirements.txt").write_text("numpy==2\n")
    for name, line in flow.dry().items():
        assert line.startswith("would run: code changed: more.py (new); locked requirements changed from "), name
        ends = {"source": "; its input changed: input.txt", "last": "; its input will change: left, right run"}
        assert line.endswith(ends.get(name, "; its input may change: source runs"))
    assert count_runs() == before


def test_a_step_follows_what_the_one_before_has_made_and_not_how_often(flow):
    flow.runs()
    flow.input.write_text("X")  # source makes small letters of it, and so the same
    lines = flow.runs()
    assert lines["source"].endswith("s: its input changed: input.txt")
    for name in ("left", "right", "last"):
        assert lines[name].startswith("reused run "), name
    flow.input.write_text("y")
    lines = flow.runs()
    assert lines["left"].endswith("s: its input changed: source")
    assert lines["last"].endswith("s: its input changed: left, right")


def test_a_forced_step_runs_and_what_follows_it(flow):
    flow.runs()
    lines = flow.runs("--force", "right")
    assert lines["right"].endswith("s: forced")
    assert lines["last"].endswith("s: its input changed: right")
    for name in ("source", "left"):
        assert lines[name].startswith("reused run "), name
    done = flow("--force", "rigth,last")
    assert done.returncode != 0
    expected = "workflow: expected the name of a step after force (source, left, right, last), found rigth\n"
    assert done.stderr == expected


def test_a_state_that_somebody_else_has_changed_is_reason_to_decide_again(flow):
    flow.runs()
    flow.order("decision", "b")
    assert flow.dry()["last"] == "would run: the decision is b, and was none when it ended"
    assert flow.runs()["last"].endswith("s: the decision is b, and was none when it ended")
    assert flow.dry()["last"].endswith(SAME)


def test_steps_with_no_dependence_on_each_other_run_side_by_side(flow):
    # Each of the two waits for the other one to begin.
    flow.order("left.meet", "right.began")
    flow.order("right.meet", "left.began")
    flow.runs()
    left, right = flow.newest("left").info, flow.newest("right").info
    assert max(left.start_time, right.start_time) < min(left.end_time, right.end_time)
    assert flow.newest("source").info.end_time <= min(left.start_time, right.start_time)
    assert flow.newest("last").info.start_time >= max(left.end_time, right.end_time)


def test_a_failing_step_stops_the_others_and_the_next_dry_run_names_its_error(flow):
    flow.order("left.meet", "right.deep")
    flow.order("left.fail")
    flow.order("right.hang")
    done = flow()
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1] == "workflow: left: left was told to fail"
    assert "Traceback" not in done.stdout + done.stderr
    assert flow.processes() == []
    left, right, parent = flow.newest("left"), flow.newest("right"), flow.newest("")
    assert [run.info.status for run in (left, right, parent)] == ["FAILED", "KILLED", "FAILED"]
    assert parent.data.tags["error"] == "left: left was told to fail"
    assert not (flow.orders / "last.began").exists()
    lines = flow.dry()
    assert lines["source"].startswith("would reuse run ")
    assert lines["left"] == f"would run: its last run failed (run {left.info.run_id}: left was told to fail)"
    assert lines["right"] == f"would run: its last run was stopped before its end (run {right.info.run_id})"


def test_a_step_that_can_not_even_be_started_fails_with_one_sentence(flow):
    (flow.work / "MLproject").write_text("name: work\n")
    done = flow()
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("workflow: source: ")
    assert "Traceback" not in done.stdout + done.stderr
    assert flow.newest("source").info.status == "FAILED"
    flow.work.rename(flow.folder / "elsewhere")
    done = flow()
    expected = f"workflow: source: expected a project in {flow.work}, found no MLproject there"
    assert done.stderr.splitlines()[-1] == expected
    assert flow.newest("").info.status == "FAILED"


def test_a_list_of_steps_that_can_not_come_to_an_end_is_refused(flow):
    steps = flow.home / "steps.py"
    steps.write_text(steps.read_text().replace('("left", "right")', '("left", "nobody")'))
    done = flow()
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1] == "workflow: last: waiting for a step that is not listed, or for each other"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stopped_workflow_leaves_no_process_and_no_run_behind(flow, until, number):
    flow.order("right.hang")
    workflow = flow.start()
    until(lambda: flow.hangs("right"))
    workflow.send_signal(getattr(signal, number))
    assert workflow.wait(timeout=60) != 0
    assert flow.processes() == []
    assert (flow.folder / "log").read_text().splitlines()[-1] == "workflow: stopped"
    assert flow.newest("right").info.status == "KILLED"
    assert flow.newest("").info.status == "KILLED"


@pytest.mark.slow
def test_a_killed_workflow_goes_on_where_it_was(flow, until):
    for name in ("source", "right", "last"):
        flow.order(f"{name}.hang")
        workflow = flow.start()
        until(lambda name=name: flow.hangs(name))
        os.killpg(workflow.pid, signal.SIGKILL)
        workflow.wait()
        until(lambda: flow.processes() == [])
        (flow.orders / f"{name}.hang").unlink()
    killed, parent = flow.newest("last"), flow.newest("")
    finished = {name: flow.newest(name).info.run_id for name in ("source", "left", "right")}
    assert [run.info.status for run in (killed, parent)] == ["RUNNING", "RUNNING"]
    lines = flow.runs()
    for name, run_id in finished.items():
        assert lines[name] == f"reused run {run_id}: {SAME}"
    assert lines["last"].endswith(f"s: its last run was stopped before its end (run {killed.info.run_id})")
    for run in (killed, parent):
        assert mlflow.get_run(run.info.run_id).info.status == "KILLED"


def test_a_run_that_somebody_may_still_work_on_is_left_alone(flow, until):
    flow.order("right.hang")
    workflow = flow.start()
    until(lambda: flow.hangs("right"))
    workflow.kill()  # the workflow alone; its step goes on
    workflow.wait()
    orphan, parent = flow.newest("right"), flow.newest("")
    client = mlflow.MlflowClient()
    tags = {key: value for key, value in orphan.data.tags.items() if key != "mlflow.parentRunId"}
    tags |= {"workflow.process": "another-host 1 1", "cache.key": "another"}
    elsewhere = client.create_run(orphan.info.experiment_id, tags=tags)
    (flow.orders / "right.hang").unlink()
    assert flow.runs()["right"].endswith(f"s: run {orphan.info.run_id} has begun it and has not ended")
    status = [client.get_run(run.info.run_id).info.status for run in (parent, orphan, elsewhere)]
    assert status == ["KILLED", "RUNNING", "RUNNING"]
    for process in flow.processes():
        process.kill()
    until(lambda: flow.processes() == [])
    flow.runs()
    status = [client.get_run(run.info.run_id).info.status for run in (orphan, elsewhere)]
    assert status == ["KILLED", "RUNNING"]
    client.set_terminated(elsewhere.info.run_id, "KILLED")
