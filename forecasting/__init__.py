"""What the parts of the system share: subject, hourly table, production model, ledger, baselines, metrics, commands."""
