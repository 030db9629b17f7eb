"""What was in production before, and how another version compares with the one that is."""

from datetime import datetime

from dash import html

from dashboard.cards import ERRORS, PROMOTE, shown_as
from dashboard.figures.base import NAMES
from dashboard.parts import empty, facts, number, percent, table
from dashboard.registry import Registry, Version, reigns
from report.production import TARGETS


def history(registry: Registry) -> html.Div:
    """Return what was in production from when to when."""
    found = reigns(registry.ledger)
    now = registry.with_alias("production")
    if not found:
        since = f" Version {now.number}, made on {now.created:%Y-%m-%d %H:%M} UTC, has the alias now." if now else ""
        return empty(
            f"The ledger is empty.{since} The registry's step writes down each promotion from the next one on:", PROMOTE
        )
    rows = []
    if now and found[0].version != now.number:
        rows.append([f"{now.number}", "not in the ledger", "now", "–", "moved outside", "–", "–", "–"])
    for reign in found:
        entry = reign.entry
        maes = [(entry.get("metrics") or {}).get(side, {}) for side in ("from", "to")]
        mae = " → ".join(number((of or {}).get("mae"), 3) for of in maes)
        until = f"{reign.until:%Y-%m-%d %H:%M}" if reign.until else "now"
        rows.append(
            [
                reign.version,
                f"{reign.since:%Y-%m-%d %H:%M}",
                until,
                lasted(reign.since, reign.until),
                entry["action"] + (" (automatic)" if entry.get("auto") else ""),
                entry["by"] or "–",
                mae,
                entry["reason"] or "–",
            ]
        )
    header = ["Version", "From (UTC)", "To (UTC)", "Lasted", "By way of", "Who", "MAE, GW", "Why"]
    return table("From the ledger of the registered model, the newest first", header, rows)


def lasted(since: datetime, until: datetime | None) -> str:
    """Return how long something lasted, in words."""
    if until is None:
        return "–"
    hours = (until - since).total_seconds() / 3600
    if hours < 2:
        return f"{60 * hours:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} d"


def candidate(registry: Registry, asked: str | None) -> tuple[list[dict], str | None, list | html.Div]:
    """Return the versions to compare with production, the chosen one, and what there is to say of it."""
    production = registry.with_alias("production")
    waiting = registry.with_alias("candidate")
    others = [version for version in registry.versions if version is not production]
    if not others:
        return [], None, empty("There is no other version yet. Train a model, and let it be judged:", PROMOTE)
    chosen = next((version for version in others if version.number == asked), waiting or others[0])
    choices = [{"value": other.number, "label": label_of(other)} for other in others]
    said = []
    if waiting is None:
        said.append(html.P("No version waits for approval (none has the alias candidate)."))
    if production is None:
        said.append(html.P("Nothing is in production, so there is nothing to compare with."))
    said.append(compared(production, chosen))
    rules = {key.removeprefix("gate."): text for key, text in sorted(chosen.tags.items()) if key.startswith("gate.")}
    if "gate" in chosen.tags:
        words = {"passed": "✓ passed", "failed": "✗ failed", "off": "off"}.get(chosen.tags["gate"], chosen.tags["gate"])
        said.append(html.P(["The gate: ", html.B(words)]))
    if rules:
        said.append(facts(rules))
    return choices, chosen.number, said


def label_of(version: Version) -> str:
    """Return what stands for a version in the choice."""
    aliases = f", {', '.join(version.aliases)}" if version.aliases else ""
    return f"Version {version.number} ({version.kind}{aliases})"


def compared(production: Version | None, other: Version) -> html.Div:
    """Return the errors on the holdout of two versions side by side, with the difference."""
    ours = production.holdout if production else {}
    rows = []
    for key, name in ERRORS.items():
        for target in TARGETS:
            one, two = ours.get(f"{key}_{target}"), other.holdout.get(f"{key}_{target}")
            if one is None and two is None:
                continue
            show = shown_as(key)
            rows.append([f"{NAMES[target]}, {name}", show(one), show(two), verdict(key, one, two)])
    if not rows:
        return empty("Neither version has errors noted. The registry's step notes them:", PROMOTE)
    same = production and production.tags.get("judged_on") == other.tags.get("judged_on")
    caption = f"Errors on the holdout: {other.tags.get('judged_on', 'not stated')}"
    if production and not same:
        caption += f"; production was judged on {production.tags.get('judged_on', 'something not stated')}"
    header = ["", f"Version {production.number}, production" if production else "Production", f"Version {other.number}"]
    return table(caption, [*header, "It is"], rows, {1, 2})


def verdict(key: str, one: float | None, two: float | None) -> str:
    """Return in words whether the second is better than the first."""
    if one is None or two is None:
        return "–"
    gain = (two - one) if key == "r2" else abs(one) - abs(two)
    if abs(gain) < 0.0005:
        return "the same"
    share = f" by {percent(abs(gain) / abs(one))}" if key in ("mae", "rmse") and one else ""
    return ("▲ better" if gain > 0 else "▼ worse") + share
