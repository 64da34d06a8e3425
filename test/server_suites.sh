#!/usr/bin/env bash
#
# Run PostgreSQL's own test suites with vecseg as the default table access
# method:
#
#   test/server_suites.sh [regress] [isolation] [recovery] [subscription]
#                         [pgvector] [pgvector_tap]
#
# The default is regress and isolation; recovery and subscription are the TAP
# suites, which take longer; the last two are pgvector's, where it is installed.
# As a control, each suite is run in the same way on
# plain heap, by a server without vecseg. A test passes if both runs print the
# same, or if vecseg's prints what PostgreSQL expects, or if the difference is
# the one in test/server_suites/expected_differences, which README.md there
# explains one by one.
#
# The last line is "N passed, N failed[, N skipped]". Everything is written to
# a scratch folder, removed unless a test failed or KEEP=1 is set. Differences
# found are in its folder "differences", to be copied to expected_differences
# once they are explained; there, name.19.diff is that of PostgreSQL 19.
#
# By environment:
#
#   PG_SOURCE=dir, PGVECTOR_SOURCE=dir
#                    the unpacked sources, in place of the source packages of
#                    what is installed
#   SUITE_TESTS      of the TAP suites run only these, e.g. "001_stream_rep"
#   PGVER, PG_CONFIG

set -euo pipefail
shopt -s nullglob
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$REPO/test/tally.sh"
source "$REPO/test/server_suites/source.sh"

EXPECTED=$REPO/test/server_suites/expected_differences

# Names of a suite's tests.
tests_of()
{
	case $1 in
		regress) schedule_tests "$SUITES_DIR/regress/parallel_schedule" ;;
		isolation)
			schedule_tests "$SUITES_DIR/isolation/isolation_schedule"
			# left out of the schedule for servers without such transactions
			printf '%s\n' prepared-transactions prepared-transactions-cic
			;;
		pgvector) basename -s .sql "$SUITES_DIR"/pgvector/sql/*.sql ;;
		*)
			local file
			for file in "$SUITES_DIR/$1"/t/*.pl; do
				file=$(basename "$file" .pl)
				if [[ -z ${SUITE_TESTS:-} || " $SUITE_TESTS " == *" $file "* ]]; then
					echo "$file"
				fi
			done
			;;
	esac
}

schedule_tests()
{
	sed -n 's/^test: *//p' "$1" | tr -s ' ' '\n' | grep .
}

# --- regress, isolation and pgvector: one server for all ---

on_one_server()
{
	[[ $1 =~ ^(regress|isolation|pgvector)$ ]]
}

# start_suites_server KIND: heap or vecseg
start_suites_server()
{
	local conf=("$REPO/test/conf/server_suites.conf")

	if [[ $1 == vecseg ]]; then
		conf+=("$REPO/test/conf/server_suites_vecseg.conf")
	fi
	start_server "${conf[@]}"
	if [[ $1 == vecseg ]]; then
		# for the databases that tests create
		"$BINDIR/psql" -X -q -h "$SOCKET_DIR" -U postgres -d template1 \
			-c 'CREATE EXTENSION vecseg'
	fi
}

stop_suites_server()
{
	as_server "$BINDIR/pg_ctl" stop -s -w -m fast -D "$SCRATCH/data" ||
		fail "the server of the $1 run did not stop"
	mv "$SCRATCH/log/server.log" "$SCRATCH/log/server_$1.log"
	rm -rf "$SCRATCH/data"
}

# run_pg_regress KIND SUITE PROGRAM OPTION...
run_pg_regress()
{
	local kind=$1 suite=$2 program=$3 load=() psql=$SUITES_DIR/psql
	shift 3

	if [[ $kind == vecseg ]]; then
		load=(--load-extension=vecseg)
	fi
	[[ -d $psql ]] || psql=$BINDIR
	(cd "$SCRATCH/$kind/$suite" && as_server "$program" --bindir="$psql" \
		--inputdir="$SUITES_DIR/$suite" --outputdir="$SCRATCH/$kind/$suite" \
		--host="$SOCKET_DIR" --port=5432 --user=postgres "${load[@]}" "$@" \
		</dev/null) >"$SCRATCH/log/${suite}_$kind.log" 2>&1 || true
}

# Tables of an access method that a suite left behind
count_tables()
{
	"$BINDIR/psql" -XAt -h "$SOCKET_DIR" -U postgres -d "$1" -c "
		SELECT count(*) FROM pg_class c JOIN pg_am ON pg_am.oid = relam
		WHERE relkind IN ('r', 'm') AND amname = '$2' AND c.oid >= 16384"
}

# Did the tests use the tables that they were to use? Few ask for another
# access method than the default.
check_tables()
{
	local heap vecseg

	heap=$(count_tables "$2" heap)
	vecseg=$(count_tables "$2" vecseg)
	say "$2 has $heap heap tables and $vecseg vecseg tables"
	if [[ $1 == vecseg && $vecseg -le $((10 * heap)) ]]; then
		fail "the vecseg run was not on vecseg tables"
	fi
}

run_regress()
{
	run_pg_regress "$1" regress "$PGXS_DIR/src/test/regress/pg_regress" \
		--dlpath="$SUITES_DIR/lib" --max-concurrent-tests=20 \
		--schedule="$SUITES_DIR/regress/parallel_schedule"
	check_tables "$1" regression
}

run_isolation()
{
	run_pg_regress "$1" isolation \
		"$PGXS_DIR/src/test/isolation/pg_isolation_regress" \
		--schedule="$SUITES_DIR/isolation/isolation_schedule" \
		prepared-transactions prepared-transactions-cic
}

# The scripts leave no tables behind.
run_pgvector()
{
	local tests

	mapfile -t tests < <(tests_of pgvector)
	run_pg_regress "$1" pgvector "$PGXS_DIR/src/test/regress/pg_regress" \
		--load-extension=vector "${tests[@]}"
}

# --- the others: every test starts servers of its own ---

# What the servers of the TAP suites are given: the settings, and an initdb
# that creates the extension in the databases from which others are made.
prepare_tap_vecseg()
{
	cp "$REPO/test/conf/server_suites_vecseg.conf" "$SCRATCH/tap.conf"
	mkdir "$SCRATCH/bin"
	cat >"$SCRATCH/bin/initdb" <<-END
		#!/usr/bin/env bash
		set -e
		"$BINDIR/initdb" "\$@"
		while [[ \$1 != -D && \$1 != --pgdata ]]; do shift; done
		for database in template1 postgres; do
			"$BINDIR/postgres" --single -D "\$2" \\
				-c shared_preload_libraries=vecseg "\$database" \\
				<<<"CREATE EXTENSION vecseg" >/dev/null
		done
	END
	chmod 755 "$SCRATCH/bin/initdb"
}

# run_tap KIND SUITE: results/NAME.out are the assertions, without the notes
# beside them and without process ids
run_tap()
{
	local kind=$1 suite=$2 name out=$SCRATCH/$1/$2
	local path=$SUITES_DIR/psql:$PATH settings=()

	if [[ $kind == vecseg ]]; then
		path=$SCRATCH/bin:$path
		settings=(TEMP_CONFIG="$SCRATCH/tap.conf"
			EXTRA_REGRESS_OPTS=--load-extension=vecseg)
	fi
	for name in $(tests_of "$suite"); do
		(cd "$SUITES_DIR/$suite" && as_server env PATH="$path" \
			TESTDIR="$out" TESTDATADIR="$out/tmp_check" \
			TESTLOGDIR="$out/tmp_check/log" TMPDIR="$SCRATCH/tmp" \
			PG_REGRESS="$PGXS_DIR/src/test/regress/pg_regress" \
			REGRESS_SHLIB="$SUITES_DIR/lib/regress.so" \
			PERL5LIB="$PGXS_DIR/src/test/perl" with_icu=yes "${settings[@]}" \
			perl "t/$name.pl" </dev/null \
			>"$out/$name.tap" 2>"$out/$name.err") ||
			echo "# exit status $?" >>"$out/$name.tap"
		sed -nE "/^(ok|not ok|1\.\.|Bail out|# exit status)/ {
			s|$SCRATCH/$kind/|SCRATCH/|g; s/\<pid [0-9]+/pid PID/g; p }" \
			"$out/$name.tap" >"$out/results/$name.out"
		# data folders of tests that passed
		if ! grep -qE '^(not ok|# exit status)' "$out/$name.tap"; then
			rm -rf "$out"/tmp_check/t_"$name"_*
		fi
	done
}

# --- comparison ---

# Does a result match the expected output that came with the suite, or one of
# its variants?
as_postgres_expects()
{
	local result=$1 suite=$2 name=$3 variant

	for variant in "$SUITES_DIR/$suite/expected/$name".out \
		"$SUITES_DIR/$suite/expected/${name}"_[0-9].out; do
		if [[ -f $variant ]] && cmp -s "$variant" "$result"; then
			return 0
		fi
	done
	return 1
}

# The difference of two files, without what changes from version to version.
difference()
{
	diff -U3 --label heap --label vecseg "$1" "$2" |
		sed -E 's/^@@ .* @@.*/@@/'
}

compare_test()
{
	local suite=$1 name=$2
	local heap=$SCRATCH/heap/$suite/results/$name.out
	local vecseg=$SCRATCH/vecseg/$suite/results/$name.out
	local found=$SCRATCH/differences/$suite/$name.diff
	local expected=$EXPECTED/$suite/$name.$MAJOR.diff

	[[ -f $expected ]] || expected=$EXPECTED/$suite/$name.diff
	if [[ ! -s $heap || ! -s $vecseg ]]; then
		fail "$suite/$name did not run"
		return
	fi
	if as_postgres_expects "$vecseg" "$suite" "$name"; then
		: >"$found"
	else
		difference "$heap" "$vecseg" >"$found" || true
	fi
	if cmp -s "$found" <(cat "$expected" 2>/dev/null); then
		PASSED=$((PASSED + 1))
	elif grep -qE "^ignore: *$name\$" "$SUITES_DIR/$suite"/*_schedule /dev/null; then
		skip "$suite/$name differs, which PostgreSQL's schedule ignores"
	elif [[ ! -s $found ]]; then
		fail "$suite/$name: an expected difference is gone"
	else
		fail "$suite/$name"
		diff -U1 --label expected --label found \
			<(cat "$expected" 2>/dev/null) "$found" | head -n 60 || true
	fi
	[[ -s $found ]] || rm -f "$found"
}

# Say where even the control is not as the suite's source expects, which is
# due to the server's version, configuration or installation.
report_control()
{
	local suite=$1 name differing=()

	for name in $(tests_of "$suite"); do
		if on_one_server "$suite"; then
			as_postgres_expects "$SCRATCH/heap/$suite/results/$name.out" \
				"$suite" "$name" || differing+=("$name")
		elif grep -qE '^(not ok|# exit status)' \
			"$SCRATCH/heap/$suite/results/$name.out"; then
			differing+=("$name")
		fi
	done
	if [[ ${#differing[@]} -gt 0 ]]; then
		say "$suite: on plain heap ${#differing[@]} tests are not as the source expects: ${differing[*]}"
	fi
}

compare_suite()
{
	local name

	report_control "$1"
	for name in $(tests_of "$1"); do
		compare_test "$1" "$name"
	done
}

# run_kind KIND SUITE...: all suites on tables of that kind
run_kind()
{
	local kind=$1 suite server=
	shift

	for suite in "$@"; do
		say "$suite, on $kind tables"
		if on_one_server "$suite"; then
			if [[ -z $server ]]; then
				start_suites_server "$kind"
				server=yes
			fi
			"run_$suite" "$kind"
		else
			run_tap "$kind" "$suite"
		fi
	done
	if [[ -n $server ]]; then
		stop_suites_server "$kind"
	fi
}

has_pgvector()
{
	[[ -f $("$PG_CONFIG" --sharedir)/extension/vector.control ]]
}

main()
{
	local suites suite kind

	read -ra suites <<<"${*:-regress isolation}"
	begin_tally
	make_scratch vecseg-suites
	prepare
	SUITES_DIR=$SCRATCH/suites
	MAJOR=$(major_version "$PG_CONFIG")
	mkdir "$SCRATCH/tmp" "$SUITES_DIR"
	if [[ " ${suites[*]} " =~ \ (regress|isolation|recovery|subscription)\  ]]; then
		obtain_suites "$SUITES_DIR"
	fi
	if [[ " ${suites[*]} " =~ \ pgvector ]]; then
		has_pgvector || die "pgvector is not installed for this server"
		obtain_pgvector "$SUITES_DIR"
	fi
	for suite in "${suites[@]}"; do
		mkdir -p "$SCRATCH"/{heap,vecseg,differences}/"$suite"
		mkdir -p "$SCRATCH"/{heap,vecseg}/"$suite"/results
	done
	prepare_tap_vecseg
	give_to_server "$SCRATCH"

	for kind in heap vecseg; do
		run_kind "$kind" "${suites[@]}"
	done
	for suite in "${suites[@]}"; do
		compare_suite "$suite"
	done
	check_server_logs "$SCRATCH/log" "$SCRATCH/vecseg"
	FINISHED=yes
}

main "$@"
