"""The real services that the integration tests run against."""

from tests.integration.worker_fleet import (
    aws_endpoint,
    bench,
    fleet,
    model_files,
    standing_fleet,
    warehouse_server,
)
from tests.redshift.place import redshift, redshift_and_certificate

__all__ = [
    "aws_endpoint",
    "bench",
    "fleet",
    "model_files",
    "redshift",
    "redshift_and_certificate",
    "standing_fleet",
    "warehouse_server",
]
