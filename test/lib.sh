# Shared by the scripts in test/: which server to use, who runs it, where its
# files go. Sourced, after `set -euo pipefail`.
#
# PostgreSQL refuses to run as root, so as root the servers are run by an
# unprivileged user in a scratch folder that belongs to it. Servers listen on
# a Unix socket in that folder only, so no port can be taken.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LANG=C.UTF-8
unset LC_ALL MAKEFLAGS MFLAGS MAKELEVEL

say()
{
	printf '%s\n' "== $*"
}

die()
{
	printf '%s\n' "error: $*" >&2
	exit 1
}

# Run a command as root.
as_root()
{
	if [[ $EUID -eq 0 ]]; then
		"$@"
	elif command -v sudo >/dev/null; then
		if [[ -t 0 ]]; then sudo "$@"; else sudo -n "$@"; fi
	else
		die "root is needed for \"$*\": run this as root, or install sudo"
	fi
}

# apt-get as root, without questions; waits while another program installs
# packages, as a new machine's own updates do.
apt_get()
{
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		-o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 \
		--no-install-recommends "$@"
}

# The user who runs the servers.
server_user()
{
	if [[ $EUID -ne 0 ]]; then
		id -un
	elif id postgres >/dev/null 2>&1; then
		echo postgres
	else
		echo nobody
	fi
}

# Run a command as that user, keeping the environment.
as_server()
{
	if [[ $EUID -eq 0 ]]; then
		local user
		user=$(server_user)
		HOME=${SCRATCH:-/} USER=$user LOGNAME=$user setpriv \
			--reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@"
	else
		"$@"
	fi
}

# Can extensions be built with this pg_config?
has_headers()
{
	[[ -f $("$1" --pgxs 2>/dev/null) ]]
}

# The major version of a pg_config
major_version()
{
	"$1" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'
}

# The pg_config to use: the one asked for, else the first that is complete.
find_pg_config()
{
	local candidate

	if [[ -n ${PG_CONFIG:-} ]]; then
		echo "$PG_CONFIG"
		return
	elif [[ -n ${PGVER:-} ]]; then
		echo "/usr/lib/postgresql/$PGVER/bin/pg_config"
		return
	fi
	for candidate in pg_config \
		$(ls -vr /usr/lib/postgresql/*/bin/pg_config 2>/dev/null); do
		if has_headers "$candidate"; then
			command -v "$candidate"
			return
		fi
	done
}

# Install packages, choose the server, build the extension and install it.
prepare()
{
	"$REPO/test/setup.sh"
	give_to_server "$SCRATCH"	# setup may have brought the user
	PG_CONFIG=$(find_pg_config)
	export PG_CONFIG
	BINDIR=$("$PG_CONFIG" --bindir)
	PGXS_DIR=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
	PGXS_DIR=$(cd "$PGXS_DIR" && pwd)
	export PATH=$BINDIR:$PATH

	say "building for $("$PG_CONFIG" --version)"
	quietly "$SCRATCH/build.log" \
		make -C "$REPO" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" WERROR=1 all
	install_extension
}

install_extension()
{
	local install=(make -C "$REPO" PG_CONFIG="$PG_CONFIG" install)

	if [[ ! -w $("$PG_CONFIG" --pkglibdir) ]]; then
		install=(as_root "${install[@]}")
	fi
	quietly "$SCRATCH/install.log" "${install[@]}"
}

# Run a command with its output in a log, which is shown only if it fails.
quietly()
{
	local log=$1
	shift
	if ! ("$@") >"$log" 2>&1; then
		tail -n 200 "$log"
		die "failed: $*"
	fi
}

# Set SCRATCH and go there: a new folder that the server's user can write, with
# a short enough name for a socket.
make_scratch()
{
	local parent=${TMPDIR:-/tmp}

	if [[ ${#parent} -gt 50 ]] || ! as_server test -w "$parent"; then
		parent=/tmp
	fi
	export TMPDIR=$parent
	SCRATCH=$(mktemp -d "$parent/$1.XXXXXX")
	SOCKET_DIR=$SCRATCH/sock
	mkdir "$SOCKET_DIR" "$SCRATCH/log"
	give_to_server "$SCRATCH"
	chmod 700 "$SOCKET_DIR"
	cd "$SCRATCH"
}

give_to_server()
{
	if [[ $EUID -eq 0 ]]; then
		chown -R "$(server_user):" "$@"
	fi
}

# Settings for this server's version: reads of its own by io_uring, where it can
version_settings()
{
	if "$PG_CONFIG" --configure | grep -q -e --with-liburing; then
		echo "io_method = io_uring"
	fi
}

# start_server FILE...: start a new server in SCRATCH with these settings.
start_server()
{
	as_server "$BINDIR/initdb" -D "$SCRATCH/data" -U postgres -A trust -N \
		--no-locale -E UTF8 --data-checksums >"$SCRATCH/initdb.log" 2>&1 ||
		{ cat "$SCRATCH/initdb.log"; die "initdb failed"; }
	{
		cat "$@"
		version_settings
		echo "unix_socket_directories = '$SOCKET_DIR'"
	} >>"$SCRATCH/data/postgresql.conf"
	as_server "$BINDIR/pg_ctl" start -w -s -D "$SCRATCH/data" \
		-l "$SCRATCH/log/server.log" </dev/null >/dev/null ||
		{ tail -n 50 "$SCRATCH/log/server.log"; die "the server did not start"; }
}

# Stop the server of a data folder, if it runs.
stop_server()
{
	if [[ -f $1/postmaster.pid ]]; then
		as_server "$BINDIR/pg_ctl" stop -s -m immediate -D "$1" \
			>/dev/null 2>&1 || true
	fi
}
