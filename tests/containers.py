"""What Docker would make and start of the compose file, made and started on this machine without Docker."""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import yaml
from docker.utils import exclude_paths
from team import SERVER, postgresql

from server.processes import Process, process

ROOT = SERVER.parent
COMPOSE = SERVER / "docker-compose.yml"
DOCKERFILE = (SERVER / "compose" / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (SERVER / "compose" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()


def context(folder: Path) -> set[str]:
    """Return the files of a folder that Docker would be sent to build an image of."""
    lines = [line for line in IGNORED if line and not line.startswith("#")]
    return {path for path in exclude_paths(str(folder), lines) if (folder / path).is_file()}


@dataclass
class Engine:
    """In place of a container engine: it starts the services' commands on this machine, each with its own files."""

    folder: Path
    services: dict[str, dict]
    ports: dict[str, int]
    running: dict[str, Process] = field(default_factory=dict)

    def here(self, text: str) -> str:
        """Return a text of the compose file as it has to be without containers."""
        text = re.sub(r"\$\{SERVER_NAME[^}]*\}", "localhost", text)
        text = re.sub(r"(@|//|,)(postgres|mlflow)(?=:)", r"\g<1>127.0.0.1", text).replace("0.0.0.0", "127.0.0.1")
        text = text.replace("30000-30099", f"{self.ports['passive']}-{self.ports['passive'] + 30}")
        for there in ("/srv/ftp_root", "/app", "/workshop"):
            text = text.replace(there, str(self.folder / Path(there).name))
        return re.sub(r"\b(5000|5432|2121|8050|8888)\b", lambda match: str(self.ports[match[0]]), text)

    def image(self, name: str) -> Path:
        """Return the folder in which the commands of a service start, with what its image has there."""
        target = self.services[name]["build"]["target"]
        stage = next(stage for stage in DOCKERFILE.split("\nFROM ")[1:] if f" AS {target}\n" in stage)
        folder = self.folder / re.findall(r"^WORKDIR /(\S+)", stage, re.MULTILINE)[-1]
        if not folder.exists():
            *sources, _ = re.findall(r"^COPY (?:--chown=\S+ )?(.+)", stage, re.MULTILINE)[-1].split()
            paths = (
                context(ROOT) if sources == ["."] else {str(p.relative_to(ROOT)) for s in sources for p in ROOT.glob(s)}
            )
            for path in paths & context(ROOT):
                copy = folder / (path if sources == ["."] else Path(path).name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, copy)
            if (auth := folder / "auth.ini").exists():
                auth.write_text(self.here(auth.read_text(encoding="utf-8")), encoding="utf-8")
        return folder

    def secret(self, name: str) -> str:
        """Return a secret that was made as the page says."""
        return (self.folder / "compose" / "secrets" / name).read_text(encoding="utf-8").strip()

    def environment(self, name: str) -> dict[str, str]:
        """Return all variables of a service, whose secrets are where it alone looks for them."""
        secrets = self.folder / "run" / name
        secrets.mkdir(parents=True, exist_ok=True)
        for secret in self.services[name]["secrets"]:
            file = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["secrets"][secret]["file"]
            text = (self.folder / file).read_text(encoding="utf-8")
            text = text.replace("postgres:5432", f"127.0.0.1:{self.ports['5432']}")
            copy = secrets / secret
            if not copy.exists() or copy.read_text(encoding="utf-8") != text:  # a service may be reading it
                copy.touch(mode=0o600)
                copy.write_text(text, encoding="utf-8")
        own = {key: self.here(str(value)) for key, value in self.services[name].get("environment", {}).items()}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        inside = {"PATH": path, "HOME": str(self.folder), "SECRETS": str(secrets), "PYTHONUNBUFFERED": "1"}
        inside |= {"PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", "")}
        return {key: value.replace("/run/secrets", str(secrets)) for key, value in (inside | own).items()}

    def command(self, name: str, parts: list[str] | None = None) -> list[str]:
        """Return what is started in a container of a service: its command or another, behind its entry point."""
        service = self.services[name]
        every = [*service.get("entrypoint", []), *(parts or service["command"])]
        if not parts and "jupyterlab" in every and os.geteuid() == 0:  # in a container nobody is root
            every.append("--allow-root")
        return [self.here(part).replace("/run/secrets", self.environment(name)["SECRETS"]) for part in every]

    def run(self, name: str, parts: list[str] | None = None) -> str:
        """Run a service, or another command in its container, to its end; return what it says."""
        done = subprocess.run(
            self.command(name, parts),
            cwd=self.image(name),
            env=self.environment(name),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def healthy(self, name: str) -> bool:
        """Return whether a service's own check is content with it."""
        check = [self.here(part) for part in self.services[name]["healthcheck"]["test"][1:]]
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self.ports["5432"])} | self.environment(name)
        return subprocess.run(check, env=where, capture_output=True, timeout=20, check=False).returncode == 0

    def up(self, name: str, stack: contextlib.ExitStack) -> None:
        """Start a service, after those that it waits for, and wait until it is healthy or done."""
        if name in self.running:
            return
        for other in self.services[name].get("depends_on", {}):
            self.up(other, stack)
        if name == "postgres":
            stack.enter_context(postgresql(self.ports["5432"]))
            self.make_database()
            assert self.healthy(name)
            self.running[name] = None
        elif "healthcheck" not in self.services[name]:
            self.running[name] = None
            print(self.run(name))
        else:
            parts = name, self.command(name), self.folder / "logs" / f"{name}.log", self.image(name)
            self.running[name] = stack.enter_context(process(*parts, self.environment(name)))
            self.running[name].wait_until(functools.partial(self.healthy, name), 120)

    def make_database(self) -> None:
        """Make the user and the database as the image of PostgreSQL does when its volume is new."""
        environment = self.environment("postgres")
        password = Path(environment["POSTGRES_PASSWORD_FILE"]).read_text(encoding="utf-8").strip()
        address = f"host=127.0.0.1 port={self.ports['5432']} user=postgres dbname=postgres"
        with contextlib.closing(psycopg.connect(address, autocommit=True)) as database:
            database.execute(f"CREATE ROLE {environment['POSTGRES_USER']} LOGIN PASSWORD '{password}'")
            database.execute(f"CREATE DATABASE {environment['POSTGRES_DB']} OWNER {environment['POSTGRES_USER']}")
