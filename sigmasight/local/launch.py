"""`manage.py up`: from nothing to a product that answers, step by step, and back to nothing."""

import contextlib
import hashlib
import http.client
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command, get_commands
from django.db import connections

from sigmasight.celery import app as celery
from sigmasight.local import files, preflight
from sigmasight.local.places import Places, places
from sigmasight.local.postgres import Postgres
from sigmasight.local.problem import Problem, explain
from sigmasight.local.processes import stop_left_behind
from sigmasight.local.redis_server import RedisServer
from sigmasight.local.steps import Step, Steps
from sigmasight.local.supervisor import Process, Supervisor, read_procfile

WEB_SECONDS = 60  # for the web's first answer


def up(base: Path, *, everything: bool = False, demo: bool = True, demo_days: int = 30) -> None:
    """Run the product until it is told to stop. Raises Problem where it can't.

    `everything` shows the processes' whole logs instead of only warnings and errors; `demo` fills an empty
    database with `demo_days` days.
    """
    where = places(base)
    address = preflight.address(os.environ)
    log = where.logs / "up.log"
    try:
        files.home_of(where)
        with preflight.only_one(where.home / "up.lock", {"url": f"{address.url}/admin"}):
            _Launch(where, address, everything).run(demo, demo_days)
    except (Problem, KeyboardInterrupt):
        raise
    except CommandError as error:  # a command's own sentence
        raise Problem(str(error)) from error
    except Exception as error:
        with contextlib.suppress(OSError), log.open("a") as file:
            traceback.print_exc(file=file)
        raise explain(error, "Starting", log) from error


class _Launch:
    def __init__(self, where: Places, address: preflight.Address, everything: bool) -> None:
        self.where = where
        self.address = address
        self.steps = Steps()
        self.supervisor = Supervisor(where, self.steps.say, everything)
        self.postgres = Postgres(where) if not _given("DATABASE_URL") else None
        self.redis = RedisServer(where) if not _given("REDIS_URL") else None
        self.how_to_sign_in = "sign in as before"
        self.is_first_count = False

    def run(self, demo: bool, demo_days: int) -> None:
        preflight.check_port(self.address)
        preflight.check_disk(self.where.base, first=self.postgres is not None and self.postgres.is_new)
        self.supervisor.listen()
        try:
            if left := stop_left_behind(self.where.run):
                self.steps.tick(f"Stopped what an earlier run had left: {', '.join(left)}")
            self._servers()
            self.supervisor.hush()
            for step in (self._tables, self._static_files, self._first_admin):
                self.supervisor.check()
                step()
            self.supervisor.check()
            if demo:
                self._demo(demo_days)
            files.give_back(self.where)
            self.supervisor.check()
            self._product()
            self.supervisor.watch()
        except KeyboardInterrupt:
            pass
        finally:
            self.supervisor.hold_interruptions()
            connections.close_all()
            if self.supervisor.processes:
                self.steps.say("\nStopping …" if self.supervisor.asked_to_stop else "Stopping …", style="dim")
            self.supervisor.stop()
        self.steps.tick("Stopped; nothing is left running")

    # --- The steps ----------------------------------------------------------------------------------------

    def _servers(self) -> None:
        if self.where.is_private and (self.postgres or self.redis):
            self.steps.say(
                f"  The servers' account can't enter {self.where.base}, so their data is in {self.where.data}.",
                style="dim",
            )
        if self.postgres is not None:
            with self._doing("PostgreSQL") as step:
                self.postgres.prepare()
                process = self.supervisor.add(
                    Process(
                        "postgres", self.postgres.start, self.postgres.log, self.postgres.stop_signal, is_server=True
                    )
                )
                assert process.child is not None  # noqa: S101
                self.postgres.wait_ready(process.child)
                self.postgres.make_databases()
                step.note = f"{self.postgres.version} with pgvector, databases gondola and metro"
        if self.redis is not None:
            with self._doing("Redis") as step:
                process = self.supervisor.add(
                    Process("redis", self.redis.start, self.redis.log, self.redis.stop_signal, is_server=True)
                )
                assert process.child is not None  # noqa: S101
                self.redis.wait_ready(process.child)
                step.note = self.redis.version

    def _tables(self) -> None:
        if self.postgres is None:
            for alias, variable in (("default", "DATABASE_URL"), ("metro", "AI_DATABASE_URL")):
                try:
                    connections[alias].ensure_connection()
                except Exception as error:
                    said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
                    raise Problem(
                        f"The database of {variable} does not answer ({said}): mend the address or start it."
                    ) from error
        with self._doing("Tables of both databases"):
            self._quietly("migrate", interactive=False)

    def _static_files(self) -> None:
        stamp = self.where.home / "static.stamp"
        digest = _static_digest()
        root = Path(str(settings.STATIC_ROOT))
        if root.is_dir() and stamp.exists() and stamp.read_text() == digest:
            return
        with self._doing("Static files, hashed and compressed"):
            self._quietly("collectstatic", interactive=False, clear=root.is_dir())
            files.write(stamp, digest)

    def _first_admin(self) -> None:
        if not self._has("create_admin"):
            return
        out = io.StringIO()
        call_command("create_admin", "--if-none", stdout=out, stderr=out)
        if said := out.getvalue().strip():
            self.steps.tick(said)
            found = re.search(r"[^\s<>,]+@[^\s<>,:]+[^\s<>,:.]", said)
            which = "above" if "Password" in said else "given"
            self.how_to_sign_in = f"sign in as {found[0] if found else 'the admin'} with the password {which}"

    def _demo(self, days: int) -> None:
        if not self._has("seed_demo"):
            return
        # It draws a progress bar of its own, and says nothing where the database already has rows.
        call_command("seed_demo", "--days", str(days), "--if-empty")
        self._count()

    def _count(self) -> None:
        """Counts what there is where nobody ever did: the first page shows figures, rather than that they will come."""
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM user_activity_events),"
                " EXISTS (SELECT FROM rollup_sources WHERE filled_until IS NOT NULL)"
            )
            holds_rows, was_counted = cursor.fetchone()
        if holds_rows and not was_counted:
            with self._doing("Figures of it, counted"):
                self._quietly("fill_rollups", all=True)
            self.is_first_count = True

    def _product(self) -> None:
        connections.close_all()
        env = self._environment()
        with self._doing("Web, worker and beat") as step:
            names = []
            for name, command in read_procfile(self.where.base / "Procfile").items():
                self.supervisor.add_command(name, command, env)
                names.append(name)
            if not self.supervisor.watch_until(self._answers, WEB_SECONDS):
                raise Problem(
                    f"The web did not answer within {WEB_SECONDS} s, so everything was stopped: its log says why, "
                    f"{self.where.logs / 'web.log'}."
                )
            if self.is_first_count:
                celery.send_task("metrics.tasks.daily_job")  # the days before, which no night will make up till then
            step.note = f"logs in {_short(self.where.logs)}"
        self.supervisor.hold_interruptions()  # one in the middle of a line would print it twice
        self.steps.console.print()
        self.steps.console.print(self._last_line(env), style="bold", markup=False)

    # --- Pieces -------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        env["HOST"], env["PORT"] = self.address.bind_host, str(self.address.port)
        if self.address.is_loopback:
            # A browser on this machine speaks plain HTTP to it, and would not send back a secure cookie.
            env.setdefault("HTTPS", "false")
        return env

    def _last_line(self, env: Mapping[str, str]) -> str:
        where = f"at {self.address.url}/admin"
        if not self.address.is_loopback:
            listens = f"on {self.address.bind_host}:{self.address.port}"
            plain = env.get("HTTPS", "").lower() in ("false", "0", "no", "off") or settings.DEBUG
            where = (
                f"{listens} ({self.address.url}/admin from here)"
                if plain
                else f"{listens}, for a proxy that adds HTTPS (HTTPS=false does without)"
            )
        return f"SigmaSight Admin is {where}  ·  {self.how_to_sign_in}  ·  Ctrl-C stops it"

    def _answers(self) -> bool:
        client = http.client.HTTPConnection(self.address.reachable_host, self.address.port, timeout=2)
        try:
            client.request("GET", "/healthz")
            # ALLOWED_HOSTS may not name this host; that it refuses us shows that it is there.
            return client.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()

    @contextlib.contextmanager
    def _doing(self, what: str) -> Iterator[Step]:
        try:
            with self.steps.step(what) as step:
                yield step
        except (Problem, CommandError):
            raise
        except Exception as error:
            log = self.where.logs / "up.log"
            with contextlib.suppress(OSError), log.open("a") as file:
                traceback.print_exc(file=file)
            raise explain(error, what, log) from error

    def _quietly(self, command: str, **options: object) -> None:
        """Run a command of Django's with its output going to the log."""
        out = io.StringIO()
        try:
            call_command(command, stdout=out, stderr=out, no_color=True, **options)
        finally:
            with (self.where.logs / "up.log").open("a") as file:
                file.write(f"--- {command}\n{out.getvalue()}")

    @staticmethod
    def _has(command: str) -> bool:
        return command in get_commands()


def _given(variable: str) -> bool:
    return bool(os.environ.get(variable, "").strip())


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _static_digest() -> str:
    """Changes when any static file, or how they are stored, does."""
    seen = [json.dumps(settings.STORAGES["staticfiles"], sort_keys=True), sys.version]
    for finder in get_finders():
        for name, storage in finder.list(ignore_patterns=[]):
            found = os.stat(storage.path(name))
            seen.append(f"{name} {found.st_size} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(seen)).encode()).hexdigest()
