#!/bin/sh
# What some tests need from the system: Java and Maven (Apache Kafka), Chromium (browser tests), kcat (a foreign producer),
# kubectl (renders the Kubernetes manifests), Prometheus (alerts and dashboards), rsyslog and Alertmanager (senders). As root
# on Debian they are installed; else one line says what is missing and those tests skip themselves.
set -eu

# These are only unpacked into the user's cache: their packages would start a service and run it at every boot.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ops-assist
rsyslog_packages="rsyslog rsyslog-kafka libestr0 libfastjson4 liblognorm5 librdkafka1 libsasl2-2"

on_debian() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1
}

as_root_on_debian() {
    [ "$(id -u)" = 0 ] && on_debian
}

has_prometheus() {
    { [ -x "$cache/prometheus/prometheus" ] && [ -x "$cache/prometheus/promtool" ]; } ||
        { command -v prometheus >/dev/null 2>&1 && command -v promtool >/dev/null 2>&1; }
}

has_alertmanager() {
    [ -x "$cache/prometheus-alertmanager/prometheus-alertmanager" ] || command -v prometheus-alertmanager >/dev/null 2>&1
}

has_rsyslog() {
    [ -x "$cache/rsyslog/usr/sbin/rsyslogd" ]
}

# fetch DIRECTORY PACKAGE...: the files of some packages, without their scripts.
fetch() {
    into=$1
    shift
    (cd "$into" && apt-get -qq -o APT::Sandbox::User=root download "$@") || return 1
    for package in "$into"/*.deb; do
        dpkg -x "$package" "$into/files" || return 1
    done
}

unpack_prometheus() {
    work=$(mktemp -d)
    if fetch "$work" prometheus; then
        mkdir -p "$cache/prometheus"
        mv "$work/files/usr/bin/prometheus" "$work/files/usr/bin/promtool" "$cache/prometheus/" || true
    fi
    rm -rf "$work"
}

# Debian's build reads its templates from /usr/share; the unpacked one reads them from the directory that it is started in.
unpack_alertmanager() {
    work=$(mktemp -d)
    from=/usr/share/prometheus/alertmanager
    here=./././././././././././././././././ # as long as the other
    if fetch "$work" prometheus-alertmanager; then
        mkdir -p "$cache/prometheus-alertmanager"
        LC_ALL=C sed "s|$from|$here|g" "$work/files/usr/bin/prometheus-alertmanager" >"$work/program" &&
            chmod +x "$work/program" &&
            mv "$work/files$from"/*.tmpl "$work/program" "$cache/prometheus-alertmanager/" &&
            mv "$cache/prometheus-alertmanager/program" "$cache/prometheus-alertmanager/prometheus-alertmanager" || true
    fi
    rm -rf "$work"
}

unpack_rsyslog() {
    work=$(mktemp -d)
    # shellcheck disable=SC2086 - a list of package names
    if fetch "$work" $rsyslog_packages; then
        rm -rf "$cache/rsyslog"
        mkdir -p "$cache/rsyslog/usr"
        mv "$work/files/usr/sbin" "$work/files/usr/lib" "$cache/rsyslog/usr/" || true
    fi
    rm -rf "$work"
}

to_unpack() {
    has_prometheus || printf ' prometheus'
    has_alertmanager || printf ' prometheus-alertmanager'
    has_rsyslog || printf ' rsyslog rsyslog-kafka'
}

missing=
command -v java >/dev/null 2>&1 || missing="$missing default-jre-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 || missing="$missing chromium"
command -v kcat >/dev/null 2>&1 || missing="$missing kcat"
command -v kubectl >/dev/null 2>&1 || missing="$missing kubernetes-client"
unpacked=$(to_unpack)
[ -n "$missing$unpacked" ] || exit 0

if as_root_on_debian; then
    printf 'Fetching what the tests need from the system:%s%s\n' "$missing" "$unpacked"
    apt-get -qq update
fi
if on_debian; then # any user may fetch a package
    has_prometheus || unpack_prometheus
    has_alertmanager || unpack_alertmanager
    has_rsyslog || unpack_rsyslog
fi
if [ -n "$missing" ] && as_root_on_debian; then
    # shellcheck disable=SC2086 - a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
    missing=
fi
missing="$missing$(to_unpack)"
[ -n "$missing" ] || exit 0

if [ "${CI:-}" = true ]; then
    printf 'make: the tests need%s; install them (Debian: apt-get install%s)\n' "$missing" "$missing" >&2
    exit 1
fi
printf 'Some tests will be skipped: they need%s (Debian: apt-get install%s)\n' "$missing" "$missing" >&2
