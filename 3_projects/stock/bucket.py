"""An S3 bucket, of Amazon or of any server with the same interface: the few things that deploy.py does with it."""

import contextlib
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    ParamValidationError,
)
from versions import Refused

CREDENTIALS = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and deploy again"
RIGHTS = "s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject"
GONE = ("404", "NoSuchBucket", "NoSuchKey")
FORBIDDEN = ("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken")
ELSEWHERE = ("301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def check_endpoint(address: str) -> bool:
    """Return whether the address of an S3 server is on this machine; raises Refused if none should be sent there."""
    try:
        parts = urlsplit(address)
        host, good = parts.hostname or "", parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:  # such as a port that is no number
        host, good = "", False
    if "@" in address:  # and the message must not hold the password
        raise Refused(f"expected an endpoint without user and password, found one with them. {CREDENTIALS}.")
    if not (good and host):
        raise Refused(
            f"expected an endpoint such as https://s3.example.org or http://127.0.0.1:9000, found {address!r}. Give "
            "it with -P endpoint="
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise Refused(
            f"expected an endpoint with https, since a model is code and goes over a network, found {address}. Give "
            "one with -P endpoint=https://..."
        )
    return is_loopback(host)


class Bucket:
    """A bucket that is there and lets us in."""

    def __init__(self, client, name: str):
        """Ask for it; raises Refused."""
        self.client, self.name = client, name
        with self._plain_words():
            client.head_bucket(Bucket=name)

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin so; raises Refused."""
        with self._plain_words():
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, key: str) -> bytes | None:
        """Return what a key holds, None if there is no such key; raises Refused."""
        with self._plain_words():
            try:
                return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise

    def write(self, key: str, content: Path | bytes) -> None:
        """Put a file or bytes there, whole or not at all; raises Refused."""
        with self._plain_words(), contextlib.ExitStack() as opened:
            body = opened.enter_context(content.open("rb")) if isinstance(content, Path) else content
            self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def delete(self, keys: list[str]) -> None:
        """Delete keys in their order, of which some may not be there; raises Refused."""
        with self._plain_words():
            for key in keys:
                self.client.delete_object(Bucket=self.name, Key=key)

    @contextlib.contextmanager
    def _plain_words(self) -> Iterator[None]:
        """Turn what goes wrong into one sentence that says what to do."""
        server = self.client.meta.endpoint_url
        try:
            yield
        except (ConnectionError, HTTPClientError):
            raise Refused(
                f"the S3 server {server} does not answer. Is it up, and is -P endpoint= right? Deploy again when it is."
            ) from None
        except ClientError as error:
            raise Refused(self._said(error.response["Error"], server)) from None
        except ParamValidationError:
            raise Refused(f"expected the name of a bucket, found {self.name!r}. Give it with -P bucket=NAME.") from None
        except BotoCoreError as error:
            raise Refused(f"the bucket {self.name} on {server} can't be used: {str(error).splitlines()[0]}") from None

    def _said(self, error: dict, server: str) -> str:
        """Return a sentence for what the server has refused."""
        code = error.get("Code", "no code")
        if code in GONE:
            return f"there is no bucket {self.name} on {server}. Make it there, or give another with -P bucket=NAME."
        if code in FORBIDDEN:
            return (
                f"the bucket {self.name} on {server} does not let these credentials in ({code}). They need "
                f"{RIGHTS} on it; have them granted, or set others as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )
        if code in ELSEWHERE:
            return f"the bucket {self.name} is in another region. Set AWS_DEFAULT_REGION to it, and deploy again."
        return (
            f"the S3 server {server} did not do its part ({code}: {error.get('Message', 'no reason')}). Deploy again "
            "when it does; the copy is not in use until it is whole."
        )


@contextlib.contextmanager
def opened(name: str, endpoint: str) -> Iterator[Bucket]:
    """Have a bucket for as long as the block lasts; raises Refused if it can't be had.

    Without an endpoint it is the one that boto3 is configured for, which by default is Amazon's.
    """
    if not name:
        raise Refused("expected the name of a bucket, found none. Give it with -P bucket=NAME.")
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"total_max_attempts": 3, "mode": "standard"},
        proxies={} if endpoint and check_endpoint(endpoint) else None,  # none between this machine and itself
        # Not every S3 server knows the later kinds of checksum, and the whole copy is compared after all.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = boto3.Session()
        if session.get_credentials() is None:
            raise Refused(f"found no credentials for the bucket {name}. {CREDENTIALS}.")
        client = session.client("s3", endpoint_url=endpoint or None, config=config)
    except ValueError:  # it would quote the address, which may have a password in it
        where = "-P endpoint=" if endpoint else "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL"
        raise Refused(f"expected an endpoint such as https://s3.example.org in {where}, found none.") from None
    except BotoCoreError as error:  # such as a profile that is not there
        raise Refused(f"{str(error).splitlines()[0].removesuffix('.')}. {CREDENTIALS}.") from None
    with contextlib.closing(client):
        check_endpoint(client.meta.endpoint_url)  # which AWS_ENDPOINT_URL may have named
        yield Bucket(client, name)
