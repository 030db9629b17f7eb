import json
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.next_days.fetch import Unavailable
from dashboard.next_days.source import Source

NOW = datetime(2026, 6, 10, 9, 40, tzinfo=UTC)


class Service:
    """Answers with a number that counts up, or fails as told."""

    def __init__(self):
        self.times, self.error = 0, None

    def ask(self, now: datetime) -> object:
        self.times += 1
        if self.error:
            raise self.error
        return {"number": self.times}


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def source(service) -> Source:
    return Source("weather", timedelta(hours=1), service.ask, lambda answer: answer["number"])


def in_file(service: Service, path, address: str = "http://here") -> Source:
    return Source("weather", timedelta(hours=1), service.ask, lambda answer: answer["number"], path, address)


def test_a_service_is_asked_at_most_once_in_its_time(source, service):
    assert source.refresh(100, NOW)
    assert not source.refresh(100 + 3599, NOW)
    assert service.times == 1
    assert source.refresh(100 + 3600, NOW + timedelta(hours=1))
    assert (source.content, source.fetched_at) == (2, NOW + timedelta(hours=1))


def test_after_a_failure_the_last_good_answer_stays_and_says_how_old_it_is(source, service):
    source.refresh(0, NOW)
    service.error = Unavailable("It can't be reached.")
    assert not source.refresh(3600, NOW + timedelta(hours=1))
    assert (source.content, source.fetched_at, source.problem) == (1, NOW, "It can't be reached.")
    service.error = None
    assert source.refresh(3660, NOW + timedelta(minutes=61))
    assert source.problem is None


def test_each_further_failure_doubles_the_wait_up_to_the_usual_time(source, service):
    service.error, clock, waits = Unavailable("No."), 0, []
    for _ in range(9):
        asked_at, times = clock, service.times
        while service.times == times:
            source.refresh(clock, NOW)
            clock += 1
        waits.append(clock - 1 - asked_at)
    assert waits[1:] == [59, 119, 239, 479, 959, 1919, 3599, 3599]


def test_a_service_that_wants_to_be_left_alone_is(source, service):
    service.error = Unavailable("Too many requests.", 5000)
    source.refresh(0, NOW)
    source.refresh(4999, NOW)
    assert service.times == 1
    source.refresh(5000, NOW)
    assert service.times == 2


def test_a_wait_of_no_time_at_all_is_not_taken_at_its_word(source, service):
    service.error = Unavailable("Too many requests.", 0)
    source.refresh(0, NOW)
    source.refresh(59, NOW)
    assert service.times == 1


def test_an_answer_that_breaks_the_reader_leaves_the_last_good_one(source, service):
    source.refresh(0, NOW)
    service.ask = None
    source._ask = lambda now: {"no": "number"}
    assert not source.refresh(3600, NOW)
    assert source.content == 1
    assert "KeyError" in source.problem


def test_a_new_start_uses_the_file_and_does_not_ask_before_it_is_time(service, tmp_path):
    path = tmp_path / "deep" / "weather.json"
    in_file(service, path).refresh(0, NOW)
    again = in_file(service, path)
    assert again.refresh(5000, NOW + timedelta(minutes=40))
    assert (again.content, again.fetched_at, service.times) == (1, NOW, 1)
    again.refresh(5000 + 20 * 60 - 1, NOW)
    assert service.times == 1
    again.refresh(5000 + 20 * 60, NOW)
    assert service.times == 2


def test_an_old_file_is_shown_until_the_service_has_answered(service, tmp_path):
    path = tmp_path / "weather.json"
    in_file(service, path).refresh(0, NOW)
    service.error = Unavailable("It can't be reached.")
    again = in_file(service, path)
    assert again.refresh(0, NOW + timedelta(days=3))
    assert not again.refresh(0, NOW + timedelta(days=3))
    assert (again.content, again.fetched_at, again.problem) == (1, NOW, "It can't be reached.")


@pytest.mark.parametrize(
    "content", ["", "[", "[]", "{}", '{"address": "http://here", "fetched_at": "soon", "answer": {"number": 7}}']
)
def test_a_damaged_file_is_as_good_as_none(service, tmp_path, content):
    path = tmp_path / "weather.json"
    path.write_text(content, encoding="utf-8")
    source = in_file(service, path)
    source.refresh(0, NOW)
    assert (source.content, service.times) == (1, 1)
    assert json.loads(path.read_text(encoding="utf-8"))["answer"] == {"number": 1}


def test_the_file_of_another_address_is_not_used(service, tmp_path):
    path = tmp_path / "weather.json"
    in_file(service, path).refresh(0, NOW)
    in_file(service, path, "http://there").refresh(0, NOW)
    assert service.times == 2


def test_a_file_from_the_future_does_not_keep_the_service_from_being_asked(service, tmp_path):
    path = tmp_path / "weather.json"
    in_file(service, path).refresh(0, NOW + timedelta(days=300))
    again = in_file(service, path)
    again.refresh(0, NOW)
    assert again.refresh(0, NOW)
    assert again.fetched_at == NOW


def test_a_folder_that_can_not_be_written_does_no_harm(service, tmp_path):
    (tmp_path / "file").touch()
    source = in_file(service, tmp_path / "file" / "weather.json")
    assert source.refresh(0, NOW)
    assert source.content == 1
