"""kill -9 of approve, reject, rollback and mend, after each single write and at random moments."""

import contextlib
import http.server
import os
import random
import signal
import threading
import time

import pytest
import requests

# Ends the child right after its N-th write has been answered.
AFTER = """
import os, requests
send, left = requests.Session.send, [{count}]
def counted(self, request, **options):
    answer = send(self, request, **options)
    left[0] -= request.method != "GET"
    if left[0] == 0:
        os.kill(os.getpid(), 9)
    return answer
requests.Session.send = counted
"""
# Tells the test when the first write begins, and sends all by way of an errand.
BEGIN = """
import requests
send = requests.Session.send
def begin(self, request, **options):
    if request.method != "GET":
        open({file!r}, "a").close()
    request.url = request.url.replace({server!r}, {errand!r})
    return send(self, request, **options)
requests.Session.send = begin
"""
CALLS = {
    "approve": ("approve.decide", ["approve", "NAME", "candidate", "Ada", "better", False]),
    "reject": ("approve.decide", ["reject", "NAME", "candidate", "Ada", "worse", False]),
    "rollback": ("rollback.roll_back", ["NAME", "former", "Ada", "wrong"]),
}
MOST_WRITES = 12


class Errand(http.server.BaseHTTPRequestHandler):
    """Takes a request on to the tracking server, and the answer back if anybody still waits for it."""

    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        address = os.environ["MLFLOW_TRACKING_URI"] + self.path
        answer = requests.request(self.command, address, data=body, headers=headers, timeout=20)
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

    do_GET = do_POST = do_PATCH = do_DELETE = do

    def log_message(self, *arguments):
        """Say nothing."""


@contextlib.contextmanager
def errands():
    """Yield the address of an errand; at the end, what a killed client had sent has come to the server, or never will.

    Without it, the server may do what was asked for after the test has looked.
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Errand) as server:
        server.daemon_threads = False  # so that the end waits for them
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Setting:
    """A registered model on which a command can be typed again and again."""

    def __init__(self, registry, made, name):
        self.registry, self.made, self.name = registry, made, name
        self.versions = [made.version(name, made.model()) for _ in range(3)]
        for version in self.versions[:2]:
            self.wait(version)
            self.approve()

    def read(self):
        return self.registry.transitions.read(self.name)

    def approve(self) -> None:
        self.registry.approve.decide("approve", self.name, "candidate", "Ada", "better", False)

    def wait(self, version: str) -> None:
        """Let a version be the candidate, as promote does."""
        for key, value in (("gate", "passed"), ("gate.against", self.read().production or "")):
            self.made.client.set_model_version_tag(self.name, version, key, value)
        self.made.client.set_registered_model_alias(self.name, "candidate", version)

    def prepare(self, action: str) -> None:
        """Let there be something to do for a command."""
        if action == "rollback" and len(self.read().reign()) > 1:
            return
        self.wait(next(version for version in self.versions if version != self.read().production))
        if action == "rollback":
            self.approve()

    def start(self, warm, action: str, setup: str):
        call, arguments = CALLS[action]
        # Loading the model takes most of a rollback's time, and writes nothing.
        setup += "\nimport rollback\nrollback.check_loads = lambda *arguments: None\n"
        return warm.start(call, *(self.name if part == "NAME" else part for part in arguments), setup=setup)

    def check(self, before, action: str, capsys) -> str:
        """Check that alias and ledger agree, or do after the next command, which says so; return what came of it."""
        capsys.readouterr()
        killed = self.read()
        after = self.registry.transitions.mend(self.name)
        said = capsys.readouterr().err
        assert after.agrees
        assert self.read() == after
        assert ("mended: " in said) == (not killed.agrees), said
        assert after.production == killed.production, "the alias decides"
        assert [entry["number"] for entry in after.entries] == list(range(1, len(after.entries) + 1))
        assert after.entries[: len(before.entries)] == before.entries
        locks = self.made.client.search_registered_models(f"name LIKE '{self.name}.lock%'")
        assert not locks, "the next command removes what a killed one held"
        new = after.entries[len(before.entries) :]
        if not new:
            assert (after.production, after.candidate) == (before.production, before.candidate)
            return "nothing"
        (entry,) = new
        assert (entry["action"], entry["by"]) == (action, "Ada")
        assert action == "reject" or (entry["from"], entry["to"]) == (before.production, after.production)
        assert action == "rollback" or after.candidate is None
        sent_away = {"reject": before.candidate, "rollback": before.production}.get(action)
        assert sent_away is None or "rejected" in self.made.tags(self.name, sent_away)
        return "mended" if said else "done"


@pytest.fixture
def setting(registry, made, name) -> Setting:
    return Setting(registry, made, name)


@pytest.mark.slow
@pytest.mark.parametrize("action", CALLS)
def test_a_command_that_is_killed_after_any_of_its_writes_leaves_nothing_that_is_not_mended(
    setting, warm, action, capsys
):
    results = []
    for count in range(1, MOST_WRITES + 1):
        setting.prepare(action)
        before = setting.read()
        child = setting.start(warm, action, AFTER.format(count=count))
        if child.end() == 0:
            break
        results.append(setting.check(before, action, capsys))
    else:
        pytest.fail("it writes more often than was thought")
    assert setting.read().agrees
    assert results[0] == "nothing"
    assert results[-1] == "done"
    assert "mended" in results


@pytest.mark.slow
def test_a_mending_that_is_killed_after_any_of_its_writes_is_mended_itself(setting, warm, capsys):
    action = "rollback"  # it has the most to complete
    for count in range(1, MOST_WRITES + 1):
        setting.prepare(action)
        before = setting.read()
        # The third write moves the alias.
        assert setting.start(warm, action, AFTER.format(count=3)).end() == -signal.SIGKILL
        assert setting.read().pending
        ended = warm.start("transitions.mend", setting.name, setup=AFTER.format(count=count)).end()
        assert setting.check(before, action, capsys) in ("mended", "done")
        if ended == 0:
            break
    else:
        pytest.fail("it writes more often than was thought")


@pytest.mark.slow
def test_fifty_kills_at_random_moments_of_approve_and_rollback(setting, warm, tmp_path, capsys):
    begun = tmp_path / "begun"

    @contextlib.contextmanager
    def begin(action: str):
        setting.prepare(action)
        before = setting.read()
        begun.unlink(missing_ok=True)
        with errands() as errand:
            setup = BEGIN.format(file=str(begun), server=os.environ["MLFLOW_TRACKING_URI"], errand=errand)
            child = setting.start(warm, action, setup)
            child.until(begun)
            yield before, child

    seconds = {}
    for action in ("approve", "rollback"):
        with begin(action) as (_, child):
            start = time.monotonic()
            assert child.end() == 0, child.said
            seconds[action] = time.monotonic() - start
    moments, results = random.Random(5), []
    for number in range(50):
        action = ("approve", "rollback")[number % 2]
        with begin(action) as (before, child):
            time.sleep(moments.uniform(0, seconds[action]))  # the moment is the point, nothing is waited for
            child.end(signal.SIGKILL)
        results.append(setting.check(before, action, capsys))
    with capsys.disabled():
        print(f"\n50 kills within {seconds}: { ({result: results.count(result) for result in sorted(set(results))}) }")
    assert len(set(results)) > 1, "the moments were not spread over the writing"


def test_a_kill_before_the_alias_has_moved_leaves_nothing_of_it_and_says_so(setting, warm, capsys):
    setting.prepare("approve")
    setting.start(warm, "approve", AFTER.format(count=2)).end()
    assert setting.read().pending
    capsys.readouterr()
    setting.registry.transitions.mend(setting.name)
    said = capsys.readouterr().err
    assert "mended: the approve of 20" in said
    assert "by Ada was cut short before it moved the alias; nothing of it is left" in said
    setting.approve()
    assert setting.read().entries[-1]["number"] == 3


def test_an_alias_moved_by_hand_after_a_kill_decides(setting, warm, made, capsys):
    setting.prepare("approve")
    setting.start(warm, "approve", AFTER.format(count=3)).end()
    assert setting.read().production == "1"
    made.client.set_registered_model_alias(setting.name, "production", "3")
    setting.registry.transitions.mend(setting.name)
    state = setting.read()
    assert state.agrees
    assert state.production == "3"
    assert state.entries[-1]["action"] == "outside"
