#!/bin/sh
# Makes .venv from a hash-locked list of packages; a second run does nothing unless the list has changed.
# Usage, from the project's folder: sh deploy/set_up_venv.sh requirements.txt|requirements-test.txt
set -eu

lock=$1
python=.venv/bin/python
stamp=.venv/.installed-$lock
wanted="$(pwd)
$(cat "$lock" pyproject.toml | cksum)"

fail() {
    printf 'make: %s\n' "$*" >&2
    exit 1
}

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.12 python3.13 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

make_venv() {
    found=$(find_python)
    [ -n "$found" ] || fail "Python 3.11 or newer is needed and none was found (PYTHON=/path/to/python names one)"
    "$found" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$("$found" --version) has no venv module; install it (Debian: apt-get install $(basename "$found")-venv)"
    printf 'Making .venv with %s\n' "$("$found" --version)"
    rm -rf .venv
    "$found" -m venv .venv || fail "$found could not make .venv"
}

# pip's own lines go to a log; a person sees one line that counts.
install() {
    log=.venv/install.log
    total=$(grep -c '^[a-z0-9].*==' "$lock")
    printf 'Installing %s packages from %s (about a minute the first time)\n' "$total" "$lock"
    {
        status=0
        "$python" -m pip install --disable-pip-version-check --no-input --require-hashes --only-binary :all: \
            --requirement "$lock" 2>&1 || status=$?
        printf '%s\n' "$status" >.venv/install.status
    } | tee "$log" | awk -v total="$total" -v tty="$([ -t 1 ] && echo 1 || echo 0)" '
        /^Collecting / { n++; if (tty) printf "\r\033[K  %d of %d: %s", n, total, $2; else if (n % 20 == 0) printf "  %d of %d\n", n, total; fflush() }
        /^Installing collected/ { if (tty) printf "\r\033[K"; print "  unpacking"; fflush() }'
    [ "$(cat .venv/install.status)" = 0 ] || {
        tail -n 5 "$log" >&2
        fail "the packages could not be installed; pip's whole output is in $log"
    }
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . ||
        fail "the project itself could not be installed"
}

[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$python" -c '' 2>/dev/null && exit 0
# A tree that was moved leaves a .venv that points to where it was.
if ! "$python" -m pip --version >/dev/null 2>&1 || [ "$(cat .venv/.made-in 2>/dev/null)" != "$(pwd)" ]; then
    make_venv
    pwd >.venv/.made-in
fi
install
printf '%s' "$wanted" >"$stamp"
