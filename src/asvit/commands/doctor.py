"""The command that looks at an installation. Imports torch only when it runs."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from asvit.commands.hand_over import print_record


def doctor(*, json: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Say what this machine has, which extras are installed and what could be better.

    Parameters
    ----------
    json
        Print a JSON record on stdout and nothing else.
    """
    from asvit.commands.checkup import check, show_checkup

    checkup = check()
    if json:
        print_record("doctor", {**asdict(checkup), "advice": list(checkup.advice())})
    else:
        show_checkup(checkup)
