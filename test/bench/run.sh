#!/usr/bin/env bash
#
# Measure vecseg against heap tables and against the disk, in one interleaved
# run, and print ratios beside their targets.
#
#   heap TOAST    real[] with STORAGE EXTERNAL
#   heap inline   real[] with STORAGE PLAIN
#   vecseg        vecseg_scroll, vecseg_retrieve and plain scans
#   vecseg SQL    the same table, by the SELECTs that heap is given, planned
#                 as the server likes
#
# in six states:
#
#   all cold      the server was just started and nothing of it is cached
#   rows warm     the same, but heap rows and indexes (also that of the TOAST
#                 table) are in shared buffers, which are large enough for
#                 them: only vectors are not
#   vectors cold  the same, but of the TOAST table not even its index is cached,
#                 which only vectors need; for vecseg there is no difference
#   outgrown      the same, on a server with memory, page cache included, for two
#                 fifths of the vectors: the usual state of vectors that outgrow
#                 the memory. vecseg then reads most of them past the page cache
#   warm          the same, and vectors are in the page cache; the session has
#                 done the same before, for other ids five times, as one of a
#                 pool has
#   new           retrieval by id in that state, but in a session that has only
#                 just begun, and has not seen any page of the table
#
# doing this work, by one process without parallel workers or JIT:
#
#   scan          SELECT count(*), sum(e[1]): fetches each vector whole, to add
#                 up one element, so that little else is measured
#   none          SELECT count(*), sum(n): touches no vector
#   filter        as scan, of one row in 20, by a condition that no index serves
#   scroll        all rows in the order of their uuid keys (random ones, see IDS);
#                 for heap an index scan, which can return a first row at once
#   get1k, get10k so many random ids; for heap WHERE id = ANY (...) by a bitmap
#                 scan with effective_io_concurrency = 64, which was quicker
#                 than an index scan in all states (HEAP_GET=index for that)
#   exact         with TYPE=vector: the 10 rows that are nearest to a vector, by
#                 a scan that computes all distances
#   hnsw          with TYPE=vector: an HNSW index on INDEX_ROWS rows
#
# Elapsed and CPU time (user and system, of the whole backend process) are the
# server's own, of the whole statement with parsing and planning.
#
# Options, by environment:
#
#   ROWS=1000000  DIMS=768  RUNS=3
#   TYPE=real[]          or "vector": pgvector's, which must be installed. Touching
#                        a vector is then vector_dims(e), not e[1].
#   INDEX_ROWS=20000
#   VECTORS=random       or "glove" or "mnist": the vectors of test/data, over and
#                        over, with their own dimensions. The heap table then
#                        has the storage that its users have: EXTENDED, which
#                        compresses images of digits.
#   IDS=random           or "sequential": uuid keys in the order of the rows
#   SCRATCH=dir          where the cluster is; keeps it, and reuses the data
#                        that an earlier run left there
#   KEEP=1               keep the scratch folder even if it was not given
#   WORKS, STATES        measure only these, e.g. WORKS="scan get1k"; STATES= for
#                        none but "limited"
#   CONTENDERS           "toast inline vecseg", "sql" for vecseg SQL, and the
#                        ways of reading: "sync1" one by one, "sync" with kernel
#                        prefetch, "uring", "direct" (O_DIRECT)
#   MEMORY_LIMIT=512M    adds the state "limited": a server that may use so
#                        much memory, page cache included, run till steady;
#                        keep it 128 MB or more above SHARED_BUFFERS
#   SHARED_BUFFERS=256MB
#   CHECKSUMS            1 or 0: with or without data checksums; by default, as
#                        initdb likes (with, from PostgreSQL 18 on)
#   HUGE_PAGES=0         do without huge pages for shared buffers, which this
#                        reserves if it may (as root), as PostgreSQL's
#                        documentation advises for servers; without them, much
#                        of a warm retrieval is page faults of a new backend
#   DROP=files           drop only this cluster's files from the page cache,
#                        not everything (which needs root anyway)
#   READ_AHEAD_KB        set the kernel's readahead of the disk for this run
#                        (as root); the machine's own decides much of what
#                        reads without O_DIRECT cost, and is printed
#   BENCH_CONF           more lines for postgresql.conf
#   INSTALLED=1          measure what is installed: do not build and install

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
source "$REPO/test/cgroup.sh"

BENCH=$REPO/test/bench
ROWS=${ROWS:-1000000}
VECTORS=${VECTORS:-random}
DIMS=${DIMS:-768}
case $VECTORS in
	random) ;;
	glove) DIMS=100 ;;
	mnist) DIMS=784 ;;
	*) die "there are no vectors \"$VECTORS\"" ;;
esac
RUNS=${RUNS:-3}
ID_SETS=$((RUNS > 5 ? RUNS : 5))	# so that data serves for fewer runs
TYPE=${TYPE:-real[]}
INDEX_ROWS=${INDEX_ROWS:-20000}
IDS=${IDS:-random}
WORKS=${WORKS:-scan none filter scroll get1k get10k$([[ $TYPE != vector ]] || echo " exact hnsw")}
STATES=${STATES-cold rowswarm vectorscold outgrown warm new}
CONTENDERS=${CONTENDERS:-}
SHARED_BUFFERS=${SHARED_BUFFERS:-256MB}
CHECKSUMS=${CHECKSUMS:-}
HEAP_GET=${HEAP_GET:-bitmap}
MEMORY_LIMIT=${MEMORY_LIMIT:-}
HUGE_PAGES=${HUGE_PAGES:-1}
OLD_READ_AHEAD=
OLD_HUGE_PAGES=
if [[ -z ${DROP:-} ]]; then
	DROP=files
	if [[ -w /proc/sys/vm/drop_caches ]]; then DROP=all; fi
fi

# --- the server ---

server_start()
{
	(
		enter_cgroup
		as_server "$BINDIR/pg_ctl" start -w -s -D "$SCRATCH/data" \
			-l "$SCRATCH/log/server.log" </dev/null >/dev/null
	) || { tail -n 50 "$SCRATCH/log/server.log"; die "the server did not start"; }
}

server_stop()
{
	as_server "$BINDIR/pg_ctl" stop -w -s -m fast -t 600 -D "$SCRATCH/data" >/dev/null
}

sql()
{
	"$BINDIR/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$SOCKET_DIR" -U postgres \
		-d postgres "$@"
}

configure()
{
	cat <<-END
		shared_buffers = $SHARED_BUFFERS
		huge_pages = $([[ $HUGE_PAGES == 1 ]] && echo try || echo off)
		effective_io_concurrency = 64
		max_parallel_workers_per_gather = 0
		max_parallel_maintenance_workers = 0
		maintenance_work_mem = 256MB
		jit = off
		autovacuum = off
		fsync = off
		wal_level = minimal
		max_wal_senders = 0
		max_wal_size = 16GB
		checkpoint_timeout = 1d
		unix_socket_directories = '$SOCKET_DIR'
		${BENCH_CONF:-}
	END
}

# What the data depends on; files that another version wrote are of no use.
fingerprint()
{
	echo "$ROWS $VECTORS $DIMS $ID_SETS $CHECKSUMS $TYPE $INDEX_ROWS $IDS" \
		"$("$BINDIR/postgres" --version)" "$(cat "$REPO"/sql/vecseg--*.sql \
		"$REPO/src/format/page.h" "$BENCH/load.sql" | cksum)"
}

# The vectors of test/data: number, label, vector
load_sample()
{
	local file

	file=$(ls "$REPO/test/data/$VECTORS"-*.tsv.gz)
	sql -c "CREATE TABLE sample (number int PRIMARY KEY, label text, e real[])"
	gzip -dc "$file" | sql -c "COPY sample FROM STDIN"
}

# An expression for the vector of row i
vector()
{
	case $VECTORS in
		random) echo "vec(i, 1, $DIMS)" ;;
		*) echo "(SELECT e FROM sample WHERE number = (i - 1) % $(sql -c "SELECT count(*) FROM sample") + 1)" ;;
	esac
}

checksums_option()
{
	case $CHECKSUMS in
		1) echo --data-checksums ;;
		0) if "$BINDIR/initdb" --help | grep -q -- --no-data-checksums; then
			echo --no-data-checksums
		fi ;;
	esac
}

load()
{
	say "loading $ROWS vectors of $DIMS dimensions into each of three tables"
	rm -rf "$SCRATCH/data" "$SCRATCH/loaded"
	as_server "$BINDIR/initdb" -D "$SCRATCH/data" -U postgres -A trust -N \
		--no-locale -E UTF8 $(checksums_option) \
		>"$SCRATCH/log/initdb.log" 2>&1 || die "initdb failed, see $SCRATCH/log"
	as_server cp "$SCRATCH/data/postgresql.conf" "$SCRATCH/data/postgresql.conf.initdb"
	write_conf
	server_start
	sql -f "$REPO/test/vec.sql"
	[[ $VECTORS == random ]] || load_sample
	sql -v rows="$ROWS" -v vector="$(vector)" -v runs="$ID_SETS" \
		-v type="${TYPE/#vector/vector($DIMS)}" -v few="$INDEX_ROWS" -v ids="$IDS" \
		-v storage="$([[ $VECTORS == random ]] && echo EXTERNAL || echo EXTENDED)" \
		-f "$BENCH/load.sql"
	server_stop
	sync -f "$SCRATCH"
	fingerprint >"$SCRATCH/loaded"
}

write_conf()
{
	{
		cat "$SCRATCH/data/postgresql.conf.initdb" "$REPO/test/conf/vecseg.conf"
		configure
	} >"$SCRATCH/conf.new"
	cat "$SCRATCH/conf.new" >"$SCRATCH/data/postgresql.conf"
	give_to_server "$SCRATCH/data/postgresql.conf"
}

# --- files and caches ---

# Where the tables' files are; the names stay the same between restarts.
find_files()
{
	local table name part

	for table in toast inline vecseg; do
		while IFS='|' read -r part name; do
			printf '%s\n' "$SCRATCH/data/$name" "$SCRATCH/data/$name".[0-9]* \
				>"$SCRATCH/files.$table.$part"
		done < <(sql <<-END
			SELECT 'rows', pg_relation_filepath('items_$table');
			SELECT 'key', pg_relation_filepath('items_${table}_pkey');
			SELECT 'toast', pg_relation_filepath(reltoastrelid) FROM pg_class
				WHERE oid = 'items_$table'::regclass AND reltoastrelid <> 0;
			SELECT 'toastkey', pg_relation_filepath(indexrelid)
				FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid
				WHERE c.oid = 'items_$table'::regclass;
		END
		)
	done
}

# files TABLE PART...
files()
{
	local table=$1 part
	shift

	for part in "$@"; do
		cat "$SCRATCH/files.$table.$part" 2>/dev/null || true
	done
}

bytes_of()
{
	files "$@" | xargs -r stat -c %s | awk '{ s += $1 } END { print s + 0 }'
}

drop_caches()
{
	local file

	if [[ $DROP == all ]]; then
		sync -f "$SCRATCH"
		echo 3 >/proc/sys/vm/drop_caches
	else
		# The rest, small parts of the catalogs, are read before timing starts.
		find "$SCRATCH/data" -type f -size +64k | while read -r file; do
			dd if="$file" iflag=nocache count=0 status=none
		done
	fi
}

read_files()
{
	files "$@" | xargs -r cat >/dev/null
}

# Fill shared buffers with a table's rows and indexes, as a server in use has
# them; not with rows that contain their vectors.
prewarm()
{
	local state=$1 table=$2

	if [[ $table == inline ]]; then
		sql -c "SELECT pg_prewarm('items_inline_pkey')"
	else
		sql <<-END
			SELECT pg_prewarm(indexrelid)
				FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid
				WHERE c.oid = 'items_$table'::regclass AND indisvalid
				AND pg_relation_size(indexrelid) > 0 AND '$state' <> 'vectorscold';
			SELECT pg_prewarm('items_$table');
			SELECT pg_prewarm('items_${table}_pkey');
		END
	fi >/dev/null
}

# A server that has just been started, and nothing in the cache
restart_cold()
{
	server_stop
	drop_caches
	server_start
}

# Is all in memory in this state?
all_in_memory()
{
	[[ $1 == warm || $1 == new ]]
}

# That, with what the state wants in the cache; or, if warm, the running one
reach_state()
{
	local state=$1 table=$2

	if all_in_memory "$state"; then
		# Again and again: a kernel may reclaim what was idle for a while.
		read_files "$table" rows key toast toastkey
	elif [[ $state != limited ]]; then
		restart_cold
	fi
	if [[ $state != cold && $state != limited ]]; then
		prewarm "$state" "$table"
	fi
}

# --- measuring ---

table_of()
{
	case $1 in
		toast | inline) echo "$1" ;;
		*) echo vecseg ;;
	esac
}

contenders()
{
	if [[ -n $CONTENDERS ]]; then
		echo "$CONTENDERS"
	else
		echo toast inline vecseg sql
	fi
}

# Settings of a contender for some work
settings()
{
	case $1 in
		sync1) echo "SET vecseg.io_method = sync; SET vecseg.io_depth = 1;" ;;
		sync) echo "SET vecseg.io_method = sync;" ;;
		uring) echo "SET vecseg.io_method = io_uring; SET vecseg.direct_io = off;" ;;
		direct) echo "SET vecseg.io_method = io_uring; SET vecseg.direct_io = on;" ;;
	esac
	case $1-$2 in
		toast-scroll | inline-scroll | sql-scroll)
			echo "SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off;" ;;
		sql-get*) echo "SET enable_seqscan = off;" ;;
		toast-get* | inline-get*)
			echo "SET enable_seqscan = off;"
			case $HEAP_GET in
				bitmap) echo "SET enable_indexscan = off;" ;;
				index) echo "SET enable_bitmapscan = off;" ;;
			esac ;;
	esac
}

# What uses the vectors of the rows, but no more of them than needed. The sum
# must be the same in whatever order the rows come.
touched()
{
	case $TYPE-$VECTORS in
		vector-*) echo "sum(vector_dims(e))" ;;
		*-random) echo "sum(e[1]::float8)" ;;
		*) echo "sum((e[$((DIMS * 51 / 100))] * 1e6)::bigint)" ;; # images' edges are empty
	esac
}

# statement CONTENDER WORK PREFIX: the statement to measure, on PREFIX_table
statement()
{
	local table=$3_$(table_of "$1") columns

	columns="count(*), $(touched)"
	case $1-$2 in
		*-scan) echo "SELECT $columns FROM $table;" ;;
		*-none) echo "SELECT count(*), sum(n) FROM $table;" ;;
		*-filter) echo "SELECT $columns FROM $table WHERE n % 20 = 7;" ;;
		*-exact)
			echo "SELECT count(*), sum(n) FROM (SELECT n FROM $table ORDER BY e <-> :'q' LIMIT 10) s;" ;;
		*-hnsw)
			if [[ $3 == items ]]; then
				echo "CREATE INDEX few_index ON few_$(table_of "$1") USING hnsw (e vector_l2_ops);"
			fi ;;
		toast-scroll | inline-scroll | sql-scroll)
			echo "SELECT $columns FROM (SELECT * FROM $table ORDER BY id) s;" ;;
		*-scroll)
			echo "SELECT $columns FROM vecseg_scroll(NULL::$table) s;" ;;
		toast-get* | inline-get* | sql-get*)
			echo "SELECT $columns FROM $table WHERE id = ANY (:'ids'::uuid[]);" ;;
		*-get*)
			echo "SELECT $columns FROM vecseg_retrieve(NULL::$table, :'ids'::uuid[]) s;" ;;
	esac
}

count_of()
{
	case $1 in
		get1k) echo 1000 ;;
		get10k) echo 10000 ;;
		exact) echo 10 ;;
		hnsw) echo "$INDEX_ROWS" ;;
		filter) echo $(((ROWS + 13) / 20)) ;;
		*) echo "$ROWS" ;;
	esac
}

# What the statement of some run takes
parameters()
{
	case $1 in
		get*) echo "SELECT ids FROM wanted WHERE count = $(count_of "$1") AND run = $2 \\gset" ;;
		exact) echo "SELECT vec($2, 2, $DIMS)::vector AS q \\gset" ;;
	esac
}

# What a session in state "warm" has done before
earlier_statements()
{
	local contender=$1 work=$2 run=$3 other

	for ((other = 0; other <= ID_SETS; other++)); do
		[[ $other -ne $run ]] || continue
		parameters "$work" "$other"
		statement "$contender" "$work" items
		[[ $work == get* ]] || break # there are no others
	done
}

# A whole session; the measured statement is the one after the last setting.
session()
{
	local contender=$1 work=$2 run=$3 state=$4

	echo "\\o /dev/null"
	settings "$contender" "$work"
	if [[ $state == warm && $work != hnsw ]]; then
		earlier_statements "$contender" "$work" "$run"
	fi
	parameters "$work" "$run"
	statement "$contender" "$work" tiny
	echo "SELECT FROM items_$(table_of "$contender") WHERE false;"
	echo "\\o"
	echo "SET client_min_messages = log; SET log_statement_stats = on;"
	statement "$contender" "$work" items
	if [[ $work == hnsw ]]; then
		echo "SET log_statement_stats = off; SELECT pg_table_size('few_index') > 0; DROP INDEX few_index;"
	fi
}

# run_session CONTENDER WORK RUN STATE: prints "elapsed-ms cpu-ms result"
run_session()
{
	session "$@" | sql >"$SCRATCH/result" 2>"$SCRATCH/messages" ||
		{ cat "$SCRATCH/messages"; die "failed: $*"; } >&2
	perl -ne 'next if !m{([\d.]+) s user, ([\d.]+) s system, ([\d.]+) s elapsed};
		printf "%.3f %.3f\n", $3 * 1000, ($1 + $2) * 1000;
		last' \
		"$SCRATCH/messages"
}

# All contenders must find the same.
check_result()
{
	local contender=$1 work=$2 run=$3 expected=$SCRATCH/expected.$2

	if [[ $work == get* || $work == exact ]]; then expected+=.$run; fi
	if [[ ! -f $expected ]]; then
		cp "$SCRATCH/result" "$expected"
	fi
	cmp -s "$SCRATCH/result" "$expected" ||
		die "$contender found $(cat "$SCRATCH/result") for $work," \
			"not $(cat "$expected")"
	[[ $work == hnsw || $(cut -d'|' -f1 "$expected") -eq $(count_of "$work") ]] ||
		die "$work found $(cat "$expected")"
}

measure()
{
	local state=$1 contender=$2 work=$3 run=$4 times

	reach_state "$state" "$(table_of "$contender")"
	times=$(run_session "$contender" "$work" "$run" "$state")
	check_result "$contender" "$work" "$run"
	if [[ $run -gt 0 ]]; then
		echo "time $state $work $contender $(count_of "$work") $times" >>"$SCRATCH/results"
	fi
}

# Is there anything to learn from it?
is_of_interest()
{
	case $1-$2-$3 in
		new-*-get*) ;;
		new-*) return 1 ;;
		vectorscold-inline-* | vectorscold-*-none | vectorscold-*-scan) return 1 ;;
		vectorscold-*-filter | outgrown-*-filter | *-sql-filter) return 1 ;;
		vectorscold-*-exact | vectorscold-*-hnsw) return 1 ;;
		rowswarm-inline-* | rowswarm-*-none | *-sql-scan | *-sql-none) return 1 ;;
		outgrown-inline-* | outgrown-*-none | outgrown-*-hnsw) return 1 ;;
		*-sql-exact | *-sql-hnsw | rowswarm-*-hnsw | cold-*-hnsw) return 1 ;;
		*-sync1-none | *-sync-none | *-uring-none | *-direct-none) return 1 ;;
		limited-*-none | limited-*-get1k | limited-*-hnsw) return 1 ;;
	esac
}

# A run that is not counted, for the states that are reached by running
warm_up()
{
	local state=$1 contender=$2 work=$3

	if all_in_memory "$state" || [[ $state == limited ]]; then
		measure "$state" "$contender" "$work" 0
	fi
}

measure_state()
{
	local state=$1 work contender run

	for work in $WORKS; do
		say "$state: $work"
		for run in $(seq 0 "$RUNS"); do
			for contender in $(contenders "$state"); do
				is_of_interest "$state" "$contender" "$work" || continue
				if [[ $run -eq 0 || $state == limited ]]; then
					warm_up "$state" "$contender" "$work"
				fi
				if [[ $run -gt 0 ]]; then
					measure "$state" "$contender" "$work" "$run"
				fi
			done
			if [[ $run -gt 0 ]] && ! all_in_memory "$state"; then
				measure_disk
			fi
		done
	done
}

# The disk's limits are measured between the others, for a short time each, that
# of random reads with what must be read to have a value.
measure_disk()
{
	local value=$((DIMS * 4 + 24)) kind args

	for kind in "sequential 1048576 8" "huge 1048576 8" "random $value 1" "random $value 64"; do
		args=($kind)
		if [[ ${args[0]} == random && $DATA_CHECKSUMS == on ]]; then
			args[0]=pages
		fi
		echo "disk $kind $("$SCRATCH/diskrate" "${args[@]}" 1 \
			$(files vecseg toast))" >>"$SCRATCH/results"
	done
}

# Most memory that the backend had for itself during a scroll, in kB
measure_memory()
{
	local contender=$1 pid kb peak=0

	reach_state rowswarm "$(table_of "$contender")"
	rm -f "$SCRATCH/pid"
	{
		echo "SELECT pg_backend_pid() \\g $SCRATCH/pid"
		session "$contender" scroll 1 rowswarm
	} | sql >/dev/null 2>&1 &
	while [[ ! -s $SCRATCH/pid ]]; do sleep 0.01; done
	pid=$(cat "$SCRATCH/pid")
	while kb=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null) &&
		[[ -n $kb ]]; do
		if [[ $kb -gt $peak ]]; then peak=$kb; fi
		sleep 0.02
	done
	wait
	echo "memory $contender $peak" >>"$SCRATCH/results"
}

# --- limited memory ---

# measure_with_memory BYTES STATE: as a server that may use so much
measure_with_memory()
{
	local MEMORY_LIMIT=$1 state=$2

	if ! make_cgroup; then
		say "SKIPPED: state \"$state\": control groups cannot be made here"
		return
	fi
	restart_cold
	measure_state "$state"
	server_stop
	remove_cgroup
	server_start
}

# Two fifths of what a table's vectors take; shared memory counts if it is not
# in huge pages
outgrown_memory()
{
	local vectors=$((ROWS * (DIMS * 4 + 24)))

	echo $((vectors * 2 / 5 + (HUGE_PAGES == 1 ? 0 : $(in_kb "$SHARED_BUFFERS") * 1024)))
}

# --- the kernel's readahead ---

# The file that sets it for the disk that SCRATCH is on; nothing if not found
read_ahead_file()
{
	local device

	device=$(readlink -f "/sys/dev/block/$(stat -c '%Hd:%Ld' "$SCRATCH")")
	for device in "$device" "$(dirname "$device")"; do
		if [[ -f $device/queue/read_ahead_kb ]]; then
			echo "$device/queue/read_ahead_kb"
			return
		fi
	done
}

set_read_ahead()
{
	local file

	file=$(read_ahead_file)
	if [[ -n $file ]]; then
		OLD_READ_AHEAD=$(cat "$file")
		if [[ -n ${READ_AHEAD_KB:-} ]]; then echo "$READ_AHEAD_KB" >"$file"; fi
	fi
}

restore_read_ahead()
{
	if [[ -n ${READ_AHEAD_KB:-} && -n $OLD_READ_AHEAD ]]; then
		echo "$OLD_READ_AHEAD" >"$(read_ahead_file)"
	fi
}

# --- huge pages ---

# Reserve huge pages for shared memory, beside those that others use.
reserve_huge_pages()
{
	local file=/proc/sys/vm/nr_hugepages old size needed

	[[ $HUGE_PAGES == 1 ]] || return 0
	HUGE_PAGES=0
	if [[ ! -w $file ]]; then return; fi
	old=$(cat "$file")
	size=$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)
	# shared memory is a little larger than shared_buffers
	needed=$(($(in_kb "$SHARED_BUFFERS") * 5 / 4 / size + 8))
	OLD_HUGE_PAGES=$old
	if echo $((old + needed)) >"$file" && [[ $(cat "$file") -eq $((old + needed)) ]]; then
		HUGE_PAGES=1
	fi
}

release_huge_pages()
{
	if [[ -n $OLD_HUGE_PAGES ]]; then
		echo "$OLD_HUGE_PAGES" >/proc/sys/vm/nr_hugepages
	fi
}

# A size with a unit of PostgreSQL's
in_kb()
{
	local number=${1%%[kMGT]*}

	case $1 in
		*kB) echo "$number" ;;
		*MB) echo $((number * 1024)) ;;
		*GB) echo $((number * 1024 * 1024)) ;;
		*) die "SHARED_BUFFERS needs a unit: kB, MB or GB" ;;
	esac
}

# --- the whole ---

open_scratch()
{
	if [[ -z ${SCRATCH:-} ]]; then
		make_scratch vecseg-bench
		return
	fi
	KEEP=1
	mkdir -p "$SCRATCH"
	SCRATCH=$(cd "$SCRATCH" && pwd)
	SOCKET_DIR=$SCRATCH/sock
	mkdir -p "$SOCKET_DIR" "$SCRATCH/log"
	give_to_server "$SCRATCH"
	cd "$SCRATCH"
}

finish()
{
	trap - EXIT
	server_stop 2>/dev/null || stop_server "$SCRATCH/data"
	remove_cgroup
	restore_read_ahead
	release_huge_pages
	if [[ -n ${KEEP:-} ]]; then
		say "kept for another run: SCRATCH=$SCRATCH"
	else
		rm -rf "$SCRATCH"
	fi
}

main()
{
	local state table contender

	for state in $STATES; do
		case $state in
			cold | rowswarm | vectorscold | outgrown | warm | new) ;;
			limited) die "the state \"limited\" comes by MEMORY_LIMIT, not by STATES" ;;
			*) die "there is no state \"$state\"" ;;
		esac
	done
	open_scratch
	trap finish EXIT
	trap 'exit 130' INT TERM
	if [[ -n ${INSTALLED:-} ]]; then
		BINDIR=$("$(find_pg_config)" --bindir)
	else
		prepare
	fi
	gcc -O2 -o "$SCRATCH/diskrate" "$BENCH/diskrate.c" -luring
	stop_server "$SCRATCH/data"
	rm -f "$SCRATCH"/results "$SCRATCH"/expected.*
	shopt -s nullglob
	reserve_huge_pages
	if [[ $(cat "$SCRATCH/loaded" 2>/dev/null) != "$(fingerprint)" ]]; then
		load
	fi
	write_conf
	set_read_ahead
	server_start
	sql -c "CREATE EXTENSION IF NOT EXISTS pg_prewarm" 2>/dev/null
	DATA_CHECKSUMS=$(sql -c "SHOW data_checksums")
	find_files
	# memory that a virtual machine's host took back is slow to be had again
	for table in toast inline vecseg; do
		read_files "$table" rows key toast toastkey
	done
	{
		echo "size rows $ROWS"
		echo "size file $(bytes_of vecseg rows toast)"
		# What a scan cannot avoid: rows, and pages with values
		echo "size vecseg $(($(bytes_of vecseg rows) + $(sql -c "
			SELECT ceil(sum(used * slot_size) * (8192.0 / 8168))
			FROM vecseg_segments('items_vecseg')")))"
	} >>"$SCRATCH/results"

	for state in $STATES; do
		# what is read lies in memory in larger pieces than what was written
		if all_in_memory "$state"; then restart_cold; fi
		if [[ $state == outgrown ]]; then
			measure_with_memory "$(outgrown_memory)" outgrown
		else
			measure_state "$state"
		fi
	done
	if [[ " $WORKS " == *" scroll "* ]]; then
		for contender in ${CONTENDERS:-$(contenders rowswarm) direct}; do
			measure_memory "$contender"
		done
	fi
	if [[ -n $MEMORY_LIMIT ]]; then measure_with_memory "$MEMORY_LIMIT" limited; fi

	echo
	echo "PostgreSQL $("$BINDIR/postgres" --version | grep -oE '[0-9.]+' | head -n 1)," \
		"$(uname -sr), $(nproc) CPUs, $ROWS rows, $VECTORS vectors of $DIMS dimensions," \
		"$IDS ids, medians of $RUNS runs," \
		"shared_buffers $SHARED_BUFFERS" \
		"$([[ $HUGE_PAGES == 1 ]] && echo in || echo without) huge pages," \
		"checksums $DATA_CHECKSUMS, page cache dropped: $DROP," \
		"kernel readahead ${READ_AHEAD_KB:-${OLD_READ_AHEAD:-?}} kB"
	perl "$BENCH/report.pl" "$SCRATCH/results"
}

main "$@"
