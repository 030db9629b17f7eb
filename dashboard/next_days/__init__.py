"""The next days: the weather forecast through the model in production, beside what is measured and published.

fetch.py asks a service, source.py keeps its last good answer, weather.py and power.py read the two services' answers,
outlook.py puts them together, feed.py does all that in the background, drawing.py makes figures and sentences of it.
weather.toml says where the weather is asked for.
"""
