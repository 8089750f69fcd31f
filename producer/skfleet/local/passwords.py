"""The passwords of the database's two roles: random, and known to the state folder's owner alone."""

from __future__ import annotations

import secrets
from typing import Self

from skfleet.local.home import StateFolder
from skfleet.local.state import write_private
from skfleet_common.contracts.errors import EnvironmentFault
from skfleet_common.contracts.shapes import NewerShape, StoredShape, UnreadableShape


class Passwords(StoredShape):
    """Their characters need no quoting in a URL."""

    superuser: str
    role: str

    @classmethod
    def draw(cls, folder: StateFolder) -> Self:
        """Give new ones, already saved."""
        drawn = cls(superuser=secrets.token_urlsafe(24), role=secrets.token_urlsafe(24))
        write_private(folder.passwords_file, drawn.to_json())
        return drawn

    @classmethod
    def load(cls, folder: StateFolder) -> Self:
        """Give those of the database that is there.

        Raises:
            EnvironmentFault: they are gone.
        """
        try:
            return cls.from_json(folder.passwords_file.read_bytes())
        except (OSError, NewerShape, UnreadableShape) as exc:
            raise EnvironmentFault(
                f"The database's passwords cannot be read from {folder.passwords_file} "
                f"({getattr(exc, 'strerror', None) or 'not what this skfleet wrote'}); "
                "put the file back, or set SKFLEET_HOME to another folder."
            ) from exc
