"""The weekly report: it is written, and logged."""

from mlflow import MlflowClient

from server.steps import WORKFLOW, NotYet, runs_in, version_with_alias


def report(client: MlflowClient) -> str:
    """Write the report of a week."""
    for run in runs_in(client, "weekly_report"):
        # The door writes a report too, which shows no more than that `run` was typed.
        if run.info.status == "FINISHED" and run.data.tags.get("made_by") != "workshop.py run":
            for page in client.list_artifacts(run.info.run_id):
                return f"{page.path}, with version {run.data.tags.get('model_version')} of the model"
    version_with_alias(client, "wind_solar", "production", WORKFLOW)
    raise NotYet("No report of yours is logged in the experiment `weekly_report`.", "python report/create_report.py")


STEPS = [report]
