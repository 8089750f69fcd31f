"""Addresses of databases, before libpq reads them."""

from __future__ import annotations

import re

#: As libpq does: user and password end at the first @, if no / stands before it.
_LOGIN = re.compile(r"^[^@/]*@")


def has_stray_at(url: str) -> bool:
    """Whether libpq would take the rest of a password, behind an ``@`` or ``/``, for host or database.

    Those are shown to people; a database's own ``@`` is percent-encoded.
    """
    place = _LOGIN.sub("", url.partition("://")[2], count=1)
    return "@" in place.partition("?")[0]
