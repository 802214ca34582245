"""Lists that stay quick over a million rows, and pages that only show."""

from __future__ import annotations

import contextlib

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import connections, models, router
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.functional import cached_property

# So many rows are counted, paged through and searched; narrower filters show the rest.
MOST_LISTED = 10_000
# So many rows an action takes at once.
MOST_AT_ONCE = 1_000


class BoundedPaginator(Paginator):
    """Counts no further than MOST_LISTED; ``is_cut`` tells that there are more."""

    @cached_property
    def _counted(self) -> int:
        return self.object_list.order_by().values("pk")[: MOST_LISTED + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self._counted, MOST_LISTED)

    @property
    def is_cut(self) -> bool:
        return self._counted > MOST_LISTED


class ShownRows(admin.ModelAdmin):
    """Rows to be looked at, not typed in. Whoever may change them may run the actions."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = 50

    class Media:
        css = {"all": ["css/console.css"]}

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return may(request, self.model, "change")

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        """Run an action; one that was asked for on a row's own page ends there."""
        response = super().response_action(request, queryset)
        page = request.POST.get("from_page")
        if page and getattr(response, "url", None) == request.get_full_path():
            with contextlib.suppress(NoReverseMatch):  # no row can have that key
                return HttpResponseRedirect(page_of(self.model, page))
        return response

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


def may(request: HttpRequest, model: type[models.Model], act: str) -> bool:
    """Return whether the person may add, change, delete or view rows of ``model``."""
    return request.user.has_perm(f"{model._meta.app_label}.{act}_{model._meta.model_name}")


def page_of(model: type[models.Model], pk: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[pk])


def list_of(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def newest(rows: QuerySet, by: str = "pk") -> QuerySet:
    """Return the newest MOST_LISTED of ``rows``, as rows that can be filtered further.

    ``by`` is the indexed column that the list is ordered by and that grows with time.
    """
    last = rows.order_by(f"-{by}").values_list(by, flat=True)[MOST_LISTED - 1 : MOST_LISTED]
    edge = next(iter(last), None)
    return rows if edge is None else rows.filter(**{f"{by}__gte": edge})


def distinct(model: type[models.Model], column: str, most: int) -> list:
    """Return the first ``most`` values of an indexed column, in one query.

    It goes from value to value in the index; DISTINCT would read the whole of it.
    """
    connection = connections[router.db_for_read(model)]
    table = connection.ops.quote_name(model._meta.db_table)
    name = connection.ops.quote_name(model._meta.get_field(column).column)
    sql = (
        f"WITH RECURSIVE found(value) AS ("  # noqa: S608 - names of our own model
        f" SELECT MIN({name}) FROM {table} WHERE {name} IS NOT NULL"
        f" UNION ALL SELECT (SELECT MIN({name}) FROM {table} WHERE {name} > found.value)"
        f" FROM found WHERE found.value IS NOT NULL"
        f") SELECT value FROM found WHERE value IS NOT NULL LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [most])
        return [value for (value,) in cursor.fetchall()]
