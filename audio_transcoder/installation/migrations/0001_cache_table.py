"""The table of the database cache, where the web app's migration has not made it already."""

from django.apps.registry import Apps
from django.core.management import call_command
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = []

    # Backwards nothing: what is in a cache may be lost, and is no harm where it stays.
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
