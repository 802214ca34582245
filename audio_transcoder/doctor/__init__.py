"""The doctor: looks at every step of the chain, from the settings to the notice, in order.

One module for each subject; a new look is a function with ``@look`` in one of them.
"""

from __future__ import annotations

from importlib import import_module

from audio_transcoder.doctor.looks import Finding, State, examine

__all__ = ["Finding", "State", "examine"]

# In the order of the chain; each registers its looks.
for _subject in ("machine", "storage", "engine", "notices"):
    import_module(f"{__name__}.{_subject}")
