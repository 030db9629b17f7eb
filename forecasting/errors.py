"""The one exception for a user's mistake, and a sentence about a server that fails."""


class UserError(Exception):
    """What a person asked for can't be done. The message is one sentence: what, why, and what to type next."""


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its class if it has none."""
    return next(iter((str(error) or type(error).__name__).splitlines()), "")


def explain(error: Exception) -> str:
    """Return a sentence about an error that MLflow or the operating system has raised."""
    reason = first_line(error).removesuffix(".")
    if getattr(error, "error_code", None) == "INVALID_PARAMETER_VALUE":
        return f"{reason}."
    return (
        f"the tracking server or the artifact store returned an error: {reason}. Check that both servers run, then "
        "type the command again."
    )
