"""URLs of databases: parsed in one place, and shown without what is nobody's business. Needs SQLAlchemy to read one."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from asvit.errors import UserError, from_extra

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

STORAGE = "--storage"
"""Option whose value is a URL, or was meant to be one."""
HIDDEN = "***"
SCHEME = re.compile(r"(sqlite|postgres(ql)?|mysql|mariadb|oracle|mssql)(\+[a-z0-9_]{1,12})?")
"""What may be shown of a URL that cannot be read: anything else may be a part of a password."""
HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.%]*:[0-9A-Fa-f:.%\w]*")
"""A name, an address, or one of IPv6: anything else before the path is a part of a password."""


def parsed_url(text: str) -> "URL | None":
    """A URL of a database; None where it cannot be read for certain, such as with an @ in the password.

    >>> parsed_url("postgresql://me:secret@host:5432/db").database, parsed_url("postgresql://me:se@cret@host/db")
    ('db', None)
    """
    with from_extra("study"):
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

    if re.search(r"[\x00-\x1f\x7f]", text):  # of which SQLAlchemy reads only what stands before it
        return None
    if text.count("@") > 1 and not text.startswith("sqlite"):
        return None
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # a ValueError: a port that is no number
        return None
    if url.get_backend_name() == "sqlite":
        return None if url.host or url.username or url.password or url.port else url
    if url.host and not HOST.fullmatch(url.host):
        return None
    if re.search("[@:]", url.database or "") or not 0 <= (url.port or 0) < 2**16:
        return None
    return url


def shown_url(text: str) -> str:
    """A URL without user, password and query; all that cannot be read is hidden.

    >>> shown_url("postgresql+psycopg://me:secret@host:5432/db?sslpassword=x"), shown_url("postgresql://me:se@cret@host")
    ('postgresql+psycopg://***@host:5432/db?***', 'postgresql://***')
    """
    try:
        url = parsed_url(text)
    except UserError:  # SQLAlchemy is missing: it cannot be used either
        url = None
    if url is None:
        scheme, mark, _ = text.partition("://")
        return f"{scheme}://{HIDDEN}" if mark and SCHEME.fullmatch(scheme) else HIDDEN
    user = f"{HIDDEN}@" if url.username or url.password else ""
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host or ""
    port = "" if url.port is None else f":{url.port}"
    path = "" if url.database is None else f"/{url.database}"
    return f"{url.drivername}://{user}{host}{port}{path}" + (f"?{HIDDEN}" if "?" in text else "")


def without_passwords(words: Sequence[str]) -> list[str]:
    """Words of a command line as they may be shown and kept: URLs are, and the value of --storage whatever it is.

    >>> without_passwords(["study", "--storage=postgresql://me:secret@host/db", "--storage", "secret", "--seed=1"])
    ['study', '--storage=postgresql://***@host/db', '--storage', '***', '--seed=1']
    """
    return [word if value is None else word.removesuffix(value) + shown_url(value) for word, value in _urls(words)]


OPTION = re.compile(r"(--[A-Za-z][\w-]*)(?:(=)(.*))?", re.DOTALL)
"""Name of an option, and its value where that is in the same word; a URL may begin with a dash by mistake."""


def _urls(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Every word with the URL that it ends with; None where it has none."""
    for i, word in enumerate(words):
        parts = OPTION.fullmatch(word)
        option, equals, value = parts.groups(default="") if parts else ("", "", word)
        meant = option == STORAGE or (not option and _after_storage(words, i))
        written = "://" in value and re.search("[@?]", value)
        yield word, value if (meant or written) and (equals or not option) else None


def _after_storage(words: Sequence[str], i: int) -> bool:
    """Whether a word is the value of --storage, or a part of it that a space has cut off."""
    start = next((at for at in range(i - 1, -1, -1) if OPTION.fullmatch(words[at])), None)
    if start is None or words[start].partition("=")[0] != STORAGE:
        return False
    end = next((at for at in range(i, len(words)) if OPTION.fullmatch(words[at])), len(words))
    first = words[start] == STORAGE and i == start + 1
    return first or any(re.search("[@=]", word) for word in words[i:end])


def hide_passwords(message: str, words: Sequence[str]) -> str:
    """A message without the URLs of a command line.

    Args:
        message: what is to be shown.
        words: words of the command line.

    >>> hide_passwords("no such option --store=pg://me:secret@host", ["--store=pg://me:secret@host"])
    'no such option --store=pg://***@host'
    """
    for _, value in _urls(words):
        if value and not value.isspace():
            shown = shown_url(value).replace("\\", r"\\")
            for text in (value, " ".join(value.split())):
                # Whole words: a value that is a letter would be hidden in every word.
                message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", shown, message)
    return message


def hide_password(message: str, url: "URL") -> str:
    """A message of a database's driver without the URL's password and the values of its query."""
    values = [value for some in url.normalized_query.values() for value in some]
    for secret in filter(None, (url.password, *values)):
        for written in (str(secret), quote(str(secret)), quote(str(secret), safe=""), quote_plus(str(secret))):
            message = message.replace(written, HIDDEN)
    return message
