#!/bin/sh
# usage: failed.sh COMMAND [ARGUMENT]...
#
# Runs a command, such as go test, and ends with its status. If the command fails, the names of the
# failed tests are printed again at the end, because the output of one test can be very long.
set -eu

log=$(mktemp)
trap 'rm -f "$log" "$log.status"' EXIT
{
	status=0
	"$@" 2>&1 || status=$?
	echo "$status" >"$log.status"
} | tee "$log"
status=$(cat "$log.status")
if [ "$status" -ne 0 ]; then
	printf '\nFailed, with status %s:\n' "$status"
	grep -E '^ *--- FAIL|^panic: |^FAIL[[:space:]]' "$log" || true
fi
exit "$status"
