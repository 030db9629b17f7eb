"""The figures, as plain dictionaries that plotly.js understands: quick to make, small to send, alike for all viewers.

A colour is a name such as ``@solar``; assets/figures.js puts in what stands for it in the light or in the dark theme.
"""
