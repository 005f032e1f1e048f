"""The command line's first lines, and ``python -m asvit``, which torchrun can start.

Ctrl-C is listened to before anything is imported that takes time.
"""

from asvit.commands.stopping import Stopped, end_at_once, end_without_exceptions, listen, try_again


def main() -> None:
    """Run the command line and exit."""
    listen()
    try_again()
    from asvit.commands.app import main as command_line

    try:
        command_line()
    except Stopped as second:  # while the first was answered
        end_at_once(second.number)
    finally:
        end_without_exceptions()


if __name__ == "__main__":
    main()
