"""The weekly report of the model in production; create_report.py is its command."""
