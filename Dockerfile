# Build with the locks, run without what built it. Settings come from the environment (README: Configuration).
# Nothing is written at run time: run it with --read-only. Only `--workers` needs a /tmp, for what /metrics counts.
FROM python:3.13-slim AS build
WORKDIR /src
# With `--build-arg REQUIREMENTS=requirements-otel.txt` it can trace (docs/operating.md: Traces).
ARG REQUIREMENTS=requirements.txt
RUN python -m venv --without-pip /opt/postern
COPY requirements.txt requirements-otel.txt requirements-build.txt ./
RUN python -m pip --python /opt/postern/bin/python install --no-cache-dir --require-hashes -r "$REQUIREMENTS" \
    && python -m pip install --no-cache-dir --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md ./
COPY service service
RUN python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /build . \
    && python -m pip --python /opt/postern/bin/python install --no-cache-dir --no-deps /build/*.whl

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin postern \
    && python -m pip uninstall --yes pip setuptools wheel
COPY --from=build /opt/postern /opt/postern
WORKDIR /srv/postern
COPY alembic.ini asgi.py ./
COPY alembic alembic
ENV PATH=/opt/postern/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["postern", "run", "--bind", "0.0.0.0:8000"]
