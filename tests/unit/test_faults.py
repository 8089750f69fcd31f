"""What each fault of an AWS call becomes."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
    WaiterError,
)
from botocore.parsers import ResponseParserError

from skfleet_common.aws.faults import Unreachable, cloud_faults
from skfleet_common.contracts.errors import EnvironmentFault, TryAgain

URL = "http://127.0.0.1:4566"


def answered(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "holds a row value"},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "HTTPHeaders": {},
                "RequestId": "",
                "RetryAttempts": 4,
                "HostId": "",
            },
        },
        "PutItem",
    )


@pytest.mark.parametrize(
    "error",
    [
        answered("ThrottlingException"),
        answered("ProvisionedThroughputExceededException"),
        answered("RequestThrottled", 403),
        # What SQS's older protocol called it stands in a header, which botocore prefers.
        answered("AWS.SimpleQueueService.RequestThrottled", 403),
        answered("SlowDown", 503),
        answered("InternalError", 500),
        answered("502", 502),
        answered("ConditionalRequestConflict", 409),
        ReadTimeoutError(endpoint_url=URL),
        ConnectionClosedError(endpoint_url=URL),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ResponseParserError("cut"),
    ],
    ids=repr,
)
def test_a_passing_fault_is_tried_again(error: Exception) -> None:
    with pytest.raises(TryAgain, match="bucket b") as raised, cloud_faults("bucket b"):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (NoCredentialsError(), "log in"),
        (ProfileNotFound(profile="nobody"), "AWS_PROFILE"),
        (NoRegionError(), "SKFLEET_REGION"),
        (answered("ExpiredToken"), "log in again"),
        (answered("AccessDeniedException"), "denies PutItem on bucket b"),
        (answered("AccessDenied", 403), "allow this role"),
        (answered("NoSuchBucket", 404), "There is no bucket b"),
        (answered("ResourceNotFoundException"), "create the fleet"),
        (answered("AWS.SimpleQueueService.NonExistentQueue"), "create the fleet"),
        (answered("RequestTimeTooSkewed", 403), "clock"),
        (answered("ValidationException"), "ValidationException"),
        (WaiterError(name="w", reason="r", last_response={}), "WaiterError"),
    ],
    ids=repr,
)
def test_what_somebody_must_mend_says_what(error: Exception, remedy: str) -> None:
    with pytest.raises(EnvironmentFault, match=remedy) as raised, cloud_faults("bucket b"):
        raise error
    assert raised.value.__cause__ is error
    assert not raised.value.retryable
    assert "row value" not in str(raised.value)


@pytest.mark.parametrize("kind", [EndpointConnectionError, ConnectTimeoutError])
def test_an_endpoint_where_nobody_answers_is_waited_for(kind: type[BotoCoreError]) -> None:
    with pytest.raises(Unreachable, match="bucket b") as raised, cloud_faults("bucket b"):
        raise kind(endpoint_url=URL)
    assert raised.value.retryable
    assert raised.value.exit_code == 4


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(KeyError), cloud_faults("bucket b"):
        raise KeyError
