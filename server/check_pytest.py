"""The steps of `python workshop.py check` as tests, for who prefers pytest.

    python workshop.py test server/check_pytest.py
    python workshop.py test server/check_pytest.py -k exercise

The first line is all chapters, the second one of them. The project's own tests do not include this file.
"""

import pytest

from server import check

check.prepare()
STEPS = [step for chapter in check.CHAPTERS for step in check.load(chapter)]


@pytest.fixture(scope="session")
def results() -> dict[check.Step, check.Result]:
    """Return how each step stands; where the servers are away, only theirs."""
    from mlflow import MlflowClient

    return {result.step: result for result in check.look_at(list(check.CHAPTERS), MlflowClient())}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.chapter}: {step.title}")
def test_step(step: check.Step, results: dict[check.Step, check.Result]):
    """Pass if the step is done, and else say what to do."""
    if step not in results:
        pytest.fail("The servers come first: python workshop.py check servers", pytrace=False)
    result = results[step]
    if result.status == check.SKIPPED:
        pytest.skip(result.text)
    if result.status == check.NOT_YET:
        pytest.fail("\n    ".join([result.text, *result.line.splitlines()]), pytrace=False)
