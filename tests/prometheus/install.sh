#!/bin/sh
# Unpacks Debian's package of Prometheus below the directory that is given, and prints the path of its program. Nothing is
# installed in the system, and no service starts.
set -eu
directory=$1
program=$directory/usr/bin/prometheus
if [ ! -x "$program" ]; then
    mkdir -p "$directory/package"
    cd "$directory/package"
    apt-get download prometheus >&2
    dpkg-deb -x ./prometheus_*.deb "$directory.new"
    mkdir -p "$directory/usr/bin"
    mv "$directory.new/usr/bin/prometheus" "$program"
    rm -rf "$directory.new" "$directory/package"
fi
printf '%s\n' "$program"
