"""What the workflow costs beside the work itself, when every step is reused.

    python benchmarks/workflow.py

It runs the workflow once, with small models, and then again and again with nothing left to do, beside a project whose
command is ``python -c pass``.
"""

import re
import sys

from harness import ROOT, SAMPLE, call, empty_servers, options, print_ratios, run_project, take_turns

PARAMETERS = {"csv": SAMPLE, "n_estimators": 8, "epochs": 2, "trials": 2}
EMPTY = """
name: empty
entry_points:
  main:
    command: "python -c pass"
"""


def reused(said: str) -> None:
    """End the benchmark if a step was not reused, which happens if somebody edits a project."""
    if re.search(r"^workflow: \w+ runs", said, re.MULTILINE):
        sys.exit(f"expected every step to be reused, found:\n{said}")


def main() -> None:
    """Measure and print the table."""
    rounds = options(__doc__.splitlines()[0], rounds=5).rounds
    typed = [f"--{name.replace('_', '-')}={value}" for name, value in PARAMETERS.items()]
    with empty_servers() as state:
        (state / "empty").mkdir()
        (state / "empty" / "MLproject").write_text(EMPTY)
        run_project("workflow", **PARAMETERS)
        contenders = {
            "an empty mlflow run": lambda: run_project(state / "empty"),
            "start of the interpreter": lambda: call(sys.executable, "-c", "pass"),
            "every step reused, python run.py": lambda: reused(
                call(sys.executable, ROOT / "3_projects" / "workflow" / "run.py", *typed)
            ),
            "every step reused, mlflow run": lambda: reused(run_project("workflow", **PARAMETERS)),
        }
        taken = take_turns(rounds, contenders)
    print_ratios(taken)
    print("promised: run.py under 5 s")


if __name__ == "__main__":
    main()
