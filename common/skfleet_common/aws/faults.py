"""Faults of AWS calls, translated at the edge into the error tree: what passes, and who mends the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    LoginError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from skfleet_common.contracts.errors import EnvironmentFault, SkfleetError, TryAgain


class Unreachable(EnvironmentFault):
    """Nobody answers at the endpoint. The operator mends stack or network; a worker waits for it."""

    retryable = True


_NO_ACCESS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    ProfileNotFound,
    TokenRetrievalError,
    SSOError,
    LoginError,
)
_NOBODY_THERE = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)
#: Read timeouts and closed connections are HTTPClientErrors; the others are answers cut short.
_PASSING = (HTTPClientError, IncompleteReadError, FlexibleChecksumError, ResponseParserError)

#: What S3, SQS and DynamoDB call throttling and conflicts (their error pages); 5xx pass by their status.
_PASSING_CODES = frozenset(
    {
        "ConditionalRequestConflict",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_MISSING_CODES = frozenset(
    {
        "NonExistentQueue",
        "NoSuchBucket",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
_BAD_CREDENTIALS_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CLOCK_CODES = frozenset({"RequestExpired", "RequestTimeTooSkewed"})


#: SQS sends the names of its older protocol in a header, which botocore prefers to the body's.
_OLDER_SQS = "AWS.SimpleQueueService."


def error_code(error: ClientError) -> str:
    """Give the service's name for the error, e.g. ``NoSuchKey``."""
    return error.response.get("Error", {}).get("Code", "").removeprefix(_OLDER_SQS)


def is_denied(error: ClientError) -> bool:
    """Whether a right is missing."""
    return error_code(error) in _DENIED_CODES


@contextmanager
def cloud_faults(target: str) -> Iterator[None]:
    """Translate what boto3 raises about ``target`` (``bucket b at http://…``), after its own retries.

    Raises:
        TryAgain: throttling, 5xx, a reset, an answer cut short.
        EnvironmentFault: credentials, permissions, the endpoint or the target itself are missing.
    """
    try:
        yield
    except ClientError as exc:
        raise _answered(exc, target) from exc
    except _NO_ACCESS as exc:
        raise EnvironmentFault(
            f"There are no usable AWS credentials for {target}; log in or set AWS_PROFILE, or start a local "
            "stack with `skfleet local up`."
        ) from exc
    except NoRegionError as exc:
        raise EnvironmentFault(f"No AWS region is set for {target}; set SKFLEET_REGION.") from exc
    except _NOBODY_THERE as exc:
        raise Unreachable(
            f"Nobody answers for {target}; start it (`skfleet local up`) or check SKFLEET_AWS_ENDPOINT_URL "
            "and the network."
        ) from exc
    except _PASSING as exc:
        raise TryAgain(f"The connection to {target} broke ({type(exc).__name__}); try again.") from exc
    except BotoCoreError as exc:
        raise EnvironmentFault(
            f"The AWS client cannot call {target} ({type(exc).__name__}); check the AWS settings here."
        ) from exc


def _answered(error: ClientError, target: str) -> SkfleetError:
    """Name what a service's refusal means; its own words may hold values, so they stay out."""
    code = error_code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _PASSING_CODES or status >= 500:  # noqa: PLR2004  (HTTP's own number)
        return TryAgain(f"AWS could not serve {target} just now ({code}); try again.")
    if code in _MISSING_CODES:
        return EnvironmentFault(
            f"There is no {target}; create the fleet (`skfleet local up`, or Terraform on AWS) or correct "
            "SKFLEET_FLEET and SKFLEET_BUCKET."
        )
    if code in _BAD_CREDENTIALS_CODES:
        return EnvironmentFault(f"AWS does not accept the credentials for {target} ({code}); log in again.")
    if code in _CLOCK_CODES:
        return EnvironmentFault(f"AWS refuses {target} because this host's clock is wrong; set the clock.")
    if is_denied(error):
        return EnvironmentFault(
            f"AWS denies {error.operation_name} on {target}; allow this role that action."
        )
    return EnvironmentFault(
        f"AWS refuses {error.operation_name} on {target} ({code}); check the fleet's resources and versions."
    )
