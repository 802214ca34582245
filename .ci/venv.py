"""Make .venv from requirements.txt, unless it is there and as it should be.

Prints nothing when all is well, else one line on what to do; pip's own words go to stderr. Run by
make, with the Python that .venv is to have.
"""

from __future__ import annotations

from environment import Environment

VENV = Environment(
    ".venv",
    ("requirements.txt", "requirements-run.txt", "constraints.txt"),
    "django, gunicorn, pip, pytest",
    250,
)

if __name__ == "__main__":
    found = VENV.problem()
    if found:
        print(found)
