"""A made-up model and tables for what needs no server, and a small mail server."""

import socketserver
import ssl
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from certificate import self_signed

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from report.basis import Source, prepare
from report.production import TARGETS, Production

WEATHER = ["windspeed", "temperature", "rad_horizontal", "rad_diffuse"]
MADE_AT = datetime(2017, 1, 2, 6, tzinfo=UTC)


class Model:
    """A model whose power is that of the table it was made for, off by a noise that grows with it."""

    def __init__(self, table: pd.DataFrame, ranges: bool):
        noise = np.random.default_rng(7)
        # Neighbouring hours are wrong in the same way, as those of a real model are.
        drift = noise.normal(0, 0.15, (len(table) // 24 + 1, 2)).repeat(24, axis=0)[: len(table)]
        self.power = (table[TARGETS] * (1 + drift + noise.normal(0, 0.1, (len(table), 2)))).clip(lower=0)
        if ranges:
            for target in TARGETS:
                self.power[f"{target}_q10"], self.power[f"{target}_q90"] = (self.power[target] * f for f in (0.8, 1.2))
        columns = [*WEATHER, "trend"]
        self.metadata = SimpleNamespace(get_input_schema=lambda: SimpleNamespace(input_names=lambda: columns))

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        return self.power.loc[rows.index]


def made_up(first: str, last: str, holdout: str) -> pd.DataFrame:
    """Return a table of hours in which each week differs from the one before."""
    index = pd.date_range(first, last, freq="h", tz="UTC")
    hours, chance = np.arange(len(index)), np.random.default_rng(3)
    sun = np.maximum(0, np.sin((index.hour - 6) / 12 * np.pi)) * (1.5 - np.cos(2 * np.pi * index.day_of_year / 365))
    weekly = chance.uniform(0.5, 1.5, (len(index) // 168 + 2, 2)).repeat(168, axis=0)[: len(index)]
    frame = {
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
    table = pd.DataFrame(frame, index)
    table.attrs["source"] = "Made-up weeks"
    return table


def production(table: pd.DataFrame, ranges: bool = False, **changes) -> Production:
    """Return a production model for the table."""
    about = {
        "version": "3",
        "run_id": "0123456789abcdef0123456789abcdef",
        "experiment_id": "7",
        "kind": "made up",
        "trained_at": datetime(2016, 1, 1, tzinfo=UTC),
        "trained_on": "Made-up weeks",
        "holdout": {"solar_GW": 0.5, "wind_GW": 1.25},
        "judged_on": "Made-up weeks, 2016",
        "model": Model(table, ranges),
        "commit": "c0ffee" * 6,
        "packages": ("scikit-learn==1.9.1",),
    }
    return Production(**{**about, **changes})


@pytest.fixture(scope="session")
def make_table():
    """Return a function that makes a table from its first and last hour, and the first of its holdout."""
    return made_up


@pytest.fixture(scope="session")
def make_basis():
    """Return a function that prepares the reports of a table with the made-up model."""

    def make(table: pd.DataFrame, ranges: bool = False, **changes):
        seen = (table["split"] != "holdout").to_numpy()
        return prepare(Source(production(table, ranges, **changes), table, "d" * 32, "f" * 64, "7", seen))

    return make


@pytest.fixture
def table() -> pd.DataFrame:
    """Return four years, of which the last one is the holdout; the test may change them."""
    return made_up("2013-01-01", "2016-12-31 23:00", "2016-01-01")


@pytest.fixture
def made_at() -> datetime:
    return MADE_AT


class Post(socketserver.StreamRequestHandler):
    """One client of the mail server."""

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def finish(self) -> None:
        super().finish()
        self.connection.close()  # the TLS one, of which the server does not know

    def handle(self) -> None:
        server, secure = self.server, False
        self.say("220 post")
        while line := self.rfile.readline():
            server.heard.append(line.decode().strip())
            verb = line.split()[0].upper().decode() if line.split() else ""
            if verb == "EHLO":
                offers = (["STARTTLS"] if server.tls and not secure else []) + ["AUTH PLAIN"]
                self.wfile.write("".join(f"250-{offer}\r\n" for offer in ["post", *offers]).encode())
                self.say("250 8BITMIME")
            elif verb == "STARTTLS":
                self.say("220 go on")
                self.connection = server.tls.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                secure = True
            elif verb == "DATA":
                self.say("354 go on")
                server.letters.append((secure, b"".join(iter(self.rfile.readline, b".\r\n"))))
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say(server.answers.get(verb, "250 yes").format(line=line.decode().strip()))


class PostOffice(socketserver.ThreadingTCPServer):
    """A mail server; ``answers`` are its answers to commands, if they aren't yes."""

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
    """Run a mail server that offers STARTTLS, or none if the test says ``plain``."""
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
