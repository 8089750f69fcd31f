"""What the tests of the Redshift test server run against."""

from tests.contract.aws_emulator import aws_endpoint
from tests.redshift.place import redshift, redshift_and_certificate, redshift_certificate, redshift_url

__all__ = ["aws_endpoint", "redshift", "redshift_and_certificate", "redshift_certificate", "redshift_url"]
