# make run         sets everything up and runs web server, workers and steps: PORT=8000 DATA_DIR=var
# make transcoder  the same for the transcoder alone: PORT=8000 DATA_DIR=var/transcoder
# make test        sets everything up and runs every test; ARGS="-k name" for some of them, ARGS="-n 0" in one process
# make test-s3     only the tests on a real S3 server, which it installs (Debian, Ubuntu), starts and ends
# make bench       measures what we promise in numbers; ARGS="create-job list" for some of it
# make check       style, formatting, migrations
# make translations  collects the words of the pages into locale/ and says what is not translated
# make old-clients sets up the boto3 and awscli that the tests of old clients run
# make lock        writes constraints.txt anew from the direct requirements

PYTHON ?= python3
.DEFAULT_GOAL := run
.PHONY: run transcoder test test-s3 bench check translations lock venv packages chromium radosgw azurite old-clients

# Each of these prints nothing, or one line that says what to do; $(call stop_at,…) prints that line
# and stops.
python_problem = $(shell "$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 \
	|| echo "This needs Python 3.11, 3.12 or 3.13 and $(PYTHON) is none of them: install one and say make PYTHON=python3.12 $(MAKECMDGOALS)")
venv_problem = $(shell "$(PYTHON)" .ci/venv.py)
packages_problem = $(shell .venv/bin/python .ci/packages.py)
chromium_problem = $(shell .ci/chromium)
radosgw_problem = $(shell .ci/radosgw)
azurite_problem = $(shell .ci/azurite)
old_clients_problem = $(shell "$(PYTHON)" .ci/old_clients.py)
stop_at = $(if $(1),$(error $(1)))
warn_of = $(if $(1),$(warning $(1)))

# Without the packages of npm the site runs too, with the plain upload form.
run: venv
	@$(call warn_of,$(packages_problem)):
	@exec .venv/bin/python manage.py run

# Its own folder even where .env names one: two installations never share a database by mistake.
transcoder: export TRANSCODER_ALONE = 1
transcoder: export DATA_DIR := $(or $(DATA_DIR),var/transcoder)
transcoder: venv
	@exec .venv/bin/python manage.py run

# Half of the time a test waits for something. The tests of a file share what they started, so they stay together.
test: venv packages chromium radosgw azurite old-clients
	@exec .venv/bin/python -m pytest -n 2 --dist loadfile $(ARGS)

test-s3: venv packages chromium radosgw
	@exec .venv/bin/python -m pytest -m s3 $(ARGS)

# What cannot be installed is left out, and said to be.
bench: venv
	@$(call warn_of,$(packages_problem))$(call warn_of,$(chromium_problem))$(call warn_of,$(radosgw_problem)):
	@exec .venv/bin/python -m bench $(ARGS)

check: venv
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	DATA_DIR="$$(mktemp -d)" ENV_FILE= .venv/bin/python manage.py makemigrations --check --dry-run

translations: venv
	@DATA_DIR="$$(mktemp -d)" ENV_FILE= .venv/bin/python manage.py shell --verbosity 0 \
		--command "from tests import translations; translations.write()"

lock: venv
	.venv/bin/python -m venv --clear .venv/lock
	.venv/lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.8
	(echo "# The exact versions that were tested together. Written by: make lock"; \
	grep -hv '^-' requirements-run.txt requirements.txt \
	| .venv/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--no-header --no-annotate -) > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt

# Nothing to do when .venv is as requirements.txt wants it.
venv:
	@$(call stop_at,$(python_problem))$(call stop_at,$(venv_problem)):

# Nothing to do when node_modules is as package-lock.json wants it.
packages: venv
	@$(call stop_at,$(packages_problem)):

chromium: venv
	@$(call stop_at,$(chromium_problem)):

radosgw:
	@$(call stop_at,$(radosgw_problem)):

# Nothing to do when .azurite holds the version that .ci/azurite names.
azurite: venv
	@$(call stop_at,$(azurite_problem)):

# Nothing to do when .venv-clients is as tests/clients/requirements-*.txt want it.
old-clients:
	@$(call stop_at,$(python_problem))$(call stop_at,$(old_clients_problem)):
