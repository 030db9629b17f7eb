"""The dashboard: what was recorded, what the model in production makes of it, and how good that model is."""
