# syntax=docker/dockerfile:1
# Two stages: the first builds, the second holds the binary and nothing that could build.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# The image's own toolchain is the one that rust-toolchain.toml asks for; nothing else is fetched.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin cmg \
    && install -D target/release/cmg /out/cmg \
    && install -d -m 0750 -o 10001 -g 10001 /out/data

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/cmg /usr/local/bin/cmg
COPY --from=build --chown=10001:10001 /out/data /data

USER 10001:10001
WORKDIR /data
# Secrets come from outside: SECRET_KEY (or SECRET_KEY_FILE), ADMIN_TOKEN and ADMIN_PASSWORD. The start stops without them.
ENV ENVIRONMENT=production SERVER_HOST=0.0.0.0 SERVER_PORT=8080 DATABASE_URL=sled:/data/db
# The root file system may be read-only: everything that is written goes here.
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["cmg", "doctor"]
ENTRYPOINT ["cmg"]
CMD ["serve"]
