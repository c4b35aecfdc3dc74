# syntax=docker/dockerfile:1

FROM rust:1.95-bookworm AS build
# aws-lc and jemalloc are built from source, with the compiler and the make of this image.
WORKDIR /src
COPY . .
# /wait-shutdown is the preStop hook that ingress-nginx's manifests call: the same file by another name.
RUN cargo build --release --locked --bin portcullis \
    && mkdir /out && cp target/release/portcullis LICENSE /out/ && ln -s portcullis /out/wait-shutdown

# glibc and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="portcullis" \
      org.opencontainers.image.description="An ingress controller and L7 reverse proxy: the drop-in for ingress-nginx" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/ /
# The user of ingress-nginx's image, so that its manifests fit: www-data, with group 82. It writes no file and runs with
# a read-only root. Ports below 1024 need NET_BIND_SERVICE or, as container runtimes set it, a
# net.ipv4.ip_unprivileged_port_start of 0.
USER 101:82
EXPOSE 80 443 8443 10254
ENTRYPOINT ["/portcullis"]
CMD ["run"]
