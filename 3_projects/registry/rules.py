"""The rules of the gate, read from a small YAML file."""

from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml
from command import Refused

HERE = Path(__file__).resolve().parent
MODES = ("enforce", "dry_run", "off")


@dataclass(frozen=True)
class Rules:
    """What a candidate has to show; rules.yaml says what each means."""

    targets: dict[str, str]
    smallest_gain: float
    largest_loss: float
    fewest_days: float
    slowest_prediction: float
    naive: tuple[str, ...] = ()
    naive_by_more_than_chance: bool = False
    mode: str = "enforce"
    lowest: float | None = None
    seasons: dict[str, list[int]] = field(default_factory=dict)


def find(value: str) -> Path:
    """Return the file that a parameter names: beside this script, or else from the top of the project."""
    return HERE / value if Path(value).name == value else HERE.parents[1] / value


def load(value: str, mode: str = "") -> Rules:
    """Return the rules of a file, with another mode if one is given; raises Refused with what is wrong in it."""
    path = find(value)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused(f"expected a file of rules at {path}, found none ({error.strerror}); see rules.yaml") from None
    except yaml.YAMLError as error:
        raise Refused(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    known = [part.name for part in fields(Rules)]
    if not isinstance(content, dict):
        raise Refused(f"{path}: expected rules by name, such as smallest_gain: 0.01; see rules.yaml")
    content |= {"mode": mode or content.get("mode", "enforce")}
    if content["mode"] is False:
        content["mode"] = "off"  # YAML reads a bare off as false
    if unknown := sorted(content.keys() - set(known)):
        raise Refused(f"{path}: {unknown[0]} is no rule; expected {', '.join(known)}")
    content |= {"naive": tuple(content.get("naive") or ()), "seasons": content.get("seasons") or {}}
    if absent := [
        part.name for part in fields(Rules) if part.default is part.default_factory and part.name not in content
    ]:
        raise Refused(f"{path}: expected {absent[0]}, found none; see rules.yaml")
    rules = Rules(**content)
    if problem := wrong(rules):
        raise Refused(f"{path}: {problem}")
    return rules


def wrong(rules: Rules) -> str | None:
    """Return what is wrong with the values of the rules, None if nothing is."""
    if rules.mode not in MODES:
        return f"expected the mode {', '.join(MODES[:-1])} or {MODES[-1]}, found {rules.mode}"
    if not isinstance(rules.targets, dict) or not rules.targets:
        return "expected targets with their units, such as solar_GW: GW"
    for name in ("smallest_gain", "largest_loss", "fewest_days", "slowest_prediction", "lowest"):
        value = getattr(rules, name)
        if not isinstance(value, int | float) and not (name == "lowest" and value is None):
            return f"expected a number for {name}, found {value}"
    for name in rules.naive:
        if name not in ("persistence", "climatology") and not str(name).startswith("column:"):
            return f"expected persistence, climatology or column:NAME as a naive forecast, found {name}"
    if not isinstance(rules.naive_by_more_than_chance, bool):
        return f"expected true or false for naive_by_more_than_chance, found {rules.naive_by_more_than_chance}"
    if not isinstance(rules.seasons, dict):
        return "expected seasons as lists of months, such as winter: [12, 1, 2]"
    for name, months in rules.seasons.items():
        if not isinstance(months, list) or not set(months) <= set(range(1, 13)):
            return f"expected months from 1 to 12 for the season {name}, found {months}"
    return None
