"""Brings databases under management that hold the application's tables already."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, OperationalError, connections, router

from sigmasight.adoption import target
from sigmasight.adoption.adopting import Adoption, State, carry_out, in_quarantine, prepare
from sigmasight.adoption.names import TARGET_SCHEMA
from sigmasight.adoption.running import Runner, StoppedError, end_turn, take_turn
from sigmasight.adoption.target import TargetError


class Command(BaseCommand):
    help = (
        "Brings databases under management that hold the application's and the plan's tables already, without copying "
        "the big ones and while the application goes on. Safe to stop and to run again. See docs/adopting.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say each statement and what it locks; change nothing"
        )
        parser.add_argument("--database", choices=list(connections), help="only this one (default: both)")
        parser.add_argument(
            "--leave-out",
            action="append",
            default=[],
            metavar="CONSTRAINT",
            help="a rule that rows break and that shall not be made; may be given several times",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        aliases = [alias for alias in connections if options["database"] in (None, alias) and _lives_in(alias)]
        if not aliases:
            raise CommandError(f"{options['database']} is the same database as default: leave --database out.")
        self._begun = False
        turns: list[str] = []
        try:
            for alias in aliases:
                if not take_turn(alias):
                    raise CommandError(f"Another adopt is at work on {_name(alias)}: wait for it.")
                turns.append(alias)
            self._adopt(aliases, options)
        except (TargetError, StoppedError) as error:
            raise CommandError(f"{error}{self._so_far()}") from error
        except (Error, OperationalError) as error:
            words = " ".join(str(error).split())
            raise CommandError(f"The database refused: {words}{self._so_far()}") from error
        except KeyboardInterrupt:
            raise CommandError(f"Stopped.{self._so_far()}", returncode=130) from None
        finally:
            for alias in turns:
                if connections[alias].is_usable():
                    end_turn(alias)

    def _adopt(self, aliases: list[str], options: dict[str, Any]) -> None:
        try:
            self._prepare_and_adopt(aliases, options)
        finally:
            # Not where the process is killed; then the next run takes them away.
            for alias in aliases:
                self._clean(alias)

    def _prepare_and_adopt(self, aliases: list[str], options: dict[str, Any]) -> None:
        now = dt.datetime.now(dt.UTC)
        adoptions = [prepare(alias, now, options["leave_out"]) for alias in aliases]
        for adoption in adoptions:
            self._introduce(adoption)
        if options["dry_run"]:
            for adoption in adoptions:
                self._list(adoption)
        self._refuse(adoptions)
        if options["dry_run"]:
            self.stdout.write("Nothing was changed.")
            return
        self._begun = True
        for adoption in adoptions:
            if adoption.state is State.TO_ADOPT:
                self._carry_out(adoption, options)

    def _clean(self, alias: str) -> None:
        """Takes the target schema away, if the database still answers."""
        try:
            with connections[alias].cursor() as cursor:
                target.drop(cursor)
        except (Error, TargetError) as error:
            self.stderr.write(
                f"{_name(alias)}: the schema {TARGET_SCHEMA} is still there: {' '.join(str(error).split())}"
            )

    def _introduce(self, adoption: Adoption) -> None:
        where = f"{_name(adoption.alias)}: "
        if adoption.state is State.MANAGED:
            self.stdout.write(f"{where}is under management already, nothing to do.")
        elif adoption.state is State.EMPTY:
            self.stdout.write(f"{where}nothing to adopt, it has none of the tables: run `manage.py migrate`.")
        elif adoption.before:
            rows = sum(adoption.before.values())
            self.stdout.write(
                f"{where}{len(adoption.before)} tables with {rows:,} rows are there, {len(adoption.made)} are to be "
                f"made; {len(adoption.plan.steps)} steps."
            )
        for note in adoption.plan.notes:
            self.stdout.write(f"  note: {note}")

    def _list(self, adoption: Adoption) -> None:
        if adoption.state is not State.TO_ADOPT:
            return
        self.stdout.write(f"\n-- {_name(adoption.alias)}")
        for number, step in enumerate(adoption.plan.steps, 1):
            again = "; again until no row is left" if step.repeat else ""
            self.stdout.write(f"\n-- {number}. {step.table + ': ' if step.table else ''}{step.why}")
            self.stdout.write(f"--    {step.lock.value}{again}")
            lines = [f"{statement};" for statement in step.statements]
            if step.atomic and len(lines) > 1:
                lines = ["BEGIN;", *lines, "COMMIT;"]
            for line in lines:
                self.stdout.write(line)
        self.stdout.write("")

    def _refuse(self, adoptions: list[Adoption]) -> None:
        reasons = [
            f"  {_name(adoption.alias)}: {reason}" for adoption in adoptions for reason in adoption.plan.refusals
        ]
        if reasons:
            raise CommandError(
                f"Nothing was changed, as {len(reasons)} thing{'s' if len(reasons) > 1 else ''} can't be done safely:\n"
                + "\n".join(reasons)
            )

    def _carry_out(self, adoption: Adoption, options: dict[str, Any]) -> None:
        def say(text: str) -> None:
            if options["verbosity"]:
                self.stdout.write(text)
                self.stdout.flush()

        runner = Runner(adoption.alias, say)
        after = carry_out(adoption, runner, say)
        say(f"{_name(adoption.alias)} is under management.")
        aside = in_quarantine(adoption)
        for table, before in adoption.before.items():
            quarantined = f"{aside[table]:>10,} in quarantine" if table in aside else ""
            say(f"  {table:<24}{before:>12,} rows before{after.get(table, 0):>12,} after{quarantined}")
        say(f"  nobody waited longer than {runner.longest_lock * 1000:,.0f} ms for a lock of ours")

    def _so_far(self) -> str:
        if not self._begun:
            return ""
        return "\nWhat was done stays done and harms nobody; run the same command again, and it goes on from there."


def _lives_in(alias: str) -> bool:
    return any(router.allow_migrate(alias, config.label) for config in apps.get_app_configs())


def _name(alias: str) -> str:
    return f"{connections[alias].settings_dict['NAME']} ({alias})"
