"""What is forecast, as the pages show it: label, unit and colour come from the table's subject."""

from dataclasses import dataclass

from forecasting.subject import Subject

COLOURS = 4  # that assets/figures.js and assets/style.css have for targets; further ones begin again


@dataclass(frozen=True)
class Target:
    """A column that is forecast."""

    name: str  # such as solar_GW
    label: str  # such as Solar
    unit: str  # such as GW
    look: str  # target1, target2 ...: a class in style.css and, after an @, a colour in figures.js

    @property
    def colour(self) -> str:
        """The name of the colour of its lines."""
        return f"@{self.look}"


def targets_of(subject: Subject | None) -> list[Target]:
    """Return the targets of a table, in its order; none as long as no table has been read."""
    if subject is None:
        return []
    return [
        Target(name, subject.label(name), subject.unit(name), f"target{place % COLOURS + 1}")
        for place, name in enumerate(subject.targets)
    ]
