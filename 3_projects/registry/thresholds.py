"""The thresholds of the gate, as rules.yaml or another file gives them."""

from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecasting.errors import UserError

HERE = Path(__file__).resolve().parent
Mode = Literal["enforce", "dry_run", "off"]
MODES = get_args(Mode)
Month = Annotated[int, Field(ge=1, le=12)]
Baseline = Annotated[str, Field(pattern="^(persistence|climatology|column:.+)$")]


class Thresholds(BaseModel):
    """What a challenger has to achieve; rules.yaml explains each value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smallest_gain: float
    largest_loss: float
    fewest_days: float
    slowest_prediction: float
    targets: dict[str, str] = {}  # with their units; by default the targets of the table
    naive: tuple[Baseline, ...] = ()
    naive_by_more_than_chance: bool = False
    mode: Mode = "enforce"
    lowest: float | None = None
    seasons: dict[str, list[Month]] = {}


def find(value: str) -> Path:
    """Return the file that a parameter names: beside this script, or else from the top of the project."""
    return HERE / value if Path(value).name == value else HERE.parents[1] / value


def load(value: str, mode: str = "rules") -> Thresholds:
    """Return the thresholds of a file, with another mode if one is given; raises UserError that names what is wrong."""
    path = find(value)
    try:
        content = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"expected a file of rules at {path}, such as rules.yaml; found: {reason}") from None
    given = {name: part for name, part in content.items() if part is not None}
    if mode != "rules" or given.get("mode") is False:
        given["mode"] = "off" if mode == "rules" else mode  # YAML reads a bare off as false
    try:
        return Thresholds.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        value = "" if first["type"] in ("missing", "extra_forbidden") else f", found {first['input']!r}"
        raise UserError(f"{path}: {place}: {first['msg']}{value}; see rules.yaml") from None
