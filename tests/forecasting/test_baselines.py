import numpy as np
import pandas as pd

from forecasting.baselines import climatology, persistence


def table(start: str, end: str, holdout: str, freq: str = "h") -> pd.DataFrame:
    index = pd.date_range(start, end, freq=freq, tz="UTC", inclusive="left")
    power = np.random.default_rng(0).uniform(0, 10, len(index))
    split = np.where(index >= pd.Timestamp(holdout, tz="UTC"), "holdout", "train")
    return pd.DataFrame({"power": power, "split": split}, index)


def test_persistence_is_the_same_hour_of_the_day_before():
    frame = table("2015-01-01", "2015-01-10", "2015-01-08")
    forecast = persistence(frame, ["power"])["power"]
    assert forecast[:24].isna().all()
    assert (forecast[24:].to_numpy() == frame["power"][:-24].to_numpy()).all()


def test_the_monday_of_a_market_takes_its_friday():
    frame = table("2015-01-01", "2015-01-20", "2015-01-10", freq="B")
    monday = pd.Timestamp("2015-01-12", tz="UTC")
    assert persistence(frame, ["power"]).loc[monday, "power"] == frame.loc[monday - pd.Timedelta(days=3), "power"]


def test_climatology_is_the_mean_of_that_month_and_hour_in_the_years_before():
    frame = table("2013-01-01", "2016-01-01", "2015-01-01")
    forecast = climatology(frame, ["power"])["power"]
    assert forecast["2013"].isna().all()
    for hour, years in (("2014-07-27 13:00", [2013]), ("2015-07-27 13:00", [2013, 2014])):
        past = frame[(frame.index.month == 7) & (frame.index.hour == 13) & frame.index.year.isin(years)]
        assert np.isclose(forecast[pd.Timestamp(hour, tz="UTC")], past["power"].mean())


def test_a_month_that_the_past_lacks_has_the_mean_of_the_hour_and_a_short_table_the_hours_before_the_holdout():
    frame = table("2015-01-01", "2015-03-01", "2015-02-01")
    forecast = climatology(frame, ["power"])["power"]
    assert forecast["2015-01"].isna().all()
    january, february = frame.loc["2015-01"], forecast["2015-02"]
    at_three = january.loc[january.index.hour == 3, "power"].mean()
    assert np.allclose(february[february.index.hour == 3], at_three)
