from argparse import ArgumentParser

import pytest

from forecasting import entry_point


def test_a_command_that_is_stopped_while_it_waits_for_the_servers_says_so(monkeypatch):
    def interrupted(program: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry_point, "preflight", interrupted)
    with pytest.raises(SystemExit, match=r"^evaluate: stopped$"), entry_point.command("evaluate", ArgumentParser(), []):
        pytest.fail("it was stopped before")
