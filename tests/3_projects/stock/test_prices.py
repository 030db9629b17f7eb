"""What ingest takes, repairs and refuses; the sentence names the file, the place, and what to do."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from stock_series import load, rows

ingest = load("ingest")


def refused(call, *arguments, **more) -> str:
    """Return the sentence with which a call is refused."""
    with pytest.raises(ingest.UserError) as caught:
        call(*arguments, **more)
    return str(caught.value)


def test_a_good_file_becomes_sorted_trading_days_at_midnight_utc(fetch):
    prices, repairs, note = fetch(rows())
    assert list(prices.columns) == ["open", "high", "low", "close"]
    assert prices.index.name == "date"
    assert str(prices.index.tz) == "UTC"
    assert (prices.index == prices.index.normalize()).all()
    assert prices.index.is_monotonic_increasing
    assert prices.index.is_unique
    assert set(repairs.values()) == {0}
    assert note.startswith("not adjusted: the source has no adj_close")


def test_the_four_prices_are_adjusted_for_splits_and_dividends(fetch):
    raw = rows()
    raw["Adj Close"] = raw["close"] * np.where(raw.index < 70, 0.25, 0.5)  # a split of two for one
    prices, _, note = fetch(raw)
    assert note.startswith("adjusted for splits and dividends")
    for name in ("open", "high", "low", "close"):
        assert prices[name].iloc[69] == pytest.approx(raw[name][69] * 0.25)
        assert prices[name].iloc[70] == pytest.approx(raw[name][70] * 0.5)
    raw["Adj Close"] = 12.34  # no rise between two such days, not even in the last digit
    assert fetch(raw)[0]["close"].unique() == [12.34]


def test_of_yahoo_the_price_of_today_is_never_asked_for():
    sources = load("sources")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    for end in ("last", "2999-01-01", datetime.now(UTC).date().isoformat()):
        assert sources.last_day("yahoo", end) == yesterday
    assert sources.last_day("yahoo", "2020-01-01") == "2020-01-01"
    assert sources.last_day("sample", "2999-01-01") == "2999-01-01"


def test_prices_that_are_not_adjusted_name_the_day_that_looks_like_a_split(fetch):
    raw = rows()
    raw.loc[70:, ["open", "high", "low", "close"]] /= 2
    assert "The change of 5" in fetch(raw)[2]
    assert f"on {raw['date'][70]} may be a split" in fetch(raw)[2]


def test_days_out_of_order_rows_that_stand_twice_and_rows_without_a_price_are_repaired_and_counted(fetch):
    good = rows()
    empty = pd.DataFrame({"date": ["2020-03-07"]})
    spoilt = pd.concat([good.iloc[100:], good.iloc[:100], good.iloc[[5, 5, 7]], empty])
    prices, repairs, _ = fetch(spoilt)
    pd.testing.assert_frame_equal(prices, fetch(good)[0])
    counts = {"days out of order": 2, "rows that appeared twice": 3, "rows without a price": 1, "decimal commas": 0}
    assert repairs == counts


def test_some_differences_are_harmless(fetch):
    raw = rows()
    for changed in (
        raw.assign(ticker="X"),
        raw.rename(columns={"date": "Date", "close": " Close", "volume": "VOLUME"}),
        raw.drop(columns="volume"),
        raw.assign(date=raw["date"] + " 16:00:00"),
    ):
        pd.testing.assert_frame_equal(fetch(changed)[0], fetch(raw)[0])


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (["Datum", "Erster", "Hoch", "Tief", "Schlusskurs", "Stuecke"], "{:,.2f}"),  # points between thousands
        (["Datum", "Eröffnung", "Tageshoch", "Tagestief", "Schluss", "Volumen"], "{:.2f}"),
        (["Datum", "Eröffn.", "Hoch", "Tief", "Zuletzt", "Vol."], "{:.2f}"),
    ],
)
def test_a_german_file_with_semicolons_decimal_commas_and_dates_is_read_and_counted(fetch, names, form):
    plain = rows(closes=np.round(1500 + 900 * np.sin(np.arange(150) / 9), 2)).assign(volume=1_234_567)
    german = plain.assign(date=pd.to_datetime(plain["date"]).dt.strftime("%d.%m.%Y")).set_axis(names, axis=1)
    swapped = str.maketrans(",.", ".,")
    for name in names[1:5]:
        german[name] = german[name].map(lambda price: form.format(price).translate(swapped))
    prices, repairs, _ = fetch(german.to_csv(sep=";", index=False))
    pd.testing.assert_frame_equal(prices, fetch(plain.round(2))[0])
    assert repairs["decimal commas"] == 4 * 150


def test_only_the_days_that_were_asked_for_are_kept(fetch):
    prices, _, _ = fetch(rows(), start="2020-01-03", end="2020-06-30")
    assert (str(prices.index[0])[:10], str(prices.index[-1])[:10]) == ("2020-01-03", "2020-06-30")
    assert "found 10 from 2020-01-06" in refused(fetch, rows(), start="2020-01-06", end="2020-01-17")


def put(column: str, value: object) -> pd.DataFrame:
    """Return rows of which the one in line 7 has another value in a column."""
    raw = rows().astype({column: object})
    raw.loc[5, column] = value
    return raw


def thousands() -> pd.DataFrame:
    """Return prices whose commas may mark thousands or decimals."""
    raw = rows(closes=np.arange(150) + 1500.0)
    return raw.assign(**{name: raw[name].map("{:,.0f}".format) for name in ("open", "high", "low", "close")})


PRICE = "of 2020-01-08 (row 7): expected a price above 0 and up to 10000000, such as 1234.5, found"
COLUMNS = "expected the columns date, open, high, low, close, each once, and adj_close if there is one;"
REFUSED = [
    *((put(*cell), f"{cell[0]} {PRICE} {cell[1]};") for cell in (("open", 0), ("close", -3.5), ("high", "cheap"))),
    *((put(*cell), f"{cell[0]} {PRICE} {cell[1]};") for cell in (("low", "inf"), ("close", 1e9))),
    (put("close", ""), f"close {PRICE} nothing; such values are 1. Correct or delete them."),
    (thousands(), "such as 1234.5, found 1,500; such values are 600. Correct"),
    (
        rows().rename(columns={"high": "low", "low": "high"}),
        "2020-01-01 (row 2): expected a high that is not below the low, found 49 and 51. Are the columns mixed up?",
    ),
    (
        pd.concat([rows(), rows().iloc[[5]].assign(close=50.5)]),
        "expected one row for 2020-01-08, found 2 that differ (close",
    ),
    *(
        (put("date", text), f"row 7: expected a date such as 2013-02-28, found '{text}'. Correct it.")
        for text in ("03/01/2020", "0202-01-06", "9999-12-31", "2020-01-06junk")
    ),
    *(
        (rows().drop(columns=name), f"{COLUMNS} {name} is missing in ")
        for name in ("date", "open", "high", "low", "close")
    ),
    (rows(adj_close=30.0).assign(**{"Adj Close": 30.0}), f"{COLUMNS} adj_close appears twice in"),
    (rows(10), "expected at least 100 days with prices, found 10 from 2020-01-01 to 2020-01-14."),
    ("date;open;high;low;close\n", "expected at least 100 days with prices, found 0"),
    ("date|open|high|low|close\n", "date is missing in date|open|high|low|close. Correct the header."),
    ("", "expected a CSV in UTF-8 with a header and as many values in each line (date, open, high, low, close)"),
    ("date,close\n1,2,3\n", "or source=sample; found: "),
]


@pytest.mark.parametrize(("content", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_cannot_be_used_is_refused_in_a_sentence_that_names_the_file_and_the_place(fetch, content, sentence):
    said = refused(fetch, content)
    assert "prices.csv: " in said
    assert sentence in said


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("1.1.2020", "last", "expected start as a date such as 2010-01-31, or first, found '1.1.2020'"),
        ("first", "now", "expected end as a date such as 2010-01-31, or last, found 'now'"),
        ("1500-01-01", "last", "expected start as a date such as 2010-01-31, or first, found '1500-01-01'"),
        ("first", "9999-12-31", "expected end as a date such as 2010-01-31, or last, found '9999-12-31'"),
        ("2021-01-01", "2020-01-01", "expected a start before the end, found 2021-01-01 and 2020-01-01"),
    ],
)
def test_dates_that_mean_nothing_are_refused(start, end, sentence):
    assert sentence in refused(ingest.fetch, "MSFT", "sample", start, end)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    missing, image = tmp_path / "none.csv", tmp_path / "image.csv"
    image.write_bytes(b"\xff\xd8\xff\xe0\x00")
    for path in (missing, tmp_path, image):
        assert f"{path}: expected a CSV in UTF-8" in refused(ingest.fetch, "X", str(path), "first", "last")
    assert "found: No such file or directory." in refused(ingest.fetch, "X", str(missing), "first", "last")


def test_the_sample_is_there_without_a_network_and_adjusted_and_names_its_symbols():
    prices, repairs, note = ingest.fetch("MSFT", "sample", "first", "last")
    assert (len(prices), str(prices.index[0])[:10], str(prices.index[-1])[:10]) == (3270, "2000-03-01", "2013-03-01")
    assert prices["close"].iloc[0] == pytest.approx(30.225710)
    assert set(repairs.values()) == {0}
    assert note.startswith("adjusted")
    assert prices["close"].pct_change().abs().max() < 0.2, "the split of February 2003 is not in it"
    sentence = refused(ingest.fetch, "NVDA", "sample", "first", "last")
    assert "expected one of AAPL, FB, GOOG, IBM, MSFT, the symbols of the sample, found NVDA" in sentence
    assert "source=yahoo" in sentence
