"""The real services that the contract tests run against."""

from tests.contract.aws_emulator import aws_endpoint, cloud, fleet_settings, module_cloud
from tests.contract.stored_jobs import emptied_cloud
from tests.contract.warehouse_place import place, postgres_server
from tests.redshift.place import redshift, redshift_and_certificate, redshift_certificate

__all__ = [
    "aws_endpoint",
    "cloud",
    "emptied_cloud",
    "fleet_settings",
    "module_cloud",
    "place",
    "postgres_server",
    "redshift",
    "redshift_and_certificate",
    "redshift_certificate",
]
