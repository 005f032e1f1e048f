"""Publishing on the Hugging Face hub, by timm's own function."""

import re
from typing import Any

import timm

from asvit.errors import UserError, one_line
from asvit.export.formats import model_config
from asvit.export.release import Release


def check_repository(repository: str) -> None:
    """Refuse what names no repository.

    Raises:
        UserError: it is not ``OWNER/NAME``.
    """
    if re.fullmatch(r"[\w.-]+/[\w.-]+", repository) is None:
        raise UserError(f"cannot push to {repository!r}: expected OWNER/NAME")


def push(release: Release, card: dict[str, Any], repository: str) -> None:
    """Publish weights, configuration and, where the repository has none, the card.

    Args:
        release: the network.
        card: model card from :func:`~asvit.export.card.model_card`.
        repository: ``OWNER/NAME``; made where it does not exist.

    Raises:
        UserError: the hub cannot be reached, or does not let us.
    """
    try:
        timm.models.push_to_hf_hub(
            release.model,
            repository,
            model_config=model_config(release),
            model_card=card,
            safe_serialization=True,
            data_config=release.preprocessing,
        )
    except Exception as error:  # whatever the hub's client, and the HTTP library that it has at present, raise
        raise UserError(
            f"cannot push to {repository}: {one_line(error)}; expected a repository that you may write (`hf auth "
            "login`) and a connection"
        ) from error
