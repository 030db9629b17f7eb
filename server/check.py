"""Say step by step what is done and what is not yet, and for what is not what to do next.

    python workshop.py check
    python workshop.py check exercise
    python workshop.py check exercise --watch

It looks at the learner's own servers, those that MLFLOW_TRACKING_URI names, and remembers nothing. The steps of a
chapter are in that chapter's folder, in `checks.py`. The exit status is 0 if all steps are done, 1 if not.
"""

import argparse
import functools
import importlib.util
import os
import shutil
import sys
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from servers import HOST

ROOT = Path(__file__).resolve().parents[1]
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

    ``ending`` is what the last step of a chapter says when all of that chapter is done.
    """

    chapter: str
    title: str
    look: Callable
    ending: str = ""


@dataclass(frozen=True)
class Found:
    """How a step stands: a status, what is said about it, a line to type, and whether it was done wrong."""

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
        # All of these files have the same name, so none can be imported by it.
        spec = importlib.util.spec_from_file_location(f"checks of {folder}", ROOT / folder / "checks.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        steps += [Step(chapter, look.__doc__.splitlines()[0].removesuffix("."), look) for look in module.STEPS]
        ending = getattr(module, "ENDING", ending)
    return [*steps[:-1], replace(steps[-1], ending=ending)]


def look(step: Step, client) -> Found:
    """Return how a step stands now."""
    from mlflow.exceptions import MlflowException
    from steps import NotYet, Skipped, Wrong

    try:
        return Found(step, DONE, step.look(client) or "")
    except Skipped as reason:
        return Found(step, SKIPPED, str(reason))
    except NotYet as error:
        return Found(step, NOT_YET, error.hint, error.line, isinstance(error, Wrong))
    except MlflowException as error:
        return Found(step, NOT_YET, f"MLflow could not be asked: {error.message.splitlines()[0]}", wrong=True)


def look_at(chapters: list[str], client) -> list[Found]:
    """Return how each step stands; the servers come first, and where they are away there is nothing else to see."""
    found = []
    for step in load("servers"):
        found.append(look(step, client))
        if found[-1].status != DONE:
            return found
    found *= "servers" in chapters
    return found + [look(step, client) for chapter in chapters if chapter != "servers" for step in load(chapter)]


def is_done(found: list[Found]) -> bool:
    """Return whether nothing is left to do."""
    return all(one.status != NOT_YET for one in found)


def write(found: list[Found]) -> dict[tuple[str, str], str]:
    """Return the text of each step, by chapter and title.

    A hint stands at all that is wrong, and at the first step of a chapter that nobody has done. The others are likely
    to wait for that one.
    """
    width = min(shutil.get_terminal_size().columns, 110) - 1
    indent = " " * 15
    texts, told, begun, numbers = {}, set(), set(), Counter()
    for one in found:
        chapter, title = one.step.chapter, one.step.title
        numbers[chapter] += 1
        colon = f": {one.text}" if one.text and one.status != NOT_YET else ""
        begin = f"  {one.status:9}{numbers[chapter]:2}. "
        lines = [
            textwrap.fill(title + colon, width, initial_indent=begin, subsequent_indent=indent, break_on_hyphens=False)
        ]
        if one.status == NOT_YET:
            if (one.wrong or chapter not in begun) and (one.text, one.line) not in told:
                lines.append(
                    textwrap.fill(
                        one.text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
                    )
                )
                lines += [f"{indent}    {line}" for line in one.line.splitlines()]  # not wrapped, so it can be copied
                told.add((one.text, one.line))
            begun.add(chapter)
        elif one.step.ending and chapter not in begun:
            lines.append(textwrap.indent(textwrap.fill(one.step.ending, width - 2), "  "))
        texts[chapter, title] = "\n".join(lines)
    return texts


def print_list(found: list[Found]) -> None:
    """Print all steps under the headings of their chapters, and how many are done."""
    texts = write(found)
    for chapter in dict.fromkeys(one.step.chapter for one in found):
        print(CHAPTERS[chapter][0])
        print("\n".join(text for (of, _), text in texts.items() if of == chapter))
        print()
    done, skipped = (sum(one.status == status for one in found) for status in (DONE, SKIPPED))
    if found[-1].step.chapter == "servers" and not is_done(found):
        print("Nothing else can be looked at before that.", flush=True)
    else:
        more = f", {skipped} skipped" if skipped else ""
        print(f"{done} of {len(found) - skipped} steps are done{more}.", flush=True)


def watch(chapters: list[str], client) -> None:
    """Print the list once, then whatever changes, until all is done."""
    found = look_at(chapters, client)
    print_list(found)
    shown = write(found)
    while not is_done(found):
        time.sleep(PAUSE)
        found = look_at(chapters, client)
        texts = write(found)
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
        found = look_at(chapters, MlflowClient())
        print_list(found)
        if not told:
            uri = os.environ["MLFLOW_TRACKING_URI"]
            print(f"\nThis terminal does not say where the servers are, so this looked at {uri}.")
            print('For other commands, set MLFLOW_TRACKING_URI as the README does in "The servers by hand".')
        return 0 if is_done(found) else 1
    except KeyboardInterrupt:
        print()
        return 0 if options.watch else 130


if __name__ == "__main__":
    sys.exit(main())
