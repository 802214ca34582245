"""What every installation has, with the web app or the transcoder alone: ``manage.py run``, the
checks of its settings, the table of the cache. No models, and none of the web app's."""
