"""A made-up model and tables for what needs no server, and a small mail server."""

import socketserver
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from validate import read_subject

from forecasting.production import Production
from forecasting.table import HourlyTable
from report.report_inputs import ReportInputs, prepare
from server.certificate import self_signed

SAMPLE = Path(__file__).resolve().parents[2] / "1_starting_point" / "germany.csv"
TARGETS = ["solar_GW", "wind_GW"]
WEATHER = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"]
MADE_AT = datetime(2017, 1, 2, 6, tzinfo=UTC)


class Model:
    """A model that predicts the power of the table it was made for, off by a noise that grows with it."""

    def __init__(self, frame: pd.DataFrame, ranges: bool):
        noise = np.random.default_rng(7)
        # Neighbouring hours are wrong in the same way, as those of a real model are.
        drift = noise.normal(0, 0.15, (len(frame) // 24 + 1, 2)).repeat(24, axis=0)[: len(frame)]
        self.power = (frame[TARGETS] * (1 + drift + noise.normal(0, 0.1, (len(frame), 2)))).clip(lower=0)
        if ranges:
            for target in TARGETS:
                self.power[f"{target}_q10"], self.power[f"{target}_q90"] = (self.power[target] * f for f in (0.8, 1.2))
        schemas = {"input": [*WEATHER, "trend"], "output": list(self.power)}
        self.metadata = SimpleNamespace(
            **{
                f"get_{name}_schema": lambda names=names: SimpleNamespace(input_names=lambda: names)
                for name, names in schemas.items()
            }
        )

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return self.power.loc[rows.index]


def hourly_table(frame: pd.DataFrame) -> HourlyTable:
    frame.attrs["subject"] = read_subject(SAMPLE) | {"title": "Made-up weeks"}
    return HourlyTable(frame, "d" * 32, "f" * 64, "7")


def made_up(first: str, last: str, holdout: str) -> HourlyTable:
    """Return a table of hours in which each week differs from the one before."""
    index = pd.date_range(first, last, freq="h", tz="UTC")
    hours, chance = np.arange(len(index)), np.random.default_rng(3)
    sun = np.maximum(0, np.sin((index.hour - 6) / 12 * np.pi)) * (1.5 - np.cos(2 * np.pi * index.day_of_year / 365))
    weekly = chance.uniform(0.5, 1.5, (len(index) // 168 + 2, 2)).repeat(168, axis=0)[: len(index)]
    columns = {
        "solar_GW": 8 * sun * weekly[:, 0],
        "wind_GW": (6 + 3 * np.sin(hours / 17)) * weekly[:, 1],
        "windspeed": (4 + np.sin(hours / 17)) * weekly[:, 1],
        "temperature": 10 - 9 * np.cos(2 * np.pi * index.day_of_year / 365) + 3 * weekly[:, 0],
        "rad_horizontal": 300 * sun * weekly[:, 0],
        "rad_diffuse": 200 * sun,
        "trend": hours / 8766,
        "repaired": False,
        "split": np.where(index < pd.Timestamp(holdout, tz="UTC"), "train", "holdout"),
    }
    return hourly_table(pd.DataFrame(columns, index))


def inputs_of(table: HourlyTable, ranges: bool = False, **changes) -> ReportInputs:
    """Return what the reports of a table are made from, with the made-up model."""
    about = {
        "name": "wind_solar",
        "version": "3",
        "model_uri": "models:/m-3",
        "model": Model(table.frame, ranges),
        "training": SimpleNamespace(
            info=SimpleNamespace(run_id="0123456789abcdef" * 2, experiment_id="7"),
            data=SimpleNamespace(tags={"mlflow.source.git.commit": "c0ffee" * 6}),
        ),
        "project": "made up",
        "data_title": "Made-up weeks",
        "trained_at": datetime(2016, 1, 1, tzinfo=UTC),
        "holdout_mae": {"solar_GW": 0.5, "wind_GW": 1.25},
        "judged_on": "Made-up weeks, 2016",
        "packages": ("scikit-learn==1.9.1",),
    }
    return prepare(table, Production(**{**about, **changes}))


@pytest.fixture(scope="session")
def make_table():
    """Return a function that makes a table from its first and last hour, and the first of its holdout."""
    return made_up


@pytest.fixture(scope="session")
def table_of():
    """Return a function that makes a table of a frame."""
    return hourly_table


@pytest.fixture(scope="session")
def make_inputs():
    """Return a function that prepares the reports of a table."""
    return inputs_of


@pytest.fixture
def table() -> HourlyTable:
    """Return four years, of which the last one is the holdout; the test may change them."""
    return made_up("2013-01-01", "2016-12-31 23:00", "2016-01-01")


@pytest.fixture(scope="session")
def made_at() -> datetime:
    return MADE_AT


class Post(socketserver.StreamRequestHandler):
    """One client of the mail server."""

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the TLS one, of which the server does not know

    def answer(self, verb: str, line: str = "", secure: bool = False) -> str:
        """Answer a command as the server's ``answers`` have it, or as is usual; return what was said.

        A list is for the first times that it is asked, and an empty answer hangs up.
        """
        answers, offer = self.server.answers, "" if secure or not self.server.tls else "250-STARTTLS\r\n"
        usual = {"HELLO": "220 post", "STARTTLS": "220 go on", "DATA": "354 go on", "CONTENT": "250 taken"}
        usual |= {"EHLO": f"250-post\r\n{offer}250-AUTH PLAIN\r\n250 SIZE 1000000", "QUIT": "221 bye"}
        said = answers.get(line, answers.get(verb, usual.get(verb, "250 yes")))
        if isinstance(said, list):
            said = said.pop(0) if said else usual.get(verb, "250 yes")
        if said:
            self.wfile.write(f"{said.format(line=line)}\r\n".encode())
        return said

    def handle(self) -> None:
        said, secure = self.answer("HELLO"), False
        while said and (line := self.rfile.readline().decode().strip()):
            self.server.heard.append(line)
            verb = line.split()[0].upper()
            said = self.answer(verb, line, secure)
            if verb == "QUIT":
                return
            if verb == "STARTTLS" and said.startswith("220"):
                self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                secure = True
            elif verb == "DATA" and said.startswith("354"):
                content = b"".join(iter(self.rfile.readline, b".\r\n"))
                said = self.answer("CONTENT")
                if not said or said.startswith("250"):  # a server that hangs up may have taken it
                    self.server.letters.append((secure, content))


class PostOffice(socketserver.ThreadingTCPServer):
    """A mail server; ``answers`` are its answers to commands or whole lines, if they aren't yes."""

    def __init__(self, tls: ssl.SSLContext | None):
        super().__init__(("127.0.0.1", 0), Post)
        self.tls, self.heard, self.letters = tls, [], []
        self.answers = {"AUTH": "235 welcome"}
        self.port = self.server_address[1]

    def handle_error(self, request, client_address) -> None:
        """Say nothing of a client that went away, as one does that sees no certificate that it trusts."""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("certificate"), "127.0.0.1")


@pytest.fixture
def post_office(certificate, request):
    """Run a mail server that offers STARTTLS, unless the test says ``plain``."""
    context = None
    if getattr(request, "param", "starttls") == "starttls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    with PostOffice(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
