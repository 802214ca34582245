"""Lists of the API: pages of 50, the last item's id as the token of the next page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

PAGE_SIZE = 50


def page_of(rows: QuerySet, params: dict[str, Any]) -> tuple[list, str | None]:
    """Return one page of rows by their ids, and the token of the next page or None.

    Newest first unless ``Ascending`` is "true". Ids begin with their time, so a row that comes
    meanwhile moves nothing on the pages that follow.
    """
    token = params.get("PageToken")
    if is_ascending(params):
        rows = rows.order_by("id") if token is None else rows.order_by("id").filter(id__gt=token)
    else:
        rows = rows.order_by("-id") if token is None else rows.order_by("-id").filter(id__lt=token)
    return cut(list(rows[: PAGE_SIZE + 1]))


def cut(items: Sequence[Any]) -> tuple[list, str | None]:
    """Return the first page of what is left, and the token of the next page or None."""
    page = list(items[:PAGE_SIZE])
    return page, page[-1].id if len(items) > PAGE_SIZE else None


def is_ascending(params: dict[str, Any]) -> bool:
    return params.get("Ascending") == "true"
