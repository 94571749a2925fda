#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Make .venv hold exactly what constraints.txt says, and the system what the simulators need. Does nothing when nothing changed.
# PYTHON=python3.12 sh tools/setup.sh chooses the interpreter. Exit code 4: something is missing that only the user can install.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=.venv
stamp=$venv/trifactor-setup

say() { printf '%s\n' "$*" >&2; }
stop() { say "error: $1"; [ -z "${2:-}" ] || say "hint: $2"; exit 4; }

# Prints the Debian packages that are missing, one a line.
missing_packages() {
    command -v iverilog >/dev/null 2>&1 || echo iverilog
    command -v g++ >/dev/null 2>&1 || echo g++
    command -v make >/dev/null 2>&1 || echo make
    # A minimal Debian has a perl, but without the modules that Verilator's script loads.
    perl -MFindBin -MGetopt::Long -MPod::Usage -e 1 >/dev/null 2>&1 || echo perl
    if ! command -v "$python" >/dev/null 2>&1; then
        [ "$python" = python3 ] && echo python3 python3-venv libpython3-dev
        return 0
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$(debian_python)-venv"
    # cocotb embeds Python in the simulator, so the shared library is needed beside the interpreter.
    "$python" - <<'EOF' || echo "lib$(debian_python)-dev"
import ctypes, os, sys, sysconfig
name = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so"
folders = (sysconfig.get_config_var("LIBDIR") or "", os.path.join(sys.base_prefix, "lib"))
for path in (*(os.path.join(f, n) for f in folders for n in (name, name + ".1.0")), name + ".1.0", name):
    try:
        ctypes.CDLL(path)
        sys.exit(0)
    except OSError:
        pass
sys.exit(1)
EOF
}

# python3 where Debian's default is meant, else python3.12 and the like.
debian_python() {
    if [ "$python" = python3 ]; then echo python3; else "$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'; fi
}

install_packages() {
    command -v apt-get >/dev/null 2>&1 || stop "missing on this system: $1" "install them with your package manager, then run the same command again"
    if [ "$(id -u)" = 0 ]; then as_root=""
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root="sudo -n"
    else stop "missing on this system: $1" "run: sudo apt-get install -y $1"; fi
    say "setup: installing $1"
    log=$(mktemp)
    # The package lists may be absent or old, so a failure is tried once more after an update.
    # shellcheck disable=SC2086
    if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $1 >"$log" 2>&1; then
        $as_root apt-get update >"$log" 2>&1 || true
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $1 >"$log" 2>&1 || {
            tail -n 5 "$log" >&2
            stop "apt-get could not install: $1" "run: sudo apt-get update && sudo apt-get install -y $1"
        }
    fi
    rm -f "$log"
}

wanted=$(missing_packages | tr '\n' ' ' | sed 's/ $//')
[ -z "$wanted" ] || install_packages "$wanted"
command -v "$python" >/dev/null 2>&1 || stop "$python is not there" "run: sudo apt-get install -y python3 python3-venv"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "Python 3.11 or newer is needed, $python is $("$python" -c 'import platform; print(platform.python_version())')" \
        "install a newer one and run: make PYTHON=python3.12 ..."
left=$(missing_packages | tr '\n' ' ' | sed 's/ $//')
[ -z "$left" ] || stop "still missing: $left" "run: sudo apt-get install -y $left"

now=$({ cat pyproject.toml constraints.txt tools/setup.sh; "$python" -VV; pwd; } | cksum)
if [ -x $venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$now" ]; then exit 0; fi

say "setup: preparing $venv (once; a few minutes, and 2 to 6 GB of disk)"
rm -f $stamp
[ -x $venv/bin/python ] && $venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear $venv
# PyPI's torch for Linux brings gigabytes of GPU libraries; the CPU build of the same version wins where its index answers.
set --
if [ "$(uname -s)" = Linux ] && $venv/bin/python - <<'EOF' 2>/dev/null
import urllib.request
urllib.request.urlopen("https://download.pytorch.org/whl/cpu/torch/", timeout=5).read(1)
EOF
then set -- --extra-index-url https://download.pytorch.org/whl/cpu; fi
install() {
    $venv/bin/python -m pip install -qq --disable-pip-version-check "$@" -c constraints.txt ||
        stop "pip could not install the packages of constraints.txt" "check network and free space, then try again"
}
# setuptools first, at its own pinned version: without build isolation nothing unpinned comes in by the back door.
install pip setuptools
install "$@" --no-build-isolation -e '.[dev]'
printf '%s\n' "$now" >$stamp
say "setup: done"
