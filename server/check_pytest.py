"""The steps of `python workshop.py check` as tests, for who prefers pytest.

    python workshop.py test server/check_pytest.py
    python workshop.py test server/check_pytest.py -k exercise

The first line is all chapters, the second one of them. The project's own tests do not include this file.
"""

import check
import pytest

check.prepare()
STEPS = [step for chapter in check.CHAPTERS for step in check.load(chapter)]


@pytest.fixture(scope="session")
def found() -> dict[check.Step, check.Found]:
    """Return how each step stands; where the servers are away, only theirs."""
    from mlflow import MlflowClient

    return {one.step: one for one in check.look_at(list(check.CHAPTERS), MlflowClient())}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.chapter}: {step.title}")
def test_step(step: check.Step, found: dict[check.Step, check.Found]):
    """Pass if the step is done, and else say what to do."""
    if step not in found:
        pytest.fail("The servers come first: python workshop.py check servers", pytrace=False)
    if found[step].status == check.SKIPPED:
        pytest.skip(found[step].text)
    if found[step].status == check.NOT_YET:
        pytest.fail("\n    ".join([found[step].text, *found[step].line.splitlines()]), pytrace=False)
