"""What can be wrong with an SNS message, named for what its receiver answers.

::

    SnsError
    ├── Malformed               400: not an SNS message; it is never read again
    ├── Refused                 403: not listed, not genuine or not in time; never again
    └── CertificateUnavailable  503: cannot be judged now; SNS sends it again

``reason`` is a short code for the log, the same for every message refused at the same step. It
never holds anything that the sender chose. All messages of one status deserve one and the same
answer: the reason is not for the sender.
"""

from __future__ import annotations


class SnsError(Exception):
    """A message that was not accepted; ``reason`` says at which step."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Malformed(SnsError):
    """Not a message as SNS sends it (answer 400)."""


class Refused(SnsError):
    """A message that is not for us, not genuine or not in time (answer 403)."""


class CertificateUnavailable(SnsError):
    """The signer's certificate could not be fetched now (answer 503, SNS repeats)."""
