"""What a user of the library or the command line can get wrong."""


class UserError(ValueError):
    """Bad input: one line that says what was wrong, what was expected and what to do.

    The command line prints the line and exits with code 2; library code may catch it as a ``ValueError``.
    """
