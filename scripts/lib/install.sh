# What scripts/install does, step by step. To be sourced after setup.sh, with PREFIX, WHEELHOUSE and RESTART set.
# shellcheck shell=bash
#
# Each version has an environment of its own in PREFIX/releases, and PREFIX/venv is a link to the one in use. So an upgrade
# that fails changes nothing, and a daemon that runs is never left with half of its files replaced.

MARK="$PREFIX/.installed-by-xdsd"
ETC=/etc/xdsd
STATE=/var/lib/xdsd
BIN=/usr/local/bin
LIB=/usr/local/lib
UNITS="$LIB/systemd/system"
UNIT_FILES=(xdsd.service xdsd.socket envoy-sidecar@.service xdsd-cert@.service xdsd-cert@.timer)
DROP_IN="$UNITS/xdsd.service.d/10-notify-reload.conf"

install() {
    check_place
    make_release
    check_settings
    put_files
    use_release
    tell_systemd
    say "xdsd $("$PREFIX/venv/bin/xdsd" --version | cut -d' ' -f2) is installed in $PREFIX"
    running xdsd.service || cat >&2 <<TEXT
settings:  $ETC/xdsd.yaml
start it:  systemctl enable --now xdsd
look:      systemctl status xdsd; xdsctl status
TEXT
}

# The service has no home, no /tmp but its own, and its units are made by replacing text.
check_place() {
    [[ "$PREFIX" =~ ^(/[A-Za-z0-9._+-]+)+$ ]] ||
        die "$PREFIX cannot be: take a path of letters, digits, dots, dashes and underlines"
    ! is_hidden "$PREFIX/" || die "$PREFIX cannot be: the service sees no home and no /tmp; take one as /opt/xdsd is"
    if [[ -e "$PREFIX" && ! -e "$MARK" ]] && [[ -n "$(ls -A "$PREFIX" 2>/dev/null)" ]]; then
        die "$PREFIX is there and was not made by this script: name another with --prefix, or remove it"
    fi
    if [[ -n "$WHEELHOUSE" && ! -d "$WHEELHOUSE" ]]; then
        die "there is no folder $WHEELHOUSE: fill one with pip download --no-deps -r requirements.lock -d $WHEELHOUSE"
    fi
    local name
    for name in xdsd xdsctl; do
        if [[ -e "$BIN/$name" || -L "$BIN/$name" ]] && ! is_ours "$BIN/$name"; then
            die "$BIN/$name is another program's: remove it first, the command of this name goes there"
        fi
    done
    mkdir -p "$PREFIX/releases"
    touch "$MARK"
}

is_hidden() { [[ "$1" =~ ^/(home|root|tmp|var/tmp|run/user)/ ]]; }

is_ours() { [[ -L "$1" && "$(readlink "$1")" == "$PREFIX/venv/bin/"* ]]; }

# The system's own Python rather than one that a user has: the service must see it too.
choose_python() {
    [[ -n "${XDSD_PYTHON:-}" || ! -x /usr/bin/python3 ]] || XDSD_PYTHON=/usr/bin/python3
    local python base
    python="$(find_python)"
    base="$("$python" -c 'import sys; print(sys.base_prefix)')"
    ! is_hidden "$base/" || die "$python stands in $base, which the service cannot see: name another by XDSD_PYTHON"
    XDSD_PYTHON="$python"
}

# Sets RELEASE to the environment with exactly this checkout in it, made unless it is there.
make_release() {
    local stamp
    choose_python
    stamp="$(
        {
            "$XDSD_PYTHON" --version
            cat requirements.lock pyproject.toml
            find api storage xdsd -type f -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        } | sha256sum | cut -c1-16
    )"
    RELEASE="$PREFIX/releases/$stamp"
    [[ -e "$RELEASE/.complete" ]] && return
    rm -rf "$RELEASE"
    VENV="$RELEASE"
    make_venv
    local from=()
    [[ -z "$WHEELHOUSE" ]] || from=(--no-index --find-links "$WHEELHOUSE")
    say "installing the locked versions"
    pip_install "${from[@]}" -r requirements.lock
    say "installing xdsd"
    pip_install --no-build-isolation .
    "$VENV/bin/python" -m pip check --disable-pip-version-check >&2 ||
        die "requirements.lock does not hold together (see above); nothing was changed"
    touch "$RELEASE/.complete"
}

pip_install() {
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --root-user-action ignore "$@" && return
    if [[ -n "$WHEELHOUSE" ]]; then
        die "$WHEELHOUSE lacks packages for $("$VENV/bin/python" --version) (see above); fill it with: \
pip download --no-deps -r requirements.lock -d $WHEELHOUSE"
    fi
    die "packages could not be installed (see above); without a network, use --wheelhouse"
}

check_settings() {
    [[ -e "$ETC/xdsd.yaml" ]] || return 0
    "$RELEASE/bin/xdsd" check-config --config "$ETC/xdsd.yaml" >/dev/null ||
        die "this version does not take the settings in $ETC/xdsd.yaml (see above); nothing was changed"
}

put_files() {
    local unit
    for unit in "${UNIT_FILES[@]}"; do
        put "deploy/systemd/$unit" "$UNITS/$unit"
    done
    put deploy/systemd/xdsd.sysusers.conf "$LIB/sysusers.d/xdsd.conf"
    put deploy/systemd/xdsd.tmpfiles.conf "$LIB/tmpfiles.d/xdsd.conf"
    if (("$(systemctl --version | awk 'NR == 1 { print int($2) }')" >= 253)); then
        put deploy/systemd/notify-reload.conf "$DROP_IN"
    else
        rm -f "$DROP_IN"
    fi
    systemd-sysusers "$LIB/sysusers.d/xdsd.conf"
    systemd-tmpfiles --create "$LIB/tmpfiles.d/xdsd.conf"
    [[ -e "$ETC/xdsd.yaml" ]] || put deploy/systemd/xdsd.yaml "$ETC/xdsd.yaml"
}

put() { sed "s|/opt/xdsd/|$PREFIX/|g" "$1" | command install -D -m 0644 /dev/stdin "$2"; }

# The release before this one stays: a daemon that runs may still need its files.
use_release() {
    local before old
    before="$(readlink "$PREFIX/venv" || true)"
    ln -sfn "$RELEASE" "$PREFIX/.venv.new"
    mv -T "$PREFIX/.venv.new" "$PREFIX/venv"
    ln -sfn "$PREFIX/venv/bin/xdsd" "$BIN/xdsd"
    ln -sfn "$PREFIX/venv/bin/xdsctl" "$BIN/xdsctl"
    [[ "$before" != "$RELEASE" ]] || return 0
    for old in "$PREFIX"/releases/*; do
        [[ "$old" == "$RELEASE" || "$old" == "$before" ]] || rm -rf "$old"
    done
}

booted() { [[ -d /run/systemd/system ]]; }
running() { booted && systemctl is-active --quiet "$1"; }

tell_systemd() {
    booted || return 0
    systemctl daemon-reload
    if running xdsd.service; then
        if [[ "$RESTART" == yes ]]; then
            say "restarting xdsd"
            systemctl restart xdsd.service ||
                die "xdsd did not start again: journalctl -u xdsd says why; the release before is $PREFIX/releases"
        else
            say "xdsd still runs as it was: systemctl restart xdsd, or --restart here, for what is new"
        fi
    fi
}

uninstall() {
    if [[ ! -e "$MARK" ]]; then
        die "nothing that this script installed is in $PREFIX; was it installed with another --prefix?"
    fi
    if booted; then
        local sidecars
        mapfile -t sidecars < <(systemctl list-units --all --plain --no-legend 'envoy-sidecar@*' 'xdsd-cert@*' | cut -d' ' -f1)
        systemctl disable --quiet --now xdsd.socket xdsd.service "${sidecars[@]}"
    fi
    local name
    for name in "${UNIT_FILES[@]}"; do
        rm -f "$UNITS/$name"
    done
    rm -f "$DROP_IN" "$LIB/sysusers.d/xdsd.conf" "$LIB/tmpfiles.d/xdsd.conf"
    remove_empty "$UNITS/xdsd.service.d" "$UNITS" "$LIB/systemd" "$LIB/sysusers.d" "$LIB/tmpfiles.d"
    for name in xdsd xdsctl; do
        ! is_ours "$BIN/$name" || rm "$BIN/$name"
    done
    if sed "s|/opt/xdsd/|$PREFIX/|g" deploy/systemd/xdsd.yaml | cmp -s - "$ETC/xdsd.yaml"; then
        rm "$ETC/xdsd.yaml"
    fi
    remove_empty "$ETC/machines" "$ETC/envoy" "$ETC/identity" "$ETC"
    rm -rf "$PREFIX"
    ! booted || systemctl daemon-reload
    say "xdsd is removed"
    tell_what_stays
}

tell_what_stays() {
    local stays=() each
    for each in "$STATE" "$ETC" /etc/systemd/system/{xdsd.service,xdsd.socket,envoy-sidecar@*}.d; do
        [[ ! -e "$each" ]] || stays+=("$each")
    done
    printf 'kept, with the users xdsd and envoy: %s\nto remove them for good: rm -r %s; userdel xdsd; userdel envoy\n' \
        "${stays[*]:-nothing}" "${stays[*]:-}" >&2
}

remove_empty() { rmdir --ignore-fail-on-non-empty "$@" 2>/dev/null || true; }
