"""Say step by step what is done and what is not yet, and for what is not what to do next.

    python workshop.py check
    python workshop.py check exercise
    python workshop.py check exercise --watch

It looks at the learner's own servers, which MLFLOW_TRACKING_URI names. The steps of a chapter are in that chapter's
folder, in `checks.py`. What ends with a program, such as a served model, is noted on the server once it was seen. The
exit status is 0 if all steps are done, 1 if not.
"""

import argparse
import functools
import itertools
import os
import runpy
import shutil
import sys
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from server.environment import ROOT
from server.servers import HOST

CHAPTERS = {  # what is typed: the heading, and the folders whose checks.py have the steps
    "servers": ("The servers", ["server"]),
    "1": ("Chapter 1: the starting point", ["1_starting_point"]),
    "2": ("Chapter 2: tracking", ["2_tracking"]),
    "exercise": ("The exercise of chapter 2", ["2_tracking/exercise"]),
    "3": ("Chapter 3: projects, report and dashboard", ["3_projects", "report", "dashboard"]),
}
# Who takes the project away as a template may have deleted a chapter.
CHAPTERS = {name: chapter for name, chapter in CHAPTERS.items() if (ROOT / chapter[1][0] / "checks.py").exists()}
DONE, NOT_YET, SKIPPED = "done", "not yet", "skipped"
PAUSE = 2  # seconds between two looks of --watch


@dataclass(frozen=True)
class Step:
    """A step of a chapter; ``look`` is a function as server/steps.py describes it.

    ``ending`` is printed below the last step of a chapter when all of that chapter is done.
    """

    chapter: str
    title: str
    look: Callable
    ending: str = ""


@dataclass(frozen=True)
class Result:
    """How a step stands: a status, a sentence about it, a line to type, and whether it was done wrong."""

    step: Step
    status: str
    text: str
    line: str = ""
    wrong: bool = False


@functools.cache
def load(chapter: str) -> list[Step]:
    """Return the steps of a chapter."""
    steps, ending = [], ""
    for folder in CHAPTERS[chapter][1]:
        checks = runpy.run_path(str(ROOT / folder / "checks.py"))
        steps += [Step(chapter, look.__doc__.splitlines()[0].removesuffix("."), look) for look in checks["STEPS"]]
        ending = checks.get("ENDING", ending)
    return [*steps[:-1], replace(steps[-1], ending=ending)]


def look(step: Step, client) -> Result:
    """Return how a step stands now."""
    from mlflow.exceptions import MlflowException

    from server.steps import NotYet, Skipped, Wrong

    try:
        return Result(step, DONE, step.look(client) or "")
    except Skipped as reason:
        return Result(step, SKIPPED, str(reason))
    except NotYet as error:
        return Result(step, NOT_YET, error.hint, error.line, isinstance(error, Wrong))
    except MlflowException as error:
        return Result(step, NOT_YET, f"MLflow could not be asked: {error.message.splitlines()[0]}", wrong=True)


def look_at(chapters: list[str], client) -> list[Result]:
    """Return how each step stands; the servers come first, and where they are away there is nothing else to see."""
    results = []
    for step in load("servers"):
        results.append(look(step, client))
        if results[-1].status != DONE:
            return results
    results *= "servers" in chapters
    return results + [look(step, client) for chapter in chapters if chapter != "servers" for step in load(chapter)]


def is_done(results: list[Result]) -> bool:
    """Return whether nothing is left to do."""
    return all(result.status != NOT_YET for result in results)


def write(results: list[Result]) -> dict[tuple[str, str], str]:
    """Return the text of each step, by the heading of its chapter and its title.

    A hint is given for all that is wrong, and for the first step of a chapter that nobody has done. The others are
    likely to wait for that one.
    """
    indent = " " * 15
    fill = textwrap.TextWrapper(
        width=min(shutil.get_terminal_size().columns, 110) - 1, subsequent_indent=indent, break_on_hyphens=False
    ).fill
    texts, hints, begun, numbers = {}, set(), set(), Counter()
    for result in results:
        chapter, title, missing = result.step.chapter, result.step.title, result.status == NOT_YET
        numbers[chapter] += 1
        remark = f": {result.text}" if result.text and not missing else ""
        lines = [fill(f"  {result.status:9}{numbers[chapter]:2}. {title}{remark}")]
        hint = result.text, result.line
        if missing and (result.wrong or chapter not in begun) and hint not in hints:
            lines.append(fill(indent + result.text))
            lines += [f"{indent}    {line}" for line in result.line.splitlines()]  # not wrapped, so it can be copied
            hints.add(hint)
        if missing:
            begun.add(chapter)
        elif result.step.ending and chapter not in begun:
            lines.append(f"  {result.step.ending}")
        texts[CHAPTERS[chapter][0], title] = "\n".join(lines)
    return texts


def print_list(results: list[Result]) -> dict[tuple[str, str], str]:
    """Print all steps under the headings of their chapters, and how many are done; return the texts of the steps."""
    texts = write(results)
    for heading, steps in itertools.groupby(texts, key=lambda step: step[0]):
        print(heading, *map(texts.get, steps), "", sep="\n")
    done, skipped = (sum(result.status == status for result in results) for status in (DONE, SKIPPED))
    if results[-1].step.chapter == "servers" and not is_done(results):
        print("Nothing else can be looked at before that.", flush=True)
    else:
        more = f", {skipped} skipped" if skipped else ""
        print(f"{done} of {len(results) - skipped} steps are done{more}.", flush=True)
    return texts


def watch(chapters: list[str], client) -> None:
    """Print the list once, then whatever changes, until all is done."""
    results = look_at(chapters, client)
    shown = print_list(results)
    while not is_done(results):
        time.sleep(PAUSE)
        results = look_at(chapters, client)
        texts = write(results)
        if changed := [text for step, text in texts.items() if shown.get(step) != text]:
            print("\n".join(["", time.strftime("%H:%M:%S"), *changed]), flush=True)
        shown |= texts
    print("\nAll steps are done.")


def prepare() -> None:
    """Say where the server is, if nobody has, and keep MLflow quick and quiet; to be called before it is imported."""
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"http://{HOST}:{os.environ.get('MLFLOW_PORT', '5000')}")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    warnings.filterwarnings("ignore", "Failure attempting to register artifact repository")  # the first step says it


def main() -> int:
    """Check the chapters that are asked for, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python workshop.py check", description=__doc__.splitlines()[0])
    parser.add_argument(
        "chapter", nargs="?", choices=CHAPTERS, metavar="CHAPTER", help=f"{', '.join(CHAPTERS)} (default: all of them)"
    )
    parser.add_argument("--watch", action="store_true", help="look again and again, until all is done or Ctrl-C")
    options = parser.parse_args()
    chapters = [options.chapter] if options.chapter else list(CHAPTERS)
    told = "MLFLOW_TRACKING_URI" in os.environ
    try:
        prepare()
        from mlflow import MlflowClient  # takes seconds, in which Ctrl-C has to work too

        if options.watch:
            watch(chapters, MlflowClient())
            return 0
        results = look_at(chapters, MlflowClient())
    except KeyboardInterrupt:
        print()
        return 0 if options.watch else 130
    print_list(results)
    if not told:
        print(f"\nThis terminal does not say where the servers are: {os.environ['MLFLOW_TRACKING_URI']} was checked.")
        print('For other commands, set MLFLOW_TRACKING_URI as the README does in "The servers by hand".')
    return 0 if is_done(results) else 1


if __name__ == "__main__":
    sys.exit(main())
