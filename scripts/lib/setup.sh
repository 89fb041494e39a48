# Shared by the scripts: Python, the environment in .venv, Debian packages. To be sourced.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
VENV="${XDSD_VENV:-$ROOT/.venv}"
cd "$ROOT"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

in_ci() { [[ "${CI:-}" == true || "${CI:-}" == 1 ]]; }

# Runs a command as root, when we are root or may become root without being asked for a password.
as_root() {
    if [[ "$(id -u)" == 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# Installs Debian packages; false where that cannot be done.
apt_install() {
    command -v apt-get >/dev/null || return 1
    say "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 || return 1
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

find_python() {
    local candidate
    for candidate in ${XDSD_PYTHON:+"$XDSD_PYTHON"} python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed; none was found (XDSD_PYTHON may name one)"
}

# Debian keeps ensurepip, and with it the power to make environments that have pip, in a package of its own.
make_venv() {
    local python
    python="$(find_python)"
    say "making $VENV with $("$python" --version)"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        local version
        version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
        if ! apt_install "python$version-venv"; then
            # A pip that is installed otherwise can put itself into an environment without one.
            "$python" -m venv --without-pip "$VENV" &&
                "$python" -m pip --python "$VENV/bin/python" install --quiet pip ||
                die "$python cannot make environments: install the package python$version-venv"
            return
        fi
    fi
    "$python" -m venv "$VENV"
}

# ensure_venv run|dev: the environment with exactly the locked versions. Quick when nothing changed.
ensure_venv() {
    local set="$1" lock stamp
    case "$set" in
        run) lock=requirements.lock ;;
        dev) lock=requirements-dev.lock ;;
        *) die "no such set of requirements: $set" ;;
    esac
    [[ -x "$VENV/bin/python" && -x "$VENV/bin/pip" ]] || make_venv
    stamp="$(cat requirements.lock requirements-dev.lock pyproject.toml | sha256sum | cut -d' ' -f1) $ROOT"
    # What the tests need includes what the daemon needs.
    if [[ "$(cat "$VENV/.xdsd-$set" 2>/dev/null)" == "$stamp" ||
        "$(cat "$VENV/.xdsd-dev" 2>/dev/null)" == "$stamp" ]]; then
        return
    fi
    say "installing the locked versions ($lock)"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$lock"
    "$VENV/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    printf '%s' "$stamp" >"$VENV/.xdsd-$set"
}

# The Envoy binary in its cache folder, fetched on first use. Sets XDSD_ENVOY.
ensure_envoy() {
    XDSD_ENVOY="$("$VENV/bin/python" -m xdsd.demo.envoy)"
    export XDSD_ENVOY
}

# Programs that tests in network namespaces, or on a machine with a systemd, drive. Without them those tests skip and say
# so; in CI they may not.
ensure_test_programs() {
    local missing=()
    command -v iptables >/dev/null || [[ -x /usr/sbin/iptables ]] || missing+=(iptables)
    command -v ip >/dev/null || [[ -x /usr/sbin/ip ]] || missing+=(iproute2)
    command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
    command -v debootstrap >/dev/null || [[ -x /usr/sbin/debootstrap ]] || missing+=(debootstrap)
    ((${#missing[@]} == 0)) && return
    if ! apt_install "${missing[@]}"; then
        in_ci && die "the tests need ${missing[*]}, which cannot be installed here"
        say "without ${missing[*]} the tests that need them are skipped"
    fi
}

# An etcd of Debian's, unpacked into the cache rather than installed, so that no service of it is started here. Sets
# XDSD_ETCD, unless an etcd is at hand.
ensure_etcd() {
    [[ -z "${XDSD_ETCD:-}" ]] || return 0
    ! { command -v etcd && command -v etcdctl; } >/dev/null || return 0
    local folder="${XDSD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xdsd}/etcd"
    if [[ ! -x "$folder/usr/bin/etcdctl" ]] && ! unpack "$folder" etcd-server etcd-client; then
        in_ci && die "the tests need etcd-server and etcd-client, which cannot be had here"
        say "without etcd-server and etcd-client the tests that need them are skipped"
        return 0
    fi
    export XDSD_ETCD="$folder/usr/bin"
}

# The same for Debian's redis-server, with the libraries that it links beside it. Sets XDSD_REDIS.
ensure_redis() {
    [[ -z "${XDSD_REDIS:-}" ]] || return 0
    ! command -v redis-server >/dev/null || return 0
    local folder="${XDSD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xdsd}/redis"
    if [[ ! -x "$folder/usr/bin/redis-server" ]] &&
        ! unpack "$folder" redis-server redis-tools liblzf1 libjemalloc2; then
        in_ci && die "the tests need redis-server, which cannot be had here"
        say "without redis-server the tests that need it are skipped"
        return 0
    fi
    export XDSD_REDIS="$folder/usr/bin"
}

# The same for Debian's consul, which newer releases than bullseye do not have: from the mirror that this machine has its
# own packages from, with apt's checks of signatures and checksums. Sets XDSD_CONSUL.
ensure_consul() {
    [[ -z "${XDSD_CONSUL:-}" ]] || return 0
    ! command -v consul >/dev/null || return 0
    local folder="${XDSD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xdsd}/consul"
    if [[ ! -x "$folder/usr/bin/consul" ]] && ! unpack_of bullseye "$folder" consul; then
        in_ci && die "the tests need consul, which cannot be had here"
        say "without consul the tests that need it are skipped"
        return 0
    fi
    export XDSD_CONSUL="$folder/usr/bin"
}

# unpack_of RELEASE FOLDER PACKAGE…: what packages of another release of Debian's hold. This machine's own lists and sources
# are left as they are.
unpack_of() {
    local release="$1" folder="$2" mirror work keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=()
    shift 2
    command -v apt-get >/dev/null || return 1
    # What a mirror says of itself is known once its lists are.
    mirror="$(debian_mirror)"
    if [[ -z "$mirror" ]]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 || return 1
        mirror="$(debian_mirror)"
    fi
    [[ -n "$mirror" ]] || return 1
    say "fetching $* of $release"
    mkdir -p "$(dirname "$folder")"
    work="$(mktemp -d "$folder.XXXXXX")"
    chmod 755 "$work"
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
    [[ -f "$keyring" ]] && options=("[signed-by=$keyring]")
    echo "deb ${options[*]} $mirror $release main" >"$work/apt/sources.list"
    options=(-o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=)
    (cd "$work" && apt-get "${options[@]}" -qq update >&2 && apt-get "${options[@]}" -qq download "$@" >&2) ||
        { rm -rf "$work" && return 1; }
    rm -r "$work/apt"
    unfold "$work" "$folder"
}

# The mirror of Debian's that this machine's own sources name.
debian_mirror() {
    apt-get indextargets --format "\$(REPO_URI)" "Created-By: Packages" "Origin: Debian" "Label: Debian" "Component: main" |
        head -n 1
}

# A kube-apiserver, built from Debian's source, and the kubectl that belongs to it. Sets XDSD_KUBERNETES.
ensure_kube() {
    [[ -z "${XDSD_KUBERNETES:-}" ]] || return 0
    local folder="${XDSD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xdsd}/kubernetes-1.20.2-2"
    if [[ ! -x "$folder/usr/bin/kube-apiserver" ]] && ! build_kube "$folder"; then
        in_ci && die "the tests need a kube-apiserver, which cannot be built here"
        say "without a kube-apiserver the tests that need it are skipped"
        return 0
    fi
    export XDSD_KUBERNETES="$folder/usr/bin"
}

build_kube() {
    local missing=()
    command -v apt-get >/dev/null && [[ -n "$(debian_mirror)" ]] || return 1
    command -v dpkg-source >/dev/null || missing+=(dpkg-dev)
    command -v make >/dev/null || missing+=(make)
    ((${#missing[@]} == 0)) || apt_install "${missing[@]}" || return 1
    say "building a kube-apiserver, which takes minutes (its output is in $1.log)"
    mkdir -p "$(dirname "$1")"
    scripts/lib/build-kubernetes "$1" "$(debian_mirror)" >"$1.log" 2>&1 || {
        tail -n 20 "$1.log" >&2
        return 1
    }
}

# unpack FOLDER PACKAGE…: what Debian packages hold, in a folder that is there whole or not at all.
unpack() {
    local folder="$1" work
    shift
    command -v apt-get >/dev/null || return 1
    say "fetching $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 || say "the lists of packages are as they were"
    mkdir -p "$(dirname "$folder")"
    work="$(mktemp -d "$folder.XXXXXX")"
    chmod 755 "$work"
    (cd "$work" && apt-get -qq download "$@" >&2) || { rm -rf "$work" && return 1; }
    unfold "$work" "$folder"
}

# unfold WORK FOLDER: the packages in a folder, unpacked in it, which then takes the other's place.
unfold() {
    local work="$1" folder="$2" package
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work" && rm "$package"
    done
    rm -rf "$folder"
    mv "$work" "$folder"
}
