"""What the ARN of an SNS topic says."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOPIC = re.compile(r"arn:(aws[a-z-]*):sns:([a-z0-9-]{3,32}):([0-9]{12}):([A-Za-z0-9_-]{1,256})")

# SNS signs and serves its certificates under these domains only.
_DOMAINS = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}


class Topic(NamedTuple):
    """The parts of a topic's ARN."""

    partition: str
    region: str
    account: str
    name: str

    @property
    def domain(self) -> str | None:
        """The domain of SNS in this partition, or None where we know of none."""
        return _DOMAINS.get(self.partition)

    @property
    def host(self) -> str | None:
        """The host of SNS in the topic's region, or None where we know of none."""
        return f"sns.{self.region}.{self.domain}" if self.domain else None


def parse(topic_arn: str) -> Topic | None:
    """Return the parts of ``topic_arn``, or None when it is not the ARN of a standard topic.

    FIFO topics (names that end in ``.fifo``) cannot deliver to HTTP and are None too.
    """
    match = _TOPIC.fullmatch(topic_arn)
    return Topic(*match.groups()) if match else None
