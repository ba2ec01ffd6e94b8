# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the scripts that run at shutdown share: how long it may wait, and whether it is one.

# shellcheck disable=SC1091 # of the host
[ ! -e /etc/default/rnbd ] || . /etc/default/rnbd
: "${UNMAP_TIMEOUT:=30}"

going_down() {
	case $(systemctl is-system-running 2>/dev/null)/${RUNLEVEL:-} in
	stopping/* | */[06]) return 0 ;;
	esac
	return 1
}
