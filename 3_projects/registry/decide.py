"""Approve, reject or roll back a version: a person's decision, with a name and a reason.

    mlflow run 3_projects/registry -e approve --env-manager local -P by=Ada -P reason="the winter is better"
    mlflow run 3_projects/registry -e reject --env-manager local -P by=Ada -P reason="trained on a wrong month"
    mlflow run 3_projects/registry -e rollback --env-manager local -P by=Ada -P reason="wrong since Monday"

Without a version, the candidate is approved or rejected. With ``auto=true`` nobody is asked, and the ledger says so.
A rollback goes to the version before the present one; typed again, it goes one further back.
"""

import argparse
import tempfile
from collections.abc import Sequence

import mlflow
from decisions import check_unmoved, new_entry, put_into_production, read_ledger, sent_away, tags_of

from forecasting import ledger
from forecasting.entry_point import command, next_command
from forecasting.errors import UserError, first_line
from forecasting.ledger import Ledger
from forecasting.production import REGISTERED_MODEL


def person(by: str, reason: str, auto: bool) -> tuple[str | None, str]:
    """Return who decides and why; raises UserError if a person does not say both, or too much for the ledger."""
    by, reason = ("" if text == "none" else " ".join(text.split()) for text in (by, reason))
    if auto:
        return by or None, reason or "automatic"
    for what, text, longest in (("your name: by=NAME", by, 100), ("a reason: reason=TEXT", reason, 1000)):
        if not 1 <= len(text) <= longest:
            raise UserError(
                f"expected {what} (1 to {longest} characters), found {len(text)}; the ledger keeps who decided, and "
                "why. Nothing has changed"
            )
    return by, reason


def waiting(history: Ledger, wanted: str) -> str:
    """Return the version to approve or reject; raises UserError if there is none."""
    if wanted == "none":
        if history.candidate is None:
            validate = next_command("registry -e validate", history.name)
            raise UserError(f"no version of {history.name} waits for approval; look for a better one with: {validate}")
        return history.candidate
    if tags_of(history.name, wanted) is None:
        raise UserError(f"{history.name} has no version {wanted}; the candidate is {history.candidate or 'missing'}")
    return wanted


def former(history: Ledger, wanted: str) -> str:
    """Return the version to go back to; raises UserError if there is none, or if it can't be used any more."""
    name, versions = history.name, history.versions_to_go_back_to()
    if wanted == "none" and not versions:
        now = history.production or "now"
        raise UserError(f"no version of {name} was in production before {now}; there is nothing to go back to")
    version = versions[-1] if wanted == "none" else wanted
    were = dict.fromkeys(entry.to_version for entry in history.moves if entry.to_version)
    if version == history.production:
        raise UserError(f"version {version} of {name} is in production already")
    if version not in were:
        raise UserError(
            f"version {version} of {name} never was in production; expected {' or '.join(were) or 'no version at all'}."
            " A new version comes in through the entry points validate and approve"
        )
    try:
        with tempfile.TemporaryDirectory() as folder:
            mlflow.pyfunc.load_model(f"models:/{name}/{version}", dst_path=folder)
    except Exception as error:  # a model is code from outside, and may raise anything
        others = ", ".join(other for other in were if other not in (version, history.production)) or "there is none"
        raise UserError(
            f"version {version} of {name} can't be loaded ({first_line(error)}); name another one that was in "
            f"production, with version=NUMBER ({others})"
        ) from None
    return version


def objection(history: Ledger, version: str, auto: bool, named: bool) -> str | None:
    """Return why a version may not go into production; None if it may. ``named`` is whether a person named it."""
    tags = tags_of(history.name, version) or {}
    verdict, against = tags.get("gate"), tags.get("gate.against", "")
    title, validate = f"version {version} of {history.name}", next_command("registry -e validate", history.name)
    if version == history.production:
        return f"{title} is in production already"
    if verdict not in ("passed", "off"):
        failed = [(key, text.removeprefix("failed: ")) for key, text in tags.items() if text.startswith("failed: ")]
        why = "; ".join(f"{key.removeprefix('gate.')}: {text}" for key, text in sorted(failed))
        return f"{title} has not passed the gate ({why or 'it was never judged'}); judge with: {validate}"
    if verdict == "off" and auto:
        return f"no rule has judged {title} (the gate was off), so a person has to approve it, with by= and reason="
    if against != (history.production or ""):
        was, now = (f"version {v}" if v else "nothing" for v in (against, history.production))
        return f"{title} was judged against {was}, and {now} is in production now; judge again with: {validate}"
    if not named and (decision := sent_away(history, version, tags)):
        return f"{title} was sent away by {decision.title}; to approve it all the same, name it with version={version}"
    return None


def decide(action: str, name: str, wanted: str, by: str | None, reason: str, auto: bool = False) -> str:
    """Approve, reject or roll back, and return a sentence about it; raises UserError."""
    history = read_ledger(name)
    before = history.production
    if auto and wanted == "none" and history.candidate is None:
        stays = f"version {before} stays in production" if before else "nothing is in production"
        return f"nothing waits for approval; {stays}"
    version = former(history, wanted) if action == "rollback" else waiting(history, wanted)
    if action == "approve" and (why := objection(history, version, auto, named=wanted != "none")):
        raise UserError(why)
    if action == "reject" and version == before:
        raise UserError(f"version {version} of {name} is in production; take it out with the entry point rollback")

    start, end = (version, None) if action == "reject" else (before, version)
    entry = new_entry(history, action, start, end, by, reason, auto)
    check_unmoved(history, f"nothing of this {action} is done")
    after = f", after version {before}" if before else ""
    if action == "reject":
        ledger.write(name, entry)
        sentence = "is rejected, and validate does not offer it again"
    else:
        put_into_production(history, entry)
        again = f"again{after}, which validate does not offer again" if before else "again"
        sentence = f"is in production {f'now{after}' if action == 'approve' else again}"
    if version == history.candidate:
        mlflow.MlflowClient().delete_registered_model_alias(name, ledger.CANDIDATE)
    return f"{name} version {version} {sentence}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Decide."""
    parser = argparse.ArgumentParser(description="Approve or reject the candidate, or go back to a former version.")
    parser.add_argument("action", choices=["approve", "reject", "rollback"])
    parser.add_argument("--by", default="none", help="your name")
    parser.add_argument("--reason", default="none", help="why, in a sentence")
    parser.add_argument("--auto", default="false", choices=["true", "false"], help="nobody is asked; default: false")
    parser.add_argument("--version", default="none", help="a number; default: the candidate, or the former version")
    parser.add_argument("--registered-model", default=REGISTERED_MODEL, help="default: %(default)s")
    with command("registry", parser, arguments) as options:
        auto = options.action == "approve" and options.auto == "true"
        by, reason = person(options.by, options.reason, auto)
        sentence = decide(options.action, options.registered_model, options.version, by, reason, auto)
        mlflow.set_tags({"verdict": sentence, "mlflow.note.content": sentence})
        print(f"{options.action}: {sentence}")


if __name__ == "__main__":
    main()
