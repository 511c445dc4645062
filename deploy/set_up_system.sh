#!/bin/sh
# What some tests need from the system: Java and Maven (Apache Kafka), Chromium (browser tests), kcat (a foreign producer),
# kubectl (renders the Kubernetes manifests), Prometheus (alerts and dashboards). As root on Debian they are installed; else one line says what is missing and those
# tests skip themselves.
set -eu

# Prometheus is only unpacked into the user's cache: its package would start a server and run it at every boot.
prometheus=${XDG_CACHE_HOME:-$HOME/.cache}/ops-assist/prometheus

on_debian() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1
}

as_root_on_debian() {
    [ "$(id -u)" = 0 ] && on_debian
}

has_prometheus() {
    { [ -x "$prometheus/prometheus" ] && [ -x "$prometheus/promtool" ]; } ||
        { command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1; }
}

unpack_prometheus() {
    work=$(mktemp -d)
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download prometheus) &&
        dpkg -x "$work"/prometheus_*.deb "$work/files" &&
        mkdir -p "$prometheus" &&
        mv "$work/files/usr/bin/prometheus" "$work/files/usr/bin/promtool" "$prometheus/" || true
    rm -rf "$work"
}

missing=
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || missing="$missing chromium"
command -v kcat >/dev/null 2>&1 || missing="$missing kcat"
command -v kubectl >/dev/null 2>&1 || missing="$missing kubernetes-client"
has_prometheus || missing="$missing prometheus"
[ -n "$missing" ] || exit 0

if as_root_on_debian; then
    printf 'Installing what the tests need from the system:%s\n' "$missing"
    apt-get -qq update
fi
if on_debian && ! has_prometheus; then # any user may fetch a package
    unpack_prometheus
fi
if has_prometheus; then
    missing=$(printf '%s' "$missing" | sed 's/ prometheus$//')
fi
[ -n "$missing" ] || exit 0

if as_root_on_debian; then
    # shellcheck disable=SC2086 - a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
elif [ "${CI:-}" = true ]; then
    printf 'make: the tests need%s; install them (Debian: apt-get install%s)\n' "$missing" "$missing" >&2
    exit 1
else
    printf 'Some tests will be skipped: they need%s (Debian: apt-get install%s)\n' "$missing" "$missing" >&2
fi
