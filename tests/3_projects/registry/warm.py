"""A process that has imported MLflow and the registry project, and forks a child for each task that it reads.

It reads and answers lines of JSON. {"call": "approve.decide", "arguments": [...], "setup": "Python to run before",
"output": "FILE"} is answered with the child's pid, {"wait": PID} with how that child has ended.
"""

import importlib
import json
import os
import sys
import traceback


def run(task: dict) -> int:
    """Do a task in the child, and return its exit status: 1 for what the program refuses."""
    from command import Refused

    output = os.open(task["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        exec(task["setup"], {})
        module, name = task["call"].split(".")
        print(getattr(importlib.import_module(module), name)(*task["arguments"]), flush=True)
    except Refused as error:
        print(f"refused: {error}", flush=True)
        return 1
    except SystemExit as error:
        print(error, flush=True)
        return 1 if error.code else 0
    except BaseException:
        traceback.print_exc()
        return 2
    return 0


def main() -> None:
    """Import, say so, and fork until the input ends."""
    sys.path.append(sys.argv[1])
    for name in ("mlflow.pyfunc", "approve", "rollback", "promote"):
        importlib.import_module(name)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        if "wait" in task:
            answer = os.waitstatus_to_exitcode(os.waitpid(task["wait"], 0)[1])
        elif (answer := os.fork()) == 0:
            os._exit(run(task))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
