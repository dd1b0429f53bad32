# One image for every part of Muster: docker run muster web | worker | migrate | simulator ...
# It brings no database: set MUSTER_DATABASE_URL and MUSTER_SECRET_KEY. See docker-compose.yml.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /srv/venv
COPY requirements/runtime.lock /srv/muster/requirements/
RUN /srv/venv/bin/pip install --require-hashes --no-deps -r /srv/muster/requirements/runtime.lock
# The package stays where it is, beside its playbooks and migrations; the same path in both stages.
COPY pyproject.toml README.md /srv/muster/
COPY app /srv/muster/app
RUN /srv/venv/bin/pip install --no-deps --no-build-isolation --editable /srv/muster \
    && /srv/venv/bin/python -m compileall -q /srv/muster/app

FROM python:3.13-slim
ENV PATH=/srv/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MUSTER_HOST=0.0.0.0 \
    MUSTER_PORT=8000 \
    MUSTER_DATA_DIR=/var/lib/muster-data
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin muster \
    && install -d -o muster -g muster -m 0700 /var/lib/muster-data
COPY --from=build /srv/venv /srv/venv
COPY --from=build /srv/muster /srv/muster
COPY alembic.ini /srv/muster/
COPY alembic /srv/muster/alembic
COPY playbooks /srv/muster/playbooks
WORKDIR /srv/muster
USER muster
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['MUSTER_PORT'] + '/healthz', timeout=4)"]
ENTRYPOINT ["muster"]
CMD ["web"]
