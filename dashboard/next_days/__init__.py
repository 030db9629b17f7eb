"""The next days: the weather forecast through the model in production, beside what is measured and published.

answers.py asks a service, source.py keeps its last answer, weather.py and power.py read the two services' answers,
outlook.py puts them together, feed.py does all that in the background. page.py shows it with content.py and figures.py.
"""
