"""Objects on S3, as UNLOAD and COPY see them through a role."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlparse

import boto3
from botocore.exceptions import ClientError

from tests.redshift.lexicon import Token
from tests.redshift.refusal import Refusal, internal, s3_failure

REGION = "us-east-1"


@dataclass(frozen=True)
class Location:
    """A bucket, and a key or the beginning of keys."""

    bucket: str
    key: str

    @classmethod
    def of(cls, url: str) -> Location:
        parts = urlparse(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise Refusal(f"Invalid S3 path: {url}", sqlstate="22023")
        return cls(parts.netloc, url[len(f"s3://{parts.netloc}/") :])

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def check_authorization(tokens: Sequence[Token], *, roles: frozenset[str], user: str) -> str:
    """Give the role that a statement names, if the cluster may take it on.

    Raises:
        Refusal: none is named, the text is no role, or it is not the cluster's.
    """
    words = [token.word for token in tokens]
    if "credentials" in words or "access_key_id" in words:
        raise Refusal("the test server takes IAM_ROLE alone")
    if "iam_role" not in words:
        raise Refusal("Must specify credentials: IAM_ROLE is missing", sqlstate="42601")
    given = tokens[words.index("iam_role") + 1]
    if given.word == "default":
        if "default" not in roles:
            raise Refusal(
                "Default IAM role is not set for the cluster. Set a default IAM role and retry.",
                sqlstate="XX000",
            )
        return "default"
    role = given.value
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", role):
        raise internal(f"Invalid IAM role ARN {role}", code=8001, context="IAM_ROLE")
    if role not in roles:
        who = f"arn:aws:redshift:{REGION}:000000000000:dbuser:test/{user}"
        raise internal(
            f"User {who} is not authorized to assume IAM Role {role}", code=8001, context=f"IAM Role={role}"
        )
    return role


@lru_cache
def s3_client(endpoint: str) -> Any:
    """Give a client of the emulator's S3; it takes long to make, and may be shared by threads."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Storage:
    """S3 with the rights of a role; every refusal is in Redshift's words."""

    def __init__(self, endpoint: str, *, refused: frozenset[str], region: str | None, writing: bool) -> None:
        self._s3 = s3_client(endpoint)
        self._refused = refused
        self._region = region
        self._writing = writing

    def check_region(self, place: Location) -> None:
        """Refuse a bucket of another region than the cluster's, unless REGION names it."""
        found = self._call("s3:GetBucketLocation", place, "get_bucket_location", Bucket=place.bucket)
        region = found.get("LocationConstraint") or REGION
        if region != (self._region or REGION):
            raise s3_failure(
                "PermanentRedirect", 301,
                "The bucket you are attempting to access must be addressed using the specified endpoint. "
                "Please send all future requests to this endpoint.", context=self._context(place),
            )  # fmt: skip

    def keys(self, prefix: Location) -> list[Location]:
        """List what begins with a prefix."""
        found: list[Location] = []
        more: dict[str, Any] = {}
        while True:
            reply = self._call(
                "s3:ListBucket", prefix, "list_objects_v2", Bucket=prefix.bucket, Prefix=prefix.key, **more
            )
            found += [Location(prefix.bucket, item["Key"]) for item in reply.get("Contents", [])]
            if not reply.get("IsTruncated"):
                return found
            more = {"ContinuationToken": reply["NextContinuationToken"]}

    def read(self, place: Location) -> bytes | None:
        """Give an object's bytes; None if there is none."""
        try:
            reply = self._call("s3:GetObject", place, "get_object", Bucket=place.bucket, Key=place.key)
        except Refusal as refusal:
            if "NoSuchKey" in refusal.message:
                return None
            raise
        return bytes(reply["Body"].read())

    def write(self, place: Location, content: bytes) -> None:
        """Put an object."""
        self._call("s3:PutObject", place, "put_object", Bucket=place.bucket, Key=place.key, Body=content)

    def delete(self, place: Location) -> None:
        """Remove an object."""
        self._call("s3:DeleteObject", place, "delete_object", Bucket=place.bucket, Key=place.key)

    def _call(self, action: str, place: Location, method: str, **arguments: Any) -> dict[str, Any]:
        if action in self._refused:
            raise s3_failure("AccessDenied", 403, "Access Denied", context=self._context(place))
        try:
            return dict(getattr(self._s3, method)(**arguments))
        except ClientError as exc:
            error, status = exc.response["Error"], exc.response["ResponseMetadata"]["HTTPStatusCode"]
            raise s3_failure(
                error["Code"], status, error.get("Message", error["Code"]), context=self._context(place)
            ) from exc

    def _context(self, place: Location) -> str:
        if self._writing:
            return f"Failed to initialize S3 output stream. S3 path: {place}"
        return f"S3 key being read : {place}"
