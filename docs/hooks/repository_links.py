"""Links out of docs/ lead to files of the repository, which the site does not hold: their names stay, as code."""

import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Name the file where the page of the repository links to it; a missing one stays a link, which strict refuses."""
    docs = Path(config.docs_dir)
    folder = (docs / page.file.src_uri).parent

    def name(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        if target.is_relative_to(docs) or not target.exists():
            return found[0]
        return f"{found[1]} (`{target.relative_to(docs.parent)}`)"

    return LINK.sub(name, markdown)
