"""Keeps processes alive until told to stop, and then stops them in order: the product first, the servers last."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from sigmasight.local import files
from sigmasight.local.logs import Tail
from sigmasight.local.places import Places
from sigmasight.local.problem import Problem
from sigmasight.local.processes import POLL, forget, record, signal_family, spawn

LOOK_EVERY = 0.2  # seconds
DEATHS_ALLOWED, WITHIN = 5, 60.0  # so many deaths within so many seconds are a crash loop
PROCESS_GRACE = 5.0  # seconds from "please end" to force
WHOLE_GRACE = 9.0  # the same for the servers, counted from the beginning: PostgreSQL writes its last checkpoint
PROCFILE_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$")


def read_procfile(path: Path) -> dict[str, str]:
    """The Procfile's processes: name to shell command."""
    try:
        found = [PROCFILE_LINE.match(line) for line in path.read_text().splitlines()]
    except FileNotFoundError as error:
        raise Problem(f"{path} is missing: this is not a whole checkout, clone it again.") from error
    return {match[1]: match[2] for match in found if match}


@dataclass(slots=True)
class Process:
    """One supervised process, which may be started many times in its life."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    is_server: bool = False
    child: subprocess.Popen[bytes] | None = None
    deaths: deque[float] = field(default_factory=deque)
    due: float | None = None  # when to start it again, on the monotonic clock

    @property
    def runs(self) -> bool:
        """Whether it is alive."""
        return self.child is not None and self.child.poll() is None


class Supervisor:
    """Starts, watches, restarts and stops. Lives in the main thread and starts no other."""

    def __init__(self, where: Places, say: Callable[[str], None], everything: bool = False) -> None:
        self.where = where
        self.say = say
        self.everything = everything  # show whole logs, not only trouble
        self.processes: list[Process] = []
        self.tails: list[Tail] = []
        self.asked_to_stop = 0
        self._interruptible = True

    # --- Signals ------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Take over Ctrl-C, SIGTERM and the closing of the terminal."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked)
        sys.unraisablehook = self._lost

    def _asked(self, _number: int, _frame: FrameType | None) -> None:
        self.asked_to_stop += 1
        if self._interruptible:
            self._interruptible = False  # a second one must not break into the stopping
            raise KeyboardInterrupt  # out of whatever step is at work

    def _lost(self, lost: "sys.UnraisableHookArgs") -> None:
        """An interruption that fell into some object's `__del__` ends there; `check` picks it up."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self._interruptible = True
        else:
            sys.__unraisablehook__(lost)

    def check(self) -> None:
        """Raise KeyboardInterrupt if somebody asked to stop where it could not be raised, or got lost in a callback."""
        if self.asked_to_stop:
            raise KeyboardInterrupt

    def hold_interruptions(self) -> None:
        """From now on being asked to stop is only counted."""
        self._interruptible = False

    # --- Starting -----------------------------------------------------------------------------------------

    def add(self, process: Process) -> Process:
        """Start a process and look after it from now on."""
        self.tails.append(Tail(process.name, process.log, self.everything))
        self.processes.append(process)
        self._start(process)
        return process

    def add_command(self, name: str, command: str, env: Mapping[str, str]) -> Process:
        """A line of the Procfile, its programs taken from this environment's bin."""
        path = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
        log = self.where.logs / f"{name}.log"

        def start() -> subprocess.Popen[bytes]:
            with files.log(log, self.where) as output:
                return spawn(
                    ["/bin/sh", "-c", f"exec {command}"],
                    log=output,
                    env={**env, "PATH": path, "PYTHONUNBUFFERED": "1"},
                    cwd=self.where.base,
                )

        return self.add(Process(name, start, log))

    def _start(self, process: Process) -> None:
        # An interruption between the fork and the record would leave a process that nobody knows of.
        interruptible, self._interruptible = self._interruptible, False
        try:
            process.due = None
            process.child = process.start()
            record(self.where.run, process.name, process.child.pid)
        finally:
            self._interruptible = interruptible and not self.asked_to_stop
        self.check()

    # --- Watching -----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Show what is new, start again what died. Raises Problem on a crash loop."""
        for tail in self.tails:
            for line in tail.new_lines():
                self.say(f"{tail.name:>8} │ {line}")
        for process in self.processes:
            if process.due is not None:
                if time.monotonic() >= process.due:
                    self._start(process)
            elif not process.runs:
                self._died(process)

    def _died(self, process: Process) -> None:
        assert process.child is not None  # noqa: S101 - it was started, or it could not have died
        code = process.child.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        # What it left of its family would hold the port or the data.
        signal_family(process.child.pid, signal.SIGKILL)
        now = time.monotonic()
        process.deaths.append(now)
        while process.deaths[0] < now - WITHIN:
            process.deaths.popleft()
        if len(process.deaths) >= DEATHS_ALLOWED:
            raise Problem(
                f"{process.name} {how} {DEATHS_ALLOWED} times within a minute, so everything was stopped: its log says "
                f"why, {process.log}."
            )
        process.due = now + 0.25 * 2 ** len(process.deaths)
        self.say(f"{process.name} {how} and is started again (log: {process.log})")

    def watch_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Look after everything until `done`; False when the time is over."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                return False
            self.check()
            self.look()
            time.sleep(LOOK_EVERY)
        return True

    def hush(self) -> None:
        """Pass over what the logs hold so far: how a server greets the machine is no trouble of the product's."""
        for tail in self.tails:
            tail.skip()

    def watch(self) -> None:
        """Look after everything until somebody asks to stop."""
        self.hold_interruptions()
        while not self.asked_to_stop:
            self.look()
            time.sleep(LOOK_EVERY)

    # --- Stopping -----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop all: web, worker and beat together, then the servers. Another Ctrl-C on the way is force."""
        self.hold_interruptions()
        asked_before = self.asked_to_stop
        began = time.monotonic()
        for is_server, grace in ((False, PROCESS_GRACE), (True, WHOLE_GRACE)):
            group = [process for process in self.processes if process.is_server is is_server]
            for process in group:
                if process.runs and process.child is not None:
                    process.child.send_signal(process.stop_signal)
            while any(process.runs for process in group):
                if time.monotonic() > began + grace or self.asked_to_stop > max(asked_before, 1):
                    break
                time.sleep(POLL)
            for process in group:
                self._end(process)

    def _end(self, process: Process) -> None:
        if process.child is None:
            return
        if process.runs and process.name == "postgres":
            # Immediate shutdown: its children end with it, and the log is replayed at the next start.
            process.child.send_signal(signal.SIGQUIT)
            with_force = time.monotonic() + 1
            while process.runs and time.monotonic() < with_force:
                time.sleep(POLL)
        # The rest of its session too: a child that outlived its parent is still ours.
        signal_family(process.child.pid, signal.SIGKILL)
        process.child.wait()
        forget(self.where.run, process.name)
