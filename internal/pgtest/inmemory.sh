#!/bin/sh
# usage: inmemory.sh COMMAND [ARGUMENT]...
#
# Runs a command, such as go test. If this machine has memory to spare, the command's temporary
# files are in memory. If TMPDIR or GOTMPDIR is set, it stays as it is.
#
# Tests make and remove hundreds of thousands of small files, because each database has 300 of
# them. On ext4 a new file takes long if many others were just removed. This took a third of the
# tests' CPU time. No test needs a disk, because tests kill processes but never cut the power.
set -eu

memory=/dev/shm
leastFree=3145728      # KiB; all tests together need about 1 GiB, and building everything anew about 1 GiB more
leastAvailable=6291456 # KiB

# The folder always has the same name. If TMPDIR changed, go test would not use its kept results.
dir=$memory/daybook-$(id -u)

# spare tells whether there is a folder in memory that has enough room and lets programs run.
spare() {
	[ "$(stat -f -c %T "$memory")" = tmpfs ] || return 1
	[ "$(df -Pk "$memory" | awk 'NR == 2 { print $4 }')" -ge "$leastFree" ] || return 1
	[ "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)" -ge "$leastAvailable" ] || return 1
	mkdir -p "$dir" && [ ! -L "$dir" ] && [ -O "$dir" ] || return 1
	chmod 1777 "$dir" # if root runs this, databases run as another user
	# Removes what killed runs have left behind, after two days.
	find "$dir" -mindepth 1 -maxdepth 1 -mmin +2880 -exec rm -rf {} + || return 1
	program=$(mktemp "$dir/program.XXXXXX") || return 1
	printf '#!/bin/sh\n' >"$program" && chmod +x "$program"
	status=0
	"$program" || status=1
	rm -f "$program"
	return "$status"
}

if [ -z "${TMPDIR:-}${GOTMPDIR:-}" ] && spare 2>/dev/null; then
	export TMPDIR="$dir" GOTMPDIR="$dir" # testing.T.TempDir uses GOTMPDIR
fi
exec "$@"
