"""How long the weekly report takes, one week and a backlog, and how often verdicts and odd inputs occur.

    python benchmarks/report.py
    python benchmarks/report.py --data CSV

It starts both servers with an empty state, trains linear regression and random forest, and types the report's command.
Ratios are to a program that only loads the hourly table from the artifact store, which no report can do without.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from harness import ROOT, SAMPLE, call, empty_servers, median, options, print_ratios, put_into_production, take_turns


def main() -> None:
    """Start, train, measure."""
    chosen = options(__doc__.splitlines()[0], rounds=3, data=(str(SAMPLE), "the CSV"))
    report, said = [sys.executable, ROOT / "report" / "create_report.py", "--output"], []
    with empty_servers() as state:
        put_into_production(Path(ROOT, chosen.data), "lr", "rf")
        output = state / "reports"
        contenders = {
            "loading the hourly table": lambda: call(
                sys.executable, "-c", "from forecasting.table import HourlyTable; HourlyTable.newest()"
            ),
            "one week": lambda: call(*report, output),
            "one week, --no-log": lambda: call(*report, output, "--no-log"),
            "every week, --no-log": lambda: said.append(call(*report, output, "--no-log", "--all")),
        }
        taken = take_turns(chosen.rounds, contenders)
        pages = [path.read_text(encoding="utf-8") for path in output.glob("*.html")]
    print_ratios(taken)
    verdicts = re.findall(r"^report: \[\d+/\d+\] \S+: (.*)$", said[-1], re.MULTILINE)
    seconds = median(taken["every week, --no-log"]).seconds - median(taken["one week, --no-log"]).seconds
    print(f"one more week of a backlog of {len(verdicts)}: {seconds / max(1, len(verdicts) - 1):.2f} s")
    print("verdicts:", ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).most_common()))
    unseen = [page for page in pages if "The model has learnt from" not in page]
    for words in ("Unusual input", "New input"):
        print(f"{words}: {sum(words in page for page in unseen)} of {len(unseen)} weeks that are new to the model")


if __name__ == "__main__":
    main()
