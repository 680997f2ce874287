# One image for all five services, and for the commands that migrate: `tollgate …` is its program.
#
#   docker build -t tollgate .
#   docker run --rm tollgate --help
#
# Where pip or apt need a configuration or a certificate of yours, hand them over as build secrets,
# which stay in no layer: --secret id=pip,src=/etc/pip.conf --secret id=npm,src=~/.npmrc --secret id=ca,src=ca.crt

ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG TERRAFORM_IMAGE=hashicorp/terraform:1.11.4
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${TERRAFORM_IMAGE} AS terraform


# Scripts that the pages load; browsers get two files of them.
FROM ${NODE_IMAGE} AS scripts

WORKDIR /opt/scripts
COPY services/gateway/web/package.json services/gateway/web/package-lock.json ./
RUN --mount=type=secret,id=npm,target=/root/.npmrc \
    --mount=type=secret,id=ca,target=/run/ca.crt \
    if [ -e /run/ca.crt ]; then export NODE_EXTRA_CA_CERTS=/run/ca.crt; fi; \
    npm ci --no-audit --no-fund --ignore-scripts


FROM ${BASE_IMAGE} AS build

WORKDIR /opt/tollgate
RUN python3 -m venv .venv
COPY requirements.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    --mount=type=secret,id=ca,target=/run/ca.crt \
    if [ -e /run/ca.crt ]; then export PIP_CERT=/run/ca.crt; fi; \
    .venv/bin/pip install --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --requirement requirements.lock \
    && .venv/bin/pip uninstall --yes pip setuptools \
    && find .venv -type d -name tests -prune -exec rm -rf {} +
COPY contracts contracts
COPY runtime runtime
COPY services services
COPY devkit devkit
COPY tollgate tollgate
COPY --from=scripts /opt/scripts/node_modules/htmx.org/dist/htmx.min.js \
    services/gateway/web/node_modules/htmx.org/dist/htmx.min.js
COPY --from=scripts /opt/scripts/node_modules/echarts/dist/echarts.common.min.js \
    services/gateway/web/node_modules/echarts/dist/echarts.common.min.js
# Compiled here, because nobody can write there; the file's own time must not decide what is stale.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .


FROM ${BASE_IMAGE} AS tollgate

# Git is what the catalogue reads repositories with; its version is the base image's distribution's.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log

# Named volumes take their owner from these folders.
RUN for folder in archive segments work nats secrets \
        secrets/postgres secrets/nats secrets/migrate secrets/catalog secrets/deployer \
        secrets/ledger secrets/revenue secrets/gateway; do \
        install -d -o 10001 -g 10001 -m 0700 "/var/lib/tollgate/$folder"; \
    done

RUN printf '#!/bin/sh\nexec python3 -m tollgate "$@"\n' > /usr/local/bin/tollgate \
    && chmod 0755 /usr/local/bin/tollgate

COPY --from=terraform /bin/terraform /usr/local/bin/terraform
COPY --from=build /opt/tollgate /opt/tollgate

ENV PATH=/opt/tollgate/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/tollgate \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    TOLLGATE_HTTP_HOST=0.0.0.0 \
    TOLLGATE_HTTP_PORT=8080 \
    TOLLGATE_WORK_DIR=/var/lib/tollgate/work

USER 10001:10001
WORKDIR /
EXPOSE 8080
ENTRYPOINT ["tollgate"]
CMD ["--help"]
