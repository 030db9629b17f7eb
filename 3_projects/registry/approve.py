"""Let the candidate into production, or reject it: a person's word, with a name and a reason.

    mlflow run 3_projects/registry -e approve --env-manager local -P by=Ada -P reason="the winter is better"
    mlflow run 3_projects/registry -e reject --env-manager local -P by=Ada -P reason="trained on a wrong month"

With ``auto=true`` nobody is asked, and the ledger says so.
"""

import argparse
from collections.abc import Sequence

import mlflow
import transitions
from command import Refused, command, person
from lock import lock
from transitions import State

PROMOTE = "mlflow run 3_projects/registry -e promote --env-manager local"


def choose(name: str, state: State, wanted: str) -> str:
    """Return the version that a person means; raises Refused if there is none."""
    if wanted != "candidate":
        if transitions.version_tags(name, wanted) is None:
            raise Refused(f"{name} has no version {wanted}; the candidate is {state.candidate or 'none'}")
        return wanted
    if state.candidate is None:
        raise Refused(f"no version of {name} waits for approval; look for a better one with: {PROMOTE}")
    return state.candidate


def objection(name: str, state: State, version: str, auto: bool) -> str | None:
    """Return why a version may not go into production, None if it may."""
    tags = transitions.version_tags(name, version)
    verdict, against = tags.get("gate"), tags.get("gate.against", "")
    title = f"version {version} of {name}"
    if version == state.production:
        return f"{title} is in production already"
    if verdict not in ("passed", "off"):
        failed = [key for key, text in tags.items() if key.startswith("gate.") and text.startswith("failed")]
        why = "; ".join(f"{key.removeprefix('gate.')}: {tags[key].removeprefix('failed: ')}" for key in sorted(failed))
        return f"{title} has not passed the gate ({why or 'it was never judged'}); judge with: {PROMOTE}"
    if verdict == "off" and auto:
        return f"no rule has judged {title} (the gate was off), so a person has to approve it, with by= and reason="
    if against != (state.production or ""):
        was, now = (f"version {v}" if v else "nothing" for v in (against, state.production))
        return f"{title} was judged against {was}, and {now} is in production now; judge again with: {PROMOTE}"
    return None


def decide(action: str, name: str, wanted: str, by: str | None, reason: str, auto: bool) -> str:
    """Approve or reject a version, and return a sentence about it; raises Refused."""
    before = transitions.mend(name)
    if auto and before.candidate is None and wanted == "candidate":
        stays = f"version {before.production} stays in production" if before.production else "nothing is in production"
        return f"nothing waits for approval; {stays}"
    version = choose(name, before, wanted)
    with lock(name, f"{action} by {by or 'nobody (automatic)'}") as still_held:
        now = transitions.mend_held(name)
        if moved := transitions.moved_meanwhile(name, before, now):
            raise Refused(f"{moved}; nothing of this {action} is done")
        if action == "reject" and version == now.production:
            raise Refused(f"version {version} of {name} is in production; take it out with the entry point rollback")
        if action == "approve" and (why := objection(name, now, version, auto)):
            raise Refused(why)
        entry = transitions.entry(name, now, action, version, by=by, reason=reason, auto=auto)
        transitions.transition(name, now, entry, still_held)
    if action == "reject":
        return f"{name} version {version} is rejected, and promote does not offer it again"
    after = f", after version {now.production}" if now.production else ""
    return f"{name} version {version} is in production now{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Decide about the candidate."""
    parser = argparse.ArgumentParser(description="Let the candidate into production, or reject it.")
    parser.add_argument("action", choices=["approve", "reject"])
    parser.add_argument("--by", default="", help="your name")
    parser.add_argument("--reason", default="", help="why, in a sentence")
    parser.add_argument("--auto", default="false", choices=["true", "false"], help="nobody is asked; default: false")
    parser.add_argument("--version", default="candidate", help="a number, or candidate")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with command(options.action):
        by, reason = person(options.by, options.reason, options.auto == "true")
        sentence = decide(options.action, options.registered_model, options.version, by, reason, options.auto == "true")
        mlflow.set_tag("verdict", sentence)
        print(f"{options.action}: {sentence}")


if __name__ == "__main__":
    main()
