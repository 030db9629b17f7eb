"""Commands that end at each moment at which the server's state can have changed: before and after each write."""

import pytest
import requests

from forecasting import ledger


class Killed(BaseException):
    """Stands in for kill -9: no code of the program runs after it but what changes nothing on the server."""


@pytest.fixture
def kill_after(monkeypatch):
    """Return a function that lets a call end right after its N-th write, or before the first one for 0."""

    def run(count: int, call, *arguments) -> bool:
        left, send = [count], requests.Session.send

        def counted(self, request, **options):
            writes = request.method != "GET" and not request.path_url.endswith("/search")
            if writes and left[0] <= 0:
                raise Killed
            left[0] -= writes
            return send(self, request, **options)

        with monkeypatch.context() as patch:
            patch.setattr(requests.Session, "send", counted)
            try:
                call(*arguments)
            except Killed:
                return True
        return False

    return run


class Setting:
    """A registered model on which a command can be typed again and again."""

    def __init__(self, registry, made, name):
        self.registry, self.made, self.name = registry, made, name
        self.versions = [made.version(name, made.model()) for _ in range(3)]
        for version in self.versions[:2]:
            self.wait(version)
            self.approve()

    def read(self) -> ledger.Ledger:
        return ledger.read(self.name)

    def approve(self) -> None:
        self.registry.decide.decide("approve", self.name, "none", "Ada", "better")

    def wait(self, version: str) -> None:
        """Let a version be the candidate, as validate does."""
        tags = {"gate": "passed", "gate.when": "just now", "gate.against": self.read().production or ""}
        for key, value in tags.items():
            self.made.client.set_model_version_tag(self.name, version, key, value)
        self.made.client.set_registered_model_alias(self.name, "candidate", version)

    def prepare(self, action: str) -> None:
        """Let there be something to do for a command."""
        if action == "rollback" and self.read().versions_to_go_back_to():
            return
        self.wait(next(version for version in self.versions if version != self.read().production))
        if action == "rollback":
            self.approve()

    def command(self, action: str) -> tuple:
        return self.registry.decide.decide, action, self.name, "none", "Ada", "reason"


@pytest.fixture
def setting(registry, made, name, monkeypatch) -> Setting:
    # Loading the model takes most of a rollback's time, and writes nothing.
    monkeypatch.setattr("mlflow.pyfunc.load_model", lambda *arguments, **options: None)
    return Setting(registry, made, name)


@pytest.mark.parametrize("action", ["approve", "rollback"])
def test_a_move_that_is_killed_at_any_moment_is_done_not_done_or_noticed(setting, kill_after, action):
    results = []
    for count in range(6):
        setting.prepare(action)
        before = setting.read()
        killed = kill_after(count, *setting.command(action))
        after = setting.read()
        new = [entry for entry in after.entries if entry.key not in {entry.key for entry in before.entries}]
        moved = after.production != before.production
        if not new:
            assert (after.production, after.candidate, after.disagreement) == (
                before.production,
                before.candidate,
                None,
            )
            results.append("nothing")
        elif moved:
            (entry,) = new
            assert entry.moved
            assert (entry.from_version, entry.to_version) == (before.production, after.production)
            assert after.disagreement is None
            assert after.candidate is None
            results.append("done")
        else:
            assert f"the {action} by Ada at " in after.disagreement
            assert "was cut short before it moved the alias to version" in after.disagreement
            assert after.versions_to_go_back_to() == before.versions_to_go_back_to(), "it never was in production"
            results.append("noticed")
        if not killed:
            break
    else:
        pytest.fail("it writes more often than was thought")
    assert results[:3] == ["nothing", "noticed", "done"]
    setting.prepare(action)
    command, *arguments = setting.command(action)
    command(*arguments)
    assert setting.read().disagreement is None


def test_a_rejection_that_is_killed_before_the_candidate_is_gone_is_not_approved_by_accident(setting, kill_after):
    setting.prepare("reject")
    setting.made.client.set_model_version_tag(setting.name, "1", "gate.when", "2026-01-01T00:00:00+00:00")
    assert kill_after(1, *setting.command("reject"))
    assert setting.read().candidate
    with pytest.raises(Exception, match=r"was sent away by the reject by Ada at .*name it with version="):
        setting.approve()
    command, *arguments = setting.command("reject")
    command(*arguments)
    assert setting.read().candidate is None
