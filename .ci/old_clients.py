"""Make the environments below .venv-clients: SDKs of the time when they still knew the service.

Prints nothing when all is well, else one line on what to do; pip's own words go to stderr. Run by
make.
"""

from __future__ import annotations

from environment import Environment

OLD_CLIENTS = (
    Environment(".venv-clients/boto3", ("tests/clients/requirements-boto3.txt",), "boto3", 15),
    Environment(".venv-clients/awscli", ("tests/clients/requirements-awscli.txt",), "awscli", 20),
)

if __name__ == "__main__":
    for environment in OLD_CLIENTS:
        found = environment.problem()
        if found:
            print(found)
            break
