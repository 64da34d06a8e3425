#!/usr/bin/env bash
#
# Install the Debian packages that building and testing vecseg need. Does
# nothing when they are all there. As an ordinary user it goes through sudo.
#
# PGVER or PG_CONFIG chooses the server; the default is the newest one that is
# installed, else the distribution's own. A server that was not installed from
# packages is taken as it is.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

LOG=
CLUSTER_CONF=/etc/postgresql-common/createcluster.conf

is_installed()
{
	[[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

apt()
{
	if ! (apt_get "$@" </dev/null) >>"$LOG" 2>&1; then
		tail -n 40 "$LOG" >&2
		return 1
	fi
}

# Is the chosen server complete, and not Debian's?
is_own_server()
{
	local config=$1 bindir

	bindir=$("$config" --bindir 2>/dev/null) || return 1
	[[ $bindir != /usr/lib/postgresql/* && -x $bindir/postgres ]] &&
		has_headers "$config"
}

# The major version to install. Needs the package lists to be up to date when
# no server is installed and none was asked for.
server_version()
{
	local config version=

	if [[ -n ${PGVER:-} ]]; then
		echo "$PGVER"
		return
	fi
	config=$(find_pg_config)
	if [[ -n $config ]]; then
		version=$("$config" --version 2>/dev/null || true)
		version=$(sed -E 's/^PostgreSQL ([0-9]+).*/\1/' <<<"$version")
		[[ -n $version ]] || die "$config does not work"
	else
		version=$(apt-cache depends postgresql 2>/dev/null |
			sed -nE 's/.*Depends: postgresql-([0-9]+)$/\1/p' | head -n 1)
		[[ -n $version ]] || die "found no PostgreSQL package to install"
	fi
	echo "$version"
}

missing_packages()
{
	local package

	for package in "$@"; do
		is_installed "$package" || echo "$package"
	done
}

# Debian's server package creates a cluster and starts it: not wanted here.
# The setting that prevents it is put back whatever happens.
install_server()
{
	apt install postgresql-common
	as_root cp -p "$CLUSTER_CONF" "$CLUSTER_CONF.vecseg"
	trap 'as_root mv "$CLUSTER_CONF.vecseg" "$CLUSTER_CONF"' EXIT
	echo "create_main_cluster = false" |
		as_root tee -a "$CLUSTER_CONF" >/dev/null
	apt install "$@"
	as_root mv "$CLUSTER_CONF.vecseg" "$CLUSTER_CONF"
	trap - EXIT
}

update_lists()
{
	LOG=$(mktemp "${TMPDIR:-/tmp}/vecseg-setup.XXXXXX")
	say "installing packages (log: $LOG)"
	apt update || say "apt-get update failed; going on with the lists at hand"
}

main()
{
	local packages=(gcc libc6-dev make liburing-dev perl libipc-run-perl)
	local version config missing

	command -v dpkg-query >/dev/null ||
		die "this is not a Debian system: install PostgreSQL with its server" \
			"headers, liburing's headers, gcc and Perl's IPC::Run by hand"
	# a part of util-linux until Debian 13
	command -v fincore >/dev/null || packages+=(util-linux-extra)
	config=$(find_pg_config)
	if ! is_own_server "$config"; then
		if [[ -z $config && -z ${PGVER:-} ]]; then
			update_lists
		fi
		version=$(server_version)
		packages+=("postgresql-$version" "postgresql-server-dev-$version")
	fi
	mapfile -t missing < <(missing_packages "${packages[@]}")
	if [[ ${#missing[@]} -eq 0 ]]; then
		return
	fi
	[[ -n $LOG ]] || update_lists
	if [[ " ${missing[*]} " =~ \ postgresql-[0-9]+\  ]]; then
		install_server "${missing[@]}"
	else
		apt install "${missing[@]}"
	fi
	say "installed ${missing[*]}"
	rm -f "$LOG"
}

main
