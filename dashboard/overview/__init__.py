"""The overview: last hour, week and year against former years, the weeks of every year, records, and the data."""
