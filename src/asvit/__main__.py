"""The command line's first lines, and ``python -m asvit``, which torchrun can start.

Ctrl-C is listened to before anything is imported that takes time.
"""

import atexit
import os

from asvit.commands.stopping import end, end_at_once, end_without_exceptions, listen
from asvit.runs.signals import Stopped, try_again


def main() -> None:
    """Run the command line and exit."""
    listen()
    try_again()
    wait_asleep()
    code = 1  # of an error of the program
    # What is registered first is done last: when Python has put away what it has to, and before it stops listening.
    atexit.register(lambda: end(code))
    from asvit.commands.app import main as command_line

    try:
        command_line()
    except Stopped as second:  # while the first was answered
        end_at_once(second.number)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
    finally:
        end_without_exceptions()


def wait_asleep() -> None:
    """Have torch's threads sleep while they wait for each other: beside another program, spinning costs the most.

    It is read when torch is loaded; what the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


if __name__ == "__main__":
    main()
