"""What was in production before, and how another version compares with the one in production."""

from dash import html

from dashboard.components import duration, empty, name_value_list, number, table
from dashboard.model.errors import VALIDATE, errors_table
from dashboard.registry import Registry, Version
from dashboard.targets import Target


def history(registry: Registry) -> list:
    """Return what was in production from when to when, below what is wrong with the ledger, if anything."""
    notice = html.P(registry.notice and f"{registry.notice[:1].upper()}{registry.notice[1:]}.", className="caution")
    tenures, now = registry.ledger.tenures()[::-1], registry.production
    if not tenures:
        since = f" Version {now.number}, made on {now.created:%Y-%m-%d %H:%M} UTC, has the alias now." if now else ""
        return [notice, empty(f"The ledger is empty.{since} Each approval is entered when it is made:", VALIDATE)]
    rows = []
    for tenure in tenures:
        entry = tenure.entry
        maes = " → ".join(number((entry.metrics.get(side) or {}).get("mae"), 3) for side in ("from", "to"))
        end = "now" if now and tenure.version == now.number else "not in the ledger"
        rows.append(
            [
                tenure.version,
                html.Time(f"{tenure.since:%Y-%m-%d %H:%M}"),
                html.Time(f"{tenure.until:%Y-%m-%d %H:%M}") if tenure.until else end,
                duration(tenure.since, tenure.until),
                entry.action + (" (automatic)" if entry.auto else ""),
                entry.by or "–",
                maes,
                entry.reason or "–",
            ]
        )
    header = ["Version", "From (UTC)", "To (UTC)", "Lasted", "By way of", "Who", "MAE", "Why"]
    return [notice, table("From the ledger of the registered model, the newest first", header, rows)]


def comparison(registry: Registry, targets: list[Target], asked: str | None) -> tuple[list[dict], str | None, list]:
    """Return the versions to compare with production, the chosen one, and its comparison."""
    production = registry.production
    waiting = registry.version(registry.ledger.candidate)
    others = [version for version in registry.versions if version is not production]
    if not others:
        return [], None, [empty("There is no other version yet. Train a model, then have it validated:", VALIDATE)]
    chosen = next((version for version in others if version.number == asked), waiting or others[0])
    choices = [{"value": other.number, "label": label_of(other)} for other in others]
    parts = []
    if asked and asked != chosen.number:
        parts.append(html.P(f"There is no version {asked[:40]} to compare with production."))
    if waiting is None:
        parts.append(html.P("No version waits for approval (none has the alias candidate)."))
    if production is None:
        parts.append(html.P("Nothing is in production, so there is nothing to compare with."))
    judged = [version for version in (production, chosen) if version]
    columns = {f"Version {each.number}{', production' if each is production else ''}": each.holdout for each in judged}
    judged_on = [f"version {each.number} on {each.tags.get('judged_on', 'hours not stated')}" for each in judged]
    caption = f"Errors on the holdout: {'; '.join(judged_on)}"
    parts.append(errors_table(caption, columns, targets, compare=production is not None))
    rules = {key.removeprefix("gate."): text for key, text in sorted(chosen.tags.items()) if key.startswith("gate.")}
    if "gate" in chosen.tags:
        words = {"passed": "✓ passed", "failed": "✗ failed"}.get(chosen.tags["gate"], chosen.tags["gate"])
        parts.append(html.P(["The gate: ", html.B(words)]))
    if rules:
        parts.append(name_value_list(rules))
    return choices, chosen.number, parts


def label_of(version: Version) -> str:
    """Return the text of a version in the choice."""
    aliases = f", {', '.join(version.aliases)}" if version.aliases else ""
    return f"Version {version.number} ({version.project}{aliases})"
