"""What holds of every message on a strange file."""


def in_one_line(error: Exception, *said: str) -> bool:
    """Whether an error is one line of sensible length, as the command line shows it, that says some words."""
    shown = " ".join(str(error).split())
    return 0 < len(shown) < 700 and all(words in shown for words in said)
