# SPDX-License-Identifier: MIT
# shellcheck shell=sh
#
# What a machine needs, in one list; ./check and ./quickstart read it.
#
#     . dist/packages.sh
#     ensure_packages build          or: ensure_packages build test, or bench, or machine
#
# installs what is missing where it can (as root, with apt-get), and otherwise
# says which command would do it and fails.  Where nothing is missing it does
# nothing and needs no network.

# For what, the Debian package, and how to tell that it is there: a command, a
# pkg-config module, a file, the package itself, or a module of Debian's python3.
packages='
build gcc           command    gcc
build libc6-dev     file       /usr/include/stdio.h
build make          command    make
build autoconf      command    autoreconf
build automake      command    automake
build libtool       command    libtoolize
build pkg-config    command    pkg-config
build libevent-dev  pkg-config libevent_core
build liburcu-dev   pkg-config liburcu-bp
test  check         pkg-config check
test  clang         command    clang
test  libclang-rt-14-dev package libclang-rt-14-dev
test  python3       file       /usr/bin/python3
test  python3-redis python     redis
test  redis-tools   command    redis-cli
test  spin          command    spin
test  strace        command    strace
test  xz-utils      command    xz
bench liblmdb-dev   pkg-config lmdb
bench libsqlite3-dev pkg-config sqlite3
bench librocksdb-dev pkg-config rocksdb
bench libhiredis-dev pkg-config hiredis
bench redis-server  command    redis-server
bench python3       file       /usr/bin/python3
machine user-mode-linux command linux.uml
machine e2fsprogs   command    mkfs.ext4
machine xfsprogs    command    mkfs.xfs
machine btrfs-progs command    mkfs.btrfs
machine python3     file       /usr/bin/python3
'

package_is_there() { # KIND NAME
    case $1 in
    command) command -v "$2" ;;
    pkg-config) pkg-config --exists "$2" ;;
    file) [ -e "$2" ] ;;
    package) dpkg -s "$2" ;;
    python) /usr/bin/python3 -c "import $2" ;;
    *) echo "dist/packages.sh: unknown kind $1" >&2; return 1 ;;
    esac >/dev/null 2>&1
}

# The packages for the given purposes that are missing, on one line.
missing_packages() {
    echo "$packages" | while read -r purpose package kind name; do
        case " $* " in
        *" $purpose "*) package_is_there "$kind" "$name" || printf '%s ' "$package" ;;
        esac
    done
}

ensure_packages() {
    missing=$(missing_packages "$@")
    [ -z "$missing" ] && return 0

    install="apt-get install -y --no-install-recommends $missing"
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "$0: not a Debian-like system; please install what Debian calls: $missing" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "$0: some packages are missing; please run" >&2
        echo "    sudo apt-get update && sudo $install" >&2
        return 1
    fi
    echo "Installing $missing"
    export DEBIAN_FRONTEND=noninteractive
    if ! apt-get update -qq || ! $install -qq; then
        echo "$0: could not install: $missing" >&2
        return 1
    fi
    missing=$(missing_packages "$@")
    if [ -n "$missing" ]; then
        echo "$0: installed, but still not found: $missing" >&2
        return 1
    fi
}
