"""The command `rnnjax`: what is asked for, and what is said when it cannot be."""

import io
import os
import re
import sys
from contextlib import redirect_stderr

import tyro
from rich.console import Console

from rnnjax.commands.evaluate import Eval
from rnnjax.commands.sample import Sample
from rnnjax.commands.train import STOPPED, train
from rnnjax.inspect import Inspect
from rnnjax.tasks import TASKS

DESCRIPTION = (
    """Recurrent networks in JAX, from the command line.

Learn the shipped text, about three minutes on two cores: rnnjax train

Learn your own: rnnjax train --text my.txt --cell gru --layers 2 --m 256

Another task: rnnjax train TASK, of """
    + ", ".join(TASKS)
    + """

Write with what was learned: rnnjax sample runs/NAME --prompt "In the beginning" --temperature 0.8

See how credit flows through it: rnnjax inspect runs/NAME
"""
)
COMMANDS = {"train": train("language"), "eval": Eval, "sample": Sample, "inspect": Inspect}


def main(arguments=None) -> int:
    """Run one command; 0 if it went well, 2 with one line on stderr if it was asked for something impossible."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        command = parse(arguments)
        return command(Console(soft_wrap=True, markup=False, emoji=False)) or 0
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return STOPPED
    except (ValueError, OSError) as error:
        if str(error).rstrip(": \n").endswith("KeyboardInterrupt"):  # which JAX's C++ may turn into an error
            return stopped()
        if os.environ.get("RNNJAX_TRACEBACK"):
            raise
        print("rnnjax:", *str(error).split(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return stopped()


def stopped() -> int:
    """What a Ctrl-C comes to."""
    print("rnnjax: stopped", file=sys.stderr)
    return STOPPED


def parse(arguments):
    """The command that the arguments ask for. Help goes to stdout; what cannot be read is one `ValueError`."""
    said, config = io.StringIO(), (tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)
    try:
        with redirect_stderr(said):
            if arguments[:1] == ["train"] and not "".join(arguments[1:2]).startswith("-") and arguments[1:]:
                task, *rest = arguments[1:]
                return tyro.cli(train(task), prog=f"rnnjax train {task}", args=rest, config=config)
            return tyro.extras.subcommand_cli_from_dict(
                COMMANDS, prog="rnnjax", description=DESCRIPTION, args=arguments, config=config
            )
    except SystemExit as stop:
        if stop.code == 0:
            raise
        box = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue())  # a title, a rule, the message, perhaps a rule and advice
        message = " ".join(line.strip("│ ") for line in re.split(r".*[─-]{4}.*", box)[1].splitlines())
        message = re.sub(r"^ *Error parsing [A-Z]\w*: ", "", message).rstrip(". ")
        command = " ".join(["rnnjax", *(c for c in COMMANDS if c in arguments[:1])])
        raise ValueError(f"{message}. See {command} --help.") from None
