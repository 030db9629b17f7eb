"""Run weekly_report.ipynb and keep what it shows as one page, weekly_report.html beside it.

    python 1_starting_point/report/create_report.py

Part of chapter 1, the chaos on purpose: it works, and README.md one folder up says what is wrong with it.
The page holds everything that it shows, so it opens without a network.
"""

from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter

HERE = Path(__file__).resolve().parent
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Weekly report</title>
<style>
body {{ font-family: sans-serif; line-height: 1.5; max-width: 960px; margin: 2rem auto; padding: 0 1rem }}
img {{ max-width: 100% }}
table {{ border-collapse: collapse; border: none }}
th, td {{ padding: 0.3rem 1rem; text-align: right; border: none; border-bottom: 1px solid #ccc }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def main() -> None:
    """Run the notebook from its own folder, since it looks for ../germany.csv there."""
    notebook = nbformat.read(HERE / "weekly_report.ipynb", as_version=4)
    client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(HERE)}})
    client.execute(transport_encryption="auto")  # or the kernel warns that what it says can be listened to
    notebook.cells = [cell for cell in notebook.cells if "not-in-report" not in cell.metadata.get("tags", [])]
    # The basic template gives the bare content; those of whole pages load scripts from the network.
    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)
    exporter.exclude_anchor_links = True
    body, _ = exporter.from_notebook_node(notebook)
    page = HERE / "weekly_report.html"
    page.write_text(PAGE.format(body=body), encoding="utf-8")
    print(f"Written: {page}")


if __name__ == "__main__":
    main()
