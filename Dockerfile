# All programs of Rookery in one image.  Each container runs rookeryd as its
# PID 1, which runs what ROOKERY_SERVICES names (docker-compose.yml), or all.
#
#   docker build -t rookery .
#
# docs/containers.md says how to run it.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY scripts/deps scripts/
RUN scripts/deps build
COPY . .
RUN make -j"$(nproc)" && make install DESTDIR=/out

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Rookery" \
      org.opencontainers.image.description="A server that runs QQ bots on Tencent's official platform" \
      org.opencontainers.image.licenses="ISC"
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates libcurl4 libjson-c5 libmsgpackc2 libssl3 \
        libsqlite3-0 libwebsockets17 libzmq5 python3 \
 && rm -rf /var/lib/apt/lists/*

# A volume that is still empty takes the owner of the folder it is mounted on.
# VOLUME is left out on purpose: it would leave a nameless one behind for every
# container, and not all of them keep anything.
RUN groupadd --gid 10001 rookery \
 && useradd --uid 10001 --gid rookery --no-create-home \
        --home-dir /var/lib/rookery --shell /usr/sbin/nologin rookery \
 && install -d -m 0700 -o rookery -g rookery \
        /run/rookery /var/lib/rookery /var/lib/rookery/sim \
        /var/lib/rookery/state /var/lib/rookery/media \
        /etc/rookery/keys /etc/rookery/keys/api \
        /etc/rookery/keys/gateway /etc/rookery/keys/worker \
        /etc/rookery/keys/observer
COPY --from=build /out/usr/local/bin/ /usr/local/bin/
# Where handlers lie: these, unless another folder is mounted over them.
COPY examples/ /srv/bot/

ENV ROOKERY_RUN_DIR=/run/rookery ROOKERY_STATE_DIR=/var/lib/rookery
USER 10001:10001
WORKDIR /var/lib/rookery
STOPSIGNAL SIGTERM
# Ready, not merely alive; the table is kept for docker inspect.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["rookery", "status"]
ENTRYPOINT ["rookeryd"]
