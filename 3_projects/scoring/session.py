"""A Spark session: on this machine, or on a cluster."""

import ipaddress
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from rows import ScoringError

OLDEST_JAVA = 17
PATIENCE = 5  # seconds for a master to take a connection; Spark itself would try for a minute and more
FIRST_WORKER = 60  # seconds until a master has given us a worker; Spark itself would wait for ever


def check_java() -> None:
    """Raise ScoringError unless the Java that Spark will use is there and new enough."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    install = "Install it, for example with: apt-get install openjdk-17-jre-headless, or from https://adoptium.net"
    if java is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise ScoringError(f"Spark needs Java {OLDEST_JAVA} or newer, found none {where}. {install}")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    found = re.search(r'version "(\d+)', said)
    if found is None or int(found[1]) < OLDEST_JAVA:
        raise ScoringError(f"Spark needs Java {OLDEST_JAVA} or newer, found {said.strip()[:60]!r} ({java}). {install}")


def check_master(master: str) -> None:
    """Raise ScoringError unless the name is one that Spark knows, and a standalone master answers."""
    if not re.match(r"local(\[.+\])?$|local-cluster\[.+\]$|yarn$|k8s://.|spark://.", master):
        raise ScoringError(
            f"expected a master such as local[*], spark://HOST:7077, yarn or k8s://https://HOST, found {master!r}."
        )
    if master.startswith("spark://"):
        try:
            address = urlsplit(master.split(",")[0])
            with socket.create_connection((address.hostname, address.port or 7077), timeout=PATIENCE):
                pass
        except (OSError, ValueError) as error:
            raise ScoringError(
                f"the Spark master {master} can't be reached ({error}). Is it running, and is its address right? On "
                "this machine alone: -P master=local[*]"
            ) from None


def on_this_machine(master: str) -> bool:
    """Return whether all workers are on this machine, so that nobody else has to reach the driver."""
    if not master.startswith("spark://"):
        return master.startswith("local")
    host = urlsplit(master.split(",")[0]).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def start(master: str):
    """Return a Spark session; raises ScoringError if there is no Java, or the master has no worker to give."""
    check_java()
    check_master(master)
    from pyspark.sql import SparkSession

    # The driver's Python, unless somebody has said which one the workers have.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = (
        SparkSession.builder.master(master)
        .appName("scoring")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")  # INT96 would lose the time zone
        # Larger batches than Spark's 10,000 rows: each costs a call of the model.
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "50000")
        # A task is a Python process with a core of its own. With threads beside, the cores would be taken twice.
        .config("spark.executorEnv.OMP_NUM_THREADS", "1")
        .config("spark.executorEnv.OPENBLAS_NUM_THREADS", "1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "true")
    )
    if on_this_machine(master):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        builder = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
    try:
        session = builder.getOrCreate()
    except Exception as error:  # whatever the JVM says
        raise ScoringError(f"Spark does not start on {master}: {str(error).splitlines()[0]}") from None
    session.sparkContext.setLogLevel("FATAL")  # what fails is told in a sentence, without the JVM's traces
    if master.startswith("spark://"):
        wait_for_worker(session, master)
    return session


def wait_for_worker(session, master: str) -> None:
    """Return when the cluster has given us a worker; raises ScoringError if it does not in time."""
    status = session.sparkContext._jsc.sc().statusTracker()
    deadline = time.monotonic() + FIRST_WORKER
    while len(status.getExecutorInfos()) < 2:  # the driver counts as one
        if time.monotonic() > deadline:
            session.stop()
            raise ScoringError(
                f"the Spark master {master} has had no free worker for {FIRST_WORKER} s. Start one, or wait until "
                "another job has ended."
            )
        time.sleep(0.2)
