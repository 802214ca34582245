"""How the database goes about the queries that the API really asks."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext


def reads_of(table: str, asked: CaptureQueriesContext) -> list[str]:
    """Return the statements among those ``asked`` that read from the table."""
    return [one["sql"] for one in asked if f'FROM "{table}"' in one["sql"]]


def plan_of(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return "; ".join(detail for *_, detail in cursor.fetchall())
