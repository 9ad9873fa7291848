# Skyhold as a service: one image for the API, the workers, migrations and the demo flights.
# Its servers (PostgreSQL, Redis or Valkey, Temporal) are elsewhere and named by the environment; see docs/runbook.md.

FROM python:3.11-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/skyhold
WORKDIR /build

# Dependencies first: their layer stays as long as the lock does.
COPY requirements-service.lock ./
RUN /opt/skyhold/bin/pip install --require-hashes --only-binary :all: -r requirements-service.lock

# The build backend is not of the lock: it builds the wheel and stays behind in this stage.
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/skyhold/bin/pip install --no-deps . \
    && /opt/skyhold/bin/python -m compileall -q /opt/skyhold/lib


FROM python:3.11-slim

# A number as well as a name: Kubernetes checks `runAsNonRoot` by the number alone.
RUN groupadd --gid 10001 skyhold \
    && useradd --uid 10001 --gid skyhold --no-create-home --shell /usr/sbin/nologin skyhold
COPY --from=build /opt/skyhold /opt/skyhold

# Inside a container nobody reaches the loopback address, so the API listens on all of them.
ENV PATH=/opt/skyhold/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SERVER_HOST=0.0.0.0 \
    SERVER_PORT=8080 \
    LOG_FORMAT=json

USER 10001:10001
WORKDIR /opt/skyhold
EXPOSE 8080
STOPSIGNAL SIGTERM

# `docker run skyhold worker` is a worker; without a word it is the API.
ENTRYPOINT ["skyhold"]
CMD ["api"]
