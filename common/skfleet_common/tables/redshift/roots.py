"""Root certificates: the system's, by which a server proves that it is who its host name says."""

from __future__ import annotations

import ssl
from pathlib import Path

from skfleet_common.contracts.errors import EnvironmentFault

#: Where distributions keep them, besides where this Python looks. The driver brings its own TLS library,
#: whose default (``sslrootcert=system``) is a folder of the machine that built it.
_USUAL = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/opt/homebrew/etc/ca-certificates/cert.pem",
)


def root_certificates() -> str:
    """Give the file of root certificates.

    Raises:
        EnvironmentFault: there is none.
    """
    own = ssl.get_default_verify_paths().cafile
    for path in (own, *_USUAL):
        if path is not None and Path(path).is_file():
            return path
    raise EnvironmentFault(
        "No root certificates are installed here, so that Redshift cannot be verified; install "
        "ca-certificates, or name a file with ?sslrootcert=FILE in SKFLEET_WAREHOUSE_URL."
    )
