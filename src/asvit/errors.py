"""What a user of the library or the command line can get wrong, and what is not their fault."""

import warnings


class UserError(ValueError):
    """Bad input: one line that says what was wrong, what was expected and what to do.

    The command line prints the line and exits with code 2; library code may catch it as a ``ValueError``.
    """


class NotAdmitted(UserError):
    """A measure that a network does not admit; its other measures may well be taken."""


def hush() -> None:
    """Keep warnings from users that they cannot do anything about."""
    # torch.func's first jvp compiles a helper with torch's own deprecated decorator.
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
