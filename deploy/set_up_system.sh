#!/bin/sh
# What some tests need from the system: Java and Maven (Apache Kafka), Chromium (browser tests), kcat (a foreign producer).
# As root on Debian they are installed; else one line says what is missing and those tests skip themselves.
set -eu

missing=
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || missing="$missing chromium"
command -v kcat >/dev/null 2>&1 || missing="$missing kcat"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    printf 'Installing what the tests need from the system:%s\n' "$missing"
    # shellcheck disable=SC2086 - a list of package names
    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
elif [ "${CI:-}" = true ]; then
    printf 'make: the tests need%s; install them (Debian: apt-get install%s)\n' "$missing" "$missing" >&2
    exit 1
else
    printf 'Some tests will be skipped: they need%s (Debian: apt-get install%s)\n' "$missing" "$missing" >&2
fi
