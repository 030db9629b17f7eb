"""Give a program a login on the MLflow server, or the password that it has now.

    python make_login.py workbench

The password comes from LOGIN_PASSWORD; the administrator's login from MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD. People get theirs as TEAM.md says.
"""

import os
import sys

import mlflow
from mlflow.exceptions import MlflowException


def make_login(name: str, password: str) -> str:
    """Make the login, or set its password, and return a sentence about it; raises MlflowException."""
    from mlflow.server import get_app_client  # takes seconds, for which a wrong command line need not wait

    client = get_app_client("basic-auth", mlflow.get_tracking_uri())
    try:
        client.get_user(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_user(name, password)
        return f"{name} has a login now"
    client.update_user_password(name, password)
    return f"{name} had a login, and has this password now"


def main() -> None:
    """Make the login that the command line names."""
    password = os.environ.get("LOGIN_PASSWORD", "")
    if len(sys.argv) != 2 or not password:
        sys.exit("make_login: expected one name, and its password in the variable LOGIN_PASSWORD")
    try:
        print(f"make_login: {make_login(sys.argv[1], password)}")
    except MlflowException as error:
        sys.exit(f"make_login: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    main()
