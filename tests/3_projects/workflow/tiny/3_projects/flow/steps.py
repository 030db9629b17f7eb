"""A list of steps as another workflow would bring it: source -> left, right -> last."""

import argparse
import os
from pathlib import Path

from cache import Step

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--word", default="a", help="a parameter of left")


def decided() -> dict[str, str]:
    path = Path(os.environ["ORDERS"]) / "decision"
    return {"the decision": path.read_text() if path.exists() else "none"}


def list_steps(options: argparse.Namespace) -> dict[str, Step]:
    def step(name: str, **more) -> Step:
        return Step("work", "work", **{"parameters": {"name": name}, **more})

    before_last = [path.read_text() for path in Path(os.environ["ORDERS"]).glob("before last")]
    return {
        "source": step("source", files=(PROJECT_ROOT / "input.txt",), result="made"),
        "left": step("left", parameters={"name": "left", "word": options.word}, runs={"inputs": ("source",)}),
        "right": step("right", runs={"inputs": ("source",)}),
        "last": step("last", runs={"inputs": ("left", "right")}, after=tuple(before_last), state=decided),
    }
