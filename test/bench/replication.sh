#!/usr/bin/env bash
#
# Measure logical replication between two servers on this machine, vecseg to
# vecseg against heap to heap (vectors in TOAST), in one interleaved run:
#
#   initial copy   of ROWS rows, from CREATE SUBSCRIPTION until the table is
#                  ready, with ids that are sequential (bigint) and random
#                  (uuid), in the states:
#                    cold      both servers were just started, and nothing of
#                              them is cached
#                    limited   the same, and both servers together may use
#                              MEMORY_LIMIT of memory, page cache included
#                    warm      both were just started, the publisher's files
#                              are in the page cache (only if asked for)
#   apply          of CHANGES transactions of one row each, written while the
#                  subscription was disabled, from when it is enabled until
#                  the last is applied: insert, update of the vector, update
#                  of another column; and one transaction of CHANGES inserts
#
# CPU time is that of the server's processes that ended meanwhile: the walsender
# and the worker that applies or copies.
#
# Options, by environment:
#
#   ROWS=200000  DIMS=768  RUNS=3  CHANGES=20000
#   STATES="cold limited"  KEYS="bigint uuid"  APPLY="insert vector other bulk"
#   MEMORY_LIMIT=512M  SHARED_BUFFERS=128MB
#   WITH=        more options of the subscriptions, e.g. "binary = true"
#   PERF=1       also a profile (by perf, as root) of each first initial copy and
#                apply: where the time goes
#   RESULTS=file add the measurements to this file, and report all that are in it:
#                a run in parts, each of fewer RUNS
#   INSTALLED=1  measure what is installed: do not build and install
#   KEEP, BENCH_CONF as for run.sh; the data is always loaded anew

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
source "$REPO/test/cgroup.sh"

ROWS=${ROWS:-200000}
DIMS=${DIMS:-768}
RUNS=${RUNS:-3}
CHANGES=${CHANGES:-20000}
STATES=${STATES:-cold limited}
KEYS=${KEYS:-bigint uuid}
APPLY=${APPLY:-insert vector other bulk}
MEMORY_LIMIT=${MEMORY_LIMIT:-512M}
SHARED_BUFFERS=${SHARED_BUFFERS:-128MB}

# --- the two servers: "publisher" and "subscriber" ---

port_of()
{
	if [[ $1 == publisher ]]; then echo 5441; else echo 5442; fi
}

# sql SERVER: statements on stdin
sql()
{
	"$BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$SOCKET_DIR" \
		-p "$(port_of "$1")" -U postgres -d postgres
}

configure()
{
	cat "$REPO/test/conf/vecseg.conf"
	cat <<-END
		port = $(port_of "$1")
		unix_socket_directories = '$SOCKET_DIR'
		shared_buffers = $SHARED_BUFFERS
		wal_level = logical
		autovacuum = off
		fsync = off
		max_wal_size = 16GB
		checkpoint_timeout = 1d
		jit = off
		wal_retrieve_retry_interval = 10ms
		client_min_messages = warning
		${BENCH_CONF:-}
	END
}

create_servers()
{
	local server

	for server in publisher subscriber; do
		rm -rf "${SCRATCH:?}/$server"
		as_server "$BINDIR/initdb" -D "$SCRATCH/$server" -U postgres -A trust -N \
			--no-locale -E UTF8 >"$SCRATCH/log/initdb.log" 2>&1 ||
			die "initdb failed, see $SCRATCH/log"
		configure "$server" >>"$SCRATCH/$server/postgresql.conf"
	done
}

# start_servers STATE
start_servers()
{
	local server

	for server in publisher subscriber; do
		(
			if [[ $1 == limited ]]; then enter_cgroup; fi
			as_server "$BINDIR/pg_ctl" start -w -s -D "$SCRATCH/$server" \
				-l "$SCRATCH/log/$server.log" </dev/null >/dev/null
		) || { tail -n 50 "$SCRATCH/log/$server.log"; die "the $server did not start"; }
	done
}

stop_servers()
{
	local server

	for server in subscriber publisher; do
		as_server "$BINDIR/pg_ctl" stop -w -s -m fast -t 600 \
			-D "$SCRATCH/$server" >/dev/null
	done
}

drop_caches()
{
	sync -f "$SCRATCH"
	if [[ -w /proc/sys/vm/drop_caches ]]; then
		echo 3 >/proc/sys/vm/drop_caches
	else
		find "$SCRATCH"/{publisher,subscriber} -type f -size +64k \
			-exec dd if={} iflag=nocache count=0 status=none \;
	fi
}

postmaster()
{
	head -n 1 "$SCRATCH/$1/postmaster.pid"
}

# CPU time in ms that a server's ended processes have used
cpu_of()
{
	local ticks

	ticks=$(sed 's/.*) //' "/proc/$(postmaster "$1")/stat" |
		cut -d' ' -f14,15)
	echo $((${ticks/ / + } * 1000 / $(getconf CLK_TCK)))
}

now_ms()
{
	date +%s%3N
}

# Wait until an expression is true: in one session, whose own CPU time is small.
wait_for()
{
	sql "$1" <<<"DO \$\$ BEGIN
		WHILE ($2) IS NOT TRUE LOOP COMMIT; PERFORM pg_sleep(0.01); END LOOP;
		END \$\$"
}

# Have the processes of replication end, so that their CPU time is counted.
end_workers()
{
	sql subscriber <<<"ALTER SUBSCRIPTION sub DISABLE"
	wait_for publisher "SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type = 'walsender'"
	wait_for subscriber "SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type LIKE 'logical replication%worker'"
}

# --- tables ---

load()
{
	local key kind

	say "loading $ROWS vectors of $DIMS dimensions into two tables for each of: $KEYS"
	{
		echo "CREATE EXTENSION vecseg;"
		cat "$REPO/test/vec.sql"
		for key in $KEYS; do
			for kind in heap vecseg; do
				create_table "$kind" "items_${kind}_$key" "$key"
				echo "INSERT INTO items_${kind}_$key SELECT" \
					"$(id_of "$key"), i, vec(i, 1, $DIMS) FROM generate_series(1, $ROWS) i;"
				echo "CREATE PUBLICATION pub_${kind}_$key FOR TABLE items_${kind}_$key;"
			done
		done
		for kind in heap vecseg; do
			create_table "$kind" "changes_$kind" bigint
			echo "CREATE PUBLICATION pub_changes_$kind FOR TABLE changes_$kind;"
		done
		echo "VACUUM (FREEZE, ANALYZE); CHECKPOINT;"
	} | sql publisher
	sql subscriber <<<"CREATE EXTENSION vecseg;"
}

id_of()
{
	if [[ $1 == uuid ]]; then echo "md5(i::text)::uuid"; else echo i; fi
}

create_table()
{
	echo "CREATE TABLE $2 (id $3 PRIMARY KEY, n int, e real[]) USING $1;"
	echo "ALTER TABLE $2 ALTER e SET STORAGE EXTERNAL;"
}

# subscribe NAME PUBLICATION OPTIONS
subscribe()
{
	sql subscriber <<-END
		CREATE SUBSCRIPTION $1 CONNECTION
			'host=$SOCKET_DIR port=5441 user=postgres dbname=postgres'
			PUBLICATION $2 WITH ($3${WITH:+, $WITH})
	END
}

# Rows and a hash of them
digest()
{
	sql "$1" <<<"SELECT count(*), sum(hash_record_extended(t, 0)) FROM $2 t"
}

check_same()
{
	local there here

	there=$(digest publisher "$1")
	here=$(digest subscriber "$1")
	[[ $there == "$here" ]] || die "$1 is $here at the subscriber, not $there"
}

# --- measuring ---

# begin_profile NAME RUN; end_profile
begin_profile()
{
	PROFILE=
	if [[ -n ${PERF:-} && $2 == 1 ]]; then
		# the servers' processes that start from now on
		perf record -q -g -F 499 -o "$SCRATCH/perf.$1" \
			-p "$(postmaster publisher),$(postmaster subscriber)" \
			>/dev/null 2>&1 </dev/null &
		PROFILE=$!
		sleep 1	# until it is there
	fi
}

end_profile()
{
	if [[ -n $PROFILE ]]; then
		kill -INT "$PROFILE" || true
		wait "$PROFILE" || true
	fi
}

# measured NAME COUNT RUN COMMAND...: writes elapsed and CPU ms to the results
measured()
{
	local name=$1 count=$2 run=$3 from publisher_cpu subscriber_cpu elapsed
	shift 3

	publisher_cpu=$(cpu_of publisher)
	subscriber_cpu=$(cpu_of subscriber)
	begin_profile "${name// /.}" "$run"
	from=$(now_ms)
	"$@"
	elapsed=$(($(now_ms) - from))
	end_profile
	end_workers
	echo "$name $count $elapsed $(($(cpu_of publisher) - publisher_cpu))" \
		"$(($(cpu_of subscriber) - subscriber_cpu))" >>"$RESULTS"
}

copy()
{
	subscribe sub "$1" "copy_data = true"
	wait_for subscriber "SELECT count(*) = 1 AND bool_and(srsubstate = 'r')
		FROM pg_subscription_rel"
}

drop_subscription()
{
	sql subscriber <<<"DROP SUBSCRIPTION sub; DROP TABLE $1; CHECKPOINT;"
}

measure_copy()
{
	local state=$1 key=$2 kind=$3 run=$4 table=items_$3_$2

	create_table "$kind" "$table" "$key" | sql subscriber
	stop_servers
	if [[ $state == warm ]]; then
		find "$SCRATCH/publisher/base" -type f -exec cat {} + >/dev/null
	else
		drop_caches
	fi
	start_servers "$state"
	measured "copy $state $key $kind" "$ROWS" "$run" copy "pub_${kind}_$key"
	if [[ $run == 1 ]]; then check_same "$table"; fi
	drop_subscription "$table"
}

# The changes, as SQL for the publisher
changes()
{
	local table=changes_$2

	case $1 in
		insert) echo "INSERT INTO $table VALUES (i, 0, vec(i, 1, $DIMS));" ;;
		vector) echo "UPDATE $table SET e = vec(i, 2, $DIMS) WHERE id = i;" ;;
		other) echo "UPDATE $table SET n = n + 1 WHERE id = i;" ;;
	esac
}

write_changes()
{
	local work=$1 kind=$2

	if [[ $work == bulk ]]; then
		echo "INSERT INTO changes_$kind SELECT i, 0, vec(i, 1, $DIMS)
			FROM generate_series($((CHANGES + 1)), $((2 * CHANGES))) i;"
	else
		echo "DO \$\$ BEGIN FOR i IN 1..$CHANGES LOOP
			$(changes "$work" "$kind") COMMIT; END LOOP; END \$\$;"
	fi | sql publisher
}

catch_up()
{
	local lsn

	lsn=$(sql publisher <<<"SELECT pg_current_wal_insert_lsn()")
	sql subscriber <<<"ALTER SUBSCRIPTION sub ENABLE"
	wait_for publisher "SELECT count(*) = 1 FROM pg_stat_replication
		WHERE application_name = 'sub' AND replay_lsn >= '$lsn'"
}

measure_apply()
{
	local kind=$1 run=$2 work table=changes_$1

	create_table "$kind" "$table" bigint | sql subscriber
	copy "pub_changes_$kind"
	sql subscriber <<<"ALTER SUBSCRIPTION sub SET (streaming = on)"
	end_workers
	for work in $APPLY; do
		write_changes "$work" "$kind"
		measured "apply $work - $kind" "$CHANGES" "$run" catch_up
	done
	check_same "$table"
	drop_subscription "$table"
	sql publisher <<<"TRUNCATE $table"
}

# --- the whole ---

report()
{
	perl "$REPO/test/bench/report_replication.pl" "$RESULTS"
	if [[ -n ${PERF:-} ]]; then
		local file

		for file in "$SCRATCH"/perf.*; do
			echo
			echo "== where the time goes: $(basename "$file" | sed 's/^perf\.//; s/\./ /g')"
			perf report -i "$file" --no-children -g none --sort dso,symbol \
				--percent-limit 1 --stdio 2>/dev/null | grep -vE '^#|^$' | head -n 25
		done
	fi
}

finish()
{
	trap - EXIT
	stop_server "$SCRATCH/subscriber"
	stop_server "$SCRATCH/publisher"
	remove_cgroup
	if [[ -n ${KEEP:-} ]]; then
		say "kept in $SCRATCH"
	else
		rm -rf "$SCRATCH"
	fi
}

main()
{
	local state key kind run

	make_scratch vecseg-bench
	RESULTS=${RESULTS:-$SCRATCH/results}
	trap finish EXIT
	trap 'exit 130' INT TERM
	if [[ -n ${INSTALLED:-} ]]; then
		BINDIR=$("$(find_pg_config)" --bindir)
	else
		prepare
	fi
	if [[ " $STATES " == *" limited "* ]] && ! make_cgroup; then
		say "no state \"limited\": control groups cannot be made here"
		STATES=${STATES/limited/}
	fi
	create_servers
	start_servers cold
	load
	for run in $(seq "$RUNS"); do
		for state in $STATES; do
			for key in $KEYS; do
				say "run $run: initial copy, $state, $key"
				for kind in heap vecseg; do
					measure_copy "$state" "$key" "$kind" "$run"
				done
			done
		done
		stop_servers
		start_servers cold
		say "run $run: apply"
		for kind in heap vecseg; do measure_apply "$kind" "$run"; done
	done
	echo
	echo "PostgreSQL $("$BINDIR/postgres" --version | grep -oE '[0-9.]+' | head -n 1)," \
		"$(uname -sr), $(nproc) CPUs, $ROWS rows, $DIMS dimensions, $CHANGES changes," \
		"shared_buffers $SHARED_BUFFERS, memory limit $MEMORY_LIMIT${WITH:+, $WITH}"
	report
}

main "$@"
