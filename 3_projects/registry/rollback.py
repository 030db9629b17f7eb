"""Put a former version back into production: a name and a reason are required.

    mlflow run 3_projects/registry -e rollback --env-manager local -P by=Ada -P reason="wrong since Monday"

``former`` is the version before the present one; typed again, it goes one further back. A version that was rolled
back is not offered by ``promote`` again.
"""

import argparse
import tempfile
from collections.abc import Sequence

import mlflow
import transitions
from command import Refused, command, person
from lock import lock
from transitions import State


def choose(name: str, state: State, wanted: str) -> str:
    """Return the version to go back to; raises Refused if there is none, or if it never was in production."""
    reign = state.reign()
    if wanted == "former":
        before = reign if state.production is None else reign[:-1]
        if not before:
            raise Refused(
                f"no version of {name} was in production before {state.production or 'now'}; nothing to go back to"
            )
        return before[-1]
    were = dict.fromkeys(entry["to"] for entry in state.entries if entry["to"] and entry["action"] != "reject")
    if wanted == state.production:
        raise Refused(f"version {wanted} of {name} is in production already")
    if wanted not in were:
        raise Refused(
            f"version {wanted} of {name} never was in production; expected one of {', '.join(were) or 'none'}. A new "
            "version comes in through the entry points promote and approve"
        )
    return wanted


def check_loads(name: str, version: str, state: State) -> None:
    """Raise Refused unless a version is there and can be loaded."""
    others = [found for found in dict.fromkeys(reversed(state.reign())) if found not in (version, state.production)]
    advice = f"name another one that was in production, with version=NUMBER ({', '.join(others) or 'there is none'})"
    if transitions.version_tags(name, version) is None:
        raise Refused(f"version {version} of {name} no longer exists; {advice}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            mlflow.pyfunc.load_model(f"models:/{name}/{version}", dst_path=folder)
    except Exception as error:  # a model is code from outside, and may raise anything
        reason = next(iter((str(error) or type(error).__name__).splitlines()), "")
        raise Refused(f"version {version} of {name} can't be loaded ({reason}); {advice}") from None


def roll_back(name: str, wanted: str, by: str, reason: str) -> str:
    """Put a former version into production, and return a sentence about it; raises Refused."""
    before = transitions.mend(name)
    version = choose(name, before, wanted)
    check_loads(name, version, before)
    with lock(name, f"rollback by {by}") as still_held:
        now = transitions.mend_held(name)
        if moved := transitions.moved_meanwhile(name, before, now):
            raise Refused(f"{moved}; nothing of this rollback is done")
        entry = transitions.entry(name, now, "rollback", version, by=by, reason=reason, auto=False)
        transitions.transition(name, now, entry, still_held)
    after = f", after version {now.production}, which promote does not offer again" if now.production else ""
    return f"{name} version {version} is in production again{after}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Roll back."""
    parser = argparse.ArgumentParser(description="Put a former version back into production.")
    parser.add_argument("--by", default="", help="your name")
    parser.add_argument("--reason", default="", help="why, in a sentence")
    parser.add_argument("--version", default="former", help="a number, or former: the one before the present one")
    parser.add_argument("--registered-model", default="wind_solar", help="default: %(default)s")
    options = parser.parse_args(arguments)
    with command("rollback"):
        by, reason = person(options.by, options.reason)
        sentence = roll_back(options.registered_model, options.version, by, reason)
        mlflow.set_tag("verdict", sentence)
        print(f"rollback: {sentence}")


if __name__ == "__main__":
    main()
