"""The real services that the integration tests run against."""

from tests.integration.worker_fleet import (
    aws_endpoint,
    bench,
    fleet,
    model_files,
    standing_fleet,
    warehouse_server,
)

__all__ = ["aws_endpoint", "bench", "fleet", "model_files", "standing_fleet", "warehouse_server"]
