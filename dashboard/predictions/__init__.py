"""The predictions: recorded against predicted values for a range of days, the error, and how good that is."""
