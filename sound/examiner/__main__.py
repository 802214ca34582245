"""Answers questions about sound files: one JSON line in, one JSON line out.

Runs behind ``sandbox``, by ``python -I FOLDER``: its files come from strangers. Importing
takes longer than most answers, so it says "ready" first and whoever needs it soon starts it early.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import measuring
import pictures
import probing


def main() -> None:
    tasks = {
        "probe": probing.probe,
        "measure": measuring.measure,
        "picture": pictures.picture,
    }
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        question = json.loads(line)
        answer = tasks[question.pop("task")](Path(question.pop("path")), **question)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
