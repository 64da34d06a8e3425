#!/usr/bin/env bash
#
# Show vecseg at work: start a private server in a scratch folder, load word
# vectors and images of digits, and query them. The server keeps running, to be
# tried out; a later run replaces it.
#
#   test/demo.sh          set up, build, install, start, load, show
#   test/demo.sh stop     stop the server and remove its files

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Remembers the folder of the running demo.
STATE=${TMPDIR:-/tmp}/vecseg-demo-$EUID
DATABASE=demo

# The folder of the last demo; nothing unless this user wrote it down.
last_demo()
{
	local folder

	if [[ -f $STATE && ! -L $STATE && -O $STATE ]]; then
		read -r folder <"$STATE"
		if [[ $folder == */vecseg-demo.* && -f $folder/data/PG_VERSION ]]; then
			echo "$folder"
		fi
	fi
}

stop_demo()
{
	local folder

	folder=$(last_demo)
	if [[ -n $folder ]]; then
		BINDIR=$(cat "$folder/bindir")
		stop_server "$folder/data"
		rm -rf "$folder"
		say "stopped the demo in $folder and removed it"
	fi
	if [[ -O $STATE ]]; then
		rm -f "$STATE"
	fi
	[[ -n $folder ]]
}

start_demo()
{
	make_scratch vecseg-demo
	trap 'fail_demo' EXIT
	prepare
	start_server "$REPO"/test/conf/{vecseg,demo}.conf
	echo "$BINDIR" >"$SCRATCH/bindir"
	echo "$SCRATCH" >"$STATE"
	"$BINDIR/createdb" -h "$SOCKET_DIR" -U postgres "$DATABASE"
}

# A demo that did not come up leaves no server behind.
fail_demo()
{
	trap - EXIT
	if [[ -n ${BINDIR:-} ]]; then
		tail -n 20 "$SCRATCH/log/server.log" 2>/dev/null || true
		stop_server "$SCRATCH/data"
	fi
	rm -rf "$SCRATCH"
	if [[ -O $STATE ]]; then
		rm -f "$STATE"
	fi
	die "the demo failed"
}

screen_width()
{
	local width=${COLUMNS:-}

	if [[ -z $width && -t 1 ]]; then
		width=$(stty size </dev/tty 2>/dev/null | cut -d' ' -f2 || true)
	fi
	echo "${width:-100}"
}

# Run the SQL on standard input, echoing it.
sql()
{
	"$BINDIR/psql" -X -q -h "$SOCKET_DIR" -U postgres -d "$DATABASE" \
		-v ON_ERROR_STOP=1 -P pager=off -P format=wrapped -P footer=off \
		-P columns="$(screen_width)" "$@" -f -
}

title()
{
	printf '\n\033[1m-- %s\033[0m\n' "$*"
}

load()
{
	title "Two tables that keep their vectors in segments"
	sql -e <<'SQL'
CREATE EXTENSION vecseg;
CREATE TABLE words (id int PRIMARY KEY, word text, embedding real[]) USING vecseg;
CREATE TABLE digits (id int PRIMARY KEY, digit int, pixels real[]) USING vecseg;
SQL
	echo "loading 10,000 words (100 dimensions) and 2,000 digits (784) ..."
	gzip -dc "$REPO/test/data/glove-10k.tsv.gz" |
		"$BINDIR/psql" -X -q -h "$SOCKET_DIR" -U postgres -d "$DATABASE" \
			-v ON_ERROR_STOP=1 -c 'COPY words FROM STDIN'
	gzip -dc "$REPO/test/data/mnist-2k.tsv.gz" |
		"$BINDIR/psql" -X -q -h "$SOCKET_DIR" -U postgres -d "$DATABASE" \
			-v ON_ERROR_STOP=1 -c 'COPY digits FROM STDIN'
	sql <<'SQL'
VACUUM ANALYZE;
SQL
}

show()
{
	title "What is stored"
	sql -e <<'SQL'
SELECT (SELECT count(*) FROM words) AS words, (SELECT count(*) FROM digits) AS digits;
SQL

	title "Scroll through the table in key order"
	sql -e <<'SQL'
SELECT id, word, embedding[1:4] FROM vecseg_scroll(NULL::words) LIMIT 5;
SQL

	title "... from after a key, up to a key, with a filter"
	sql -e <<'SQL'
SELECT id, word, embedding[1:4]
FROM vecseg_scroll(NULL::words, after => 500, upto => 1000)
WHERE length(word) > 9 LIMIT 5;
SQL

	title "Retrieve rows by id, in the order asked for"
	sql -e <<'SQL'
SELECT id, word, embedding[1:4] FROM vecseg_retrieve(NULL::words, ARRAY[7, 3, 99]);
SQL

	title "Nearest neighbours by exact search, in plain SQL"
	sql -e <<'SQL'
SELECT w.word, round(c.cosine::numeric, 4) AS cosine
FROM words q, words w, LATERAL (
    SELECT sum(a * b) / sqrt(sum(a * a) * sum(b * b)) AS cosine
    FROM unnest(q.embedding, w.embedding) AS u(a, b)) c
WHERE q.word = 'physics' AND w.id <> q.id
ORDER BY c.cosine DESC LIMIT 5;
SQL

	title "A vector drawn: the pixels of one digit"
	sql -e -t -A -P format=unaligned <<'SQL'
SELECT string_agg(substr(' .:+*#@@', 1 + (p * 7)::int, 1), '' ORDER BY n)
FROM vecseg_retrieve(NULL::digits, ARRAY[6]), unnest(pixels) WITH ORDINALITY AS u(p, n)
GROUP BY (n - 1) / 28 ORDER BY (n - 1) / 28;
SQL

	title "How a scroll was read"
	sql -e <<'SQL'
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
SELECT id, pixels FROM vecseg_scroll(NULL::digits);
SQL

	title "The segments"
	sql -e <<'SQL'
SELECT * FROM vecseg_segments('words');
SELECT * FROM vecseg_segments('digits');
SQL

	title "Bytes of the vectors, and of the whole table on disk"
	sql -e <<'SQL'
SELECT 'words' AS "table", sum(4 * cardinality(embedding)) AS raw_bytes,
       pg_table_size('words') AS table_bytes,
       round(pg_table_size('words')::numeric / sum(4 * cardinality(embedding)), 2) AS ratio
FROM words
UNION ALL
SELECT 'digits', sum(4 * cardinality(pixels)), pg_table_size('digits'),
       round(pg_table_size('digits')::numeric / sum(4 * cardinality(pixels)), 2)
FROM digits;
SQL
}

# As root, psql may connect as any user: only root and the server's user can
# reach the socket.
explain_use()
{
	title "The server keeps running"
	cat <<END
open psql on it:     $BINDIR/psql -h $SOCKET_DIR -U postgres $DATABASE
its files:           $SCRATCH
stop and remove it:  make demo-stop
END
}

main()
{
	if [[ ${1:-} == stop ]]; then
		stop_demo || say "no demo is running"
		return
	fi
	stop_demo || true
	start_demo
	load
	show
	trap - EXIT
	explain_use
}

main "$@"
