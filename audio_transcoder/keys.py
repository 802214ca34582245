"""Between a name in Django's media storage and the key of its object in the bucket.

Engines, events and the API speak of keys; rows hold storage names.
"""

from uuid import UUID

from django.conf import settings


def source_name(code: UUID) -> str:
    """Return the storage name of what was uploaded as the file ``code``."""
    return f"uploads/{code}/source"


def found_cover_name(code: UUID, order_id: str) -> str:
    """Return the storage name under which an engine puts the picture that it found in a sound.

    No run's name begins with another one's: it is removed as a prefix.
    """
    return f"uploads/{code}/found-{order_id}-cover"


def found_covers_prefix(code: UUID, job: UUID) -> str:
    """Return what the storage names of the pictures begin with that all runs of a job found."""
    return f"uploads/{code}/found-{job}"


def bucket_key(name: str) -> str:
    """Return the object key of a storage name: ``uploads/…`` is ``media/uploads/…``."""
    return f"{settings.MEDIAFILES_LOCATION}/{name}"


def storage_name(key: str) -> str:
    """Return the storage name of an object key; a key outside the location has none: ``""``."""
    location = f"{settings.MEDIAFILES_LOCATION}/"
    return key[len(location) :] if key.startswith(location) else ""
