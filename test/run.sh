#!/usr/bin/env bash
#
# Build and install vecseg, then run its tests:
#
#   test/run.sh [regress] [isolation] [tap]      default: all three
#
#   regress     sql/*.sql, in the order of test/regress_schedule
#   isolation   test/isolation/specs/*.spec
#   tap         test/t/*.pl
#
# REGRESS, ISOLATION and TESTS (names, with or without folder and suffix)
# choose single tests; what none of them names is then left out. Each SQL
# script and each spec counts as one test, a TAP test as its assertions.
#
# The last line is "N passed, N failed[, N skipped]". Everything is written to
# a scratch folder, removed unless a test failed or KEEP=1 is set. After an
# intended change: cp SCRATCH/regress/results/NAME.out expected/
#
# Also heeded: PGVER, PG_CONFIG, PROVE_JOBS (2), VECSEG_TEST_HARD=1,
# VECSEG_STEP_TIMEOUT (seconds for each of the three: 10800, hard 43200).

set -euo pipefail
shopt -s nullglob
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$REPO/test/tally.sh"

STEP_TIMEOUT=${VECSEG_STEP_TIMEOUT:-${VECSEG_TEST_HARD:+43200}}
STEP_TIMEOUT=${STEP_TIMEOUT:-10800}

# Names without folder and suffix.
base_names()
{
	local name

	for name in "$@"; do
		name=${name##*/}
		echo "${name%.*}"
	done
}

step()
{
	as_server timeout -k 30 "$STEP_TIMEOUT" "$@" </dev/null
}

# A test without expected output must fail like others, not end the run.
expect_something()
{
	local input=$1 test
	shift

	mkdir -p "$input/expected"
	for test in "$@"; do
		if ! compgen -G "$input/expected/${test}*.out" >/dev/null; then
			say "$test has no expected output yet"
			: >"$input/expected/$test.out"
		fi
	done
}

# run_pg_regress NAME PROGRAM INPUTDIR TEST...: count what it reports.
run_pg_regress()
{
	local name=$1 program=$2 input=$3 out=$SCRATCH/$1 ok
	shift 3

	say "$name: $# tests"
	expect_something "$input" "$@"
	(cd "$SCRATCH" && step "$program" --bindir="$BINDIR" --inputdir="$input" \
		--outputdir="$out" --host="$SOCKET_DIR" --port=5432 --user=postgres \
		--dbname="${name}_vecseg" --load-extension=vecseg "$@") 2>&1 |
		grep --line-buffered -vE '^(SET|.* DATABASE|CREATE EXTENSION)$' |
		tee "$SCRATCH/log/$name.log" || true
	ok=$(grep -cE '^(test| {4}) .*\.\.\. ok |^ok [0-9]+ ' \
		"$SCRATCH/log/$name.log" || true)
	PASSED=$((PASSED + ok))
	FAILED=$((FAILED + $# - ok))
	if [[ -s $out/regression.diffs ]]; then
		head -n 200 "$out/regression.diffs"
	fi
}

run_regress()
{
	local schedule=$SRC/test/regress_schedule scheduled='' tests name

	if [[ -f $schedule ]]; then
		scheduled=$(sed -n 's/^test: *//p' "$schedule" | tr -s ' ' '\n')
	fi
	for name in $(base_names "$SRC"/sql/*.sql); do
		if [[ $name != vecseg--* ]] && ! grep -qxF "$name" <<<"$scheduled"; then
			fail "sql/$name.sql is not in test/regress_schedule"
		fi
	done
	mapfile -t tests < <(base_names ${REGRESS:-$scheduled})
	if [[ ${#tests[@]} -eq 0 ]]; then
		skip "regress: there are no SQL scripts"
		return
	fi
	run_pg_regress regress "$PGXS_DIR/src/test/regress/pg_regress" "$SRC" \
		"${tests[@]}"
}

run_isolation()
{
	local tests

	mapfile -t tests < <(base_names \
		${ISOLATION:-"$SRC"/test/isolation/specs/*.spec})
	if [[ ${#tests[@]} -eq 0 ]]; then
		skip "isolation: there are no specs"
		return
	fi
	run_pg_regress isolation \
		"$PGXS_DIR/src/test/isolation/pg_isolation_regress" \
		"$SRC/test/isolation" "${tests[@]}"
}

# run_tap_files FOLDER FILE...: count their assertions; FOLDER is for their files.
run_tap_files()
{
	local folder=$1 passed failed skipped name
	shift

	as_server mkdir -p "$folder"
	(
		cd "$SRC/test"
		enter_cgroup
		export TMPDIR=$SCRATCH/tmp
		export PG_TEST_PORT_DIR=$SCRATCH/tap/ports
		export PG_REGRESS=$PGXS_DIR/src/test/regress/pg_regress
		export PERL5LIB=$PGXS_DIR/src/test/perl:$SRC/test/perl
		export VECSEG_TEST_DATA=$SRC/test/data
		# a busy machine may need more than PostgreSQL's 1 and 3 minutes, as
		# for a recovery
		export PGCTLTIMEOUT=${PGCTLTIMEOUT:-900}
		export PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-900}
		step perl perl/run_tap.pl "$folder/counts" "$@" 2>&1
	) || true
	if [[ ! -s $folder/counts ]]; then
		fail "tap: the tests did not end (limit: $STEP_TIMEOUT s)"
		return
	fi
	read -r passed failed skipped <"$folder/counts"
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + failed))
	SKIPPED=$((SKIPPED + skipped))
	for name in $(cat "$folder/failed" 2>/dev/null); do
		say "$name failed; the end of its log, and of its servers':"
		tail -n 100 "$folder/$name/tmp_check/log/regress_log_$name" || true
		tail -n 20 "$folder/$name/tmp_check/log/"*.log || true
	done
}

# Run a test in a control group of little memory.
run_limited()
{
	local MEMORY_LIMIT=$((160 << 20))

	if [[ -n ${SANITIZE:-} ]]; then
		skip "$1: with sanitizers no server starts in so little memory"
		return
	fi
	if ! make_cgroup; then
		skip "$1: control groups cannot be made here (as root they can)"
		return
	fi
	VECSEG_TEST_MEMORY_LIMIT=$MEMORY_LIMIT run_tap_files "$SCRATCH/tap/limited" "$1"
	remove_cgroup
}

run_tap()
{
	local tests name files=() limited=

	mapfile -t tests < <(base_names ${TESTS:-"$SRC"/test/t/*.pl})
	if [[ ${#tests[@]} -eq 0 ]]; then
		skip "tap: there are no TAP tests"
		return
	elif [[ ! -f $PGXS_DIR/src/test/perl/PostgreSQL/Test/Cluster.pm ]]; then
		fail "tap: this PostgreSQL was installed without its Perl test modules"
		return
	fi
	say "tap: ${#tests[@]} files"
	for name in "${tests[@]}"; do
		if [[ ! -f $SRC/test/t/$name.pl ]]; then
			fail "tap: there is no test/t/$name.pl"
			return
		elif [[ $name == 019_limited_memory ]]; then
			limited=t/$name.pl
		else
			files+=("t/$name.pl")
		fi
	done
	# From Linux 6.14 on, the io_uring queues of all servers of a user count
	# together as locked memory, of which there are 8 MB as a rule.
	stop_server "$SCRATCH/data"
	if [[ -n $limited ]]; then run_limited "$limited"; fi
	if [[ ${#files[@]} -gt 0 ]]; then run_tap_files "$SCRATCH/tap" "${files[@]}"; fi
}

# Which of the three to run when the command line does not say.
default_parts()
{
	if [[ -n ${REGRESS:-}${ISOLATION:-}${TESTS:-} ]]; then
		echo ${REGRESS:+regress} ${ISOLATION:+isolation} ${TESTS:+tap}
	else
		echo regress isolation tap
	fi
}

main()
{
	local parts part

	read -ra parts <<<"${*:-$(default_parts)}"
	begin_tally
	make_scratch vecseg-test
	prepare

	# The server's user may not be able to read the repository.
	SRC=$SCRATCH/src
	mkdir "$SRC" "$SCRATCH/tmp" "$SCRATCH/tap" "$SCRATCH/regress" "$SCRATCH/isolation"
	for part in test sql expected README.md META.json vecseg.control; do
		if [[ -e $REPO/$part ]]; then
			cp -R "$REPO/$part" "$SRC"
		fi
	done
	version_settings >>"$SRC/test/conf/tap.conf"
	give_to_server "$SCRATCH"

	if [[ " ${parts[*]} " =~ \ (regress|isolation)\  ]]; then
		start_server "$REPO"/test/conf/{vecseg,regress}.conf
	fi
	for part in "${parts[@]}"; do
		"run_$part"
	done
	check_server_logs "$SCRATCH/log" "$SCRATCH/tap"
	FINISHED=yes
}

main "$@"
