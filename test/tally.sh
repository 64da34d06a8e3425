# Shared by the scripts that run tests: counting, and how a run ends. Sourced
# after lib.sh. The last line that a run prints is
# "N passed, N failed[, N skipped]".

source "$REPO/test/cgroup.sh"

PASSED=0
FAILED=0
SKIPPED=0
FINISHED=
SCRATCH=

fail()
{
	say "FAILED: $*"
	FAILED=$((FAILED + 1))
}

skip()
{
	say "SKIPPED: $*"
	SKIPPED=$((SKIPPED + 1))
}

# A server that died of itself is a failure, whatever the tests made of it.
# (Servers and processes that tests kill die of signal 9 or 3.)
# check_server_logs FOLDER...
check_server_logs()
{
	local found

	found=$(grep -rHE 'PANIC:|TRAP:|terminated by signal (4|6|7|8|11)\b' \
		"$@" --include='*.log' 2>/dev/null | head -n 20 || true)
	if [[ -n $found ]]; then
		echo "$found"
		fail "a server crashed"
	fi
}

stop_all_servers()
{
	local pidfile

	for pidfile in $(find "$SCRATCH" -name postmaster.pid 2>/dev/null); do
		stop_server "$(dirname "$pidfile")"
	done
}

# Whatever happens, stop the servers and close with the count.
finish()
{
	local status=$?

	trap - EXIT
	set +e
	if [[ -n $SCRATCH ]]; then
		stop_all_servers
	fi
	remove_cgroup
	if [[ -z $FINISHED ]]; then
		FAILED=$((FAILED + 1))
		say "the test run ended early (status $status)"
	fi
	if [[ $PASSED -eq 0 && $FAILED -eq 0 ]]; then
		say "no tests were run"
	fi
	if [[ $FAILED -gt 0 || -n ${KEEP:-} ]]; then
		say "logs and results are kept in $SCRATCH"
	else
		rm -rf "$SCRATCH"
	fi
	printf '%d passed, %d failed' "$PASSED" "$FAILED"
	if [[ $SKIPPED -gt 0 ]]; then
		printf ', %d skipped' "$SKIPPED"
	fi
	printf '\n'
	exit $((FAILED > 0 || PASSED == 0))
}

# Have the run end by finish().
begin_tally()
{
	trap finish EXIT
	trap 'exit 130' INT TERM
}
