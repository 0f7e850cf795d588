# One image for `bankgate serve`, `bankgate worker` and `bankgate-simulator`. `make image-steps` runs these very steps without a
# Docker engine.
#
# Pin the base by digest where you build: --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:… (no digest stands here because it
# would go stale unseen; everything installed on top is locked with hashes).
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Two environments: what runs, and what builds. Only the first goes into the image.
RUN python -m venv /opt/bankgate && python -m venv /opt/build
COPY requirements.lock requirements-build.lock ./
RUN /opt/bankgate/bin/pip install -q --require-hashes -r requirements.lock
RUN /opt/build/bin/pip install -q --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY proto ./proto
COPY keys ./keys
COPY formats ./formats
COPY channels ./channels
COPY gateway ./gateway
COPY simulator ./simulator
RUN /opt/build/bin/hatchling build -t wheel -d /opt/wheel \
    && /opt/bankgate/bin/pip install -q --no-index --no-deps /opt/wheel/*.whl \
    && /opt/bankgate/bin/pip uninstall -q -y pip setuptools

FROM ${PYTHON_IMAGE} AS runtime
RUN groupadd --gid 10001 bankgate \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin bankgate \
    && install -d -o bankgate -g bankgate -m 0700 /data
COPY --from=builder /opt/bankgate /opt/bankgate
COPY LICENSE /opt/bankgate/LICENSE
COPY deploy/scripts/healthcheck.py /opt/bankgate/healthcheck.py
ENV BANKGATE_CONFIG=/etc/bankgate PATH=/opt/bankgate/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/data
# Everything but /data (and a tmpfs on /tmp) may be read-only: docker run --read-only --tmpfs /tmp -v data:/data …
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 50051 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=20s CMD ["python", "/opt/bankgate/healthcheck.py"]
CMD ["bankgate", "serve"]
