#!/usr/bin/env bash
#
# Run the tests on several major versions of PostgreSQL:
#
#   test/matrix.sh [VERSION...]       default: 15 16 17 18 19
#
# A version whose pg_config MATRIX_PG_CONFIG_<version> names is tested with that
# server; vecseg is compiled only if there are but its headers. A version that is
# installed here from packages is tested here. The others are tested in folders
# with the Debian release that packages them, made with debootstrap from the
# mirror that this system's own packages come from, and kept for the next time;
# pgvector is installed there too. What is left is skipped, loudly.
#
# Ends with a table, and with status 0 if nothing failed. By environment:
#
#   MATRIX_DIR    the folder of the folders (${XDG_CACHE_HOME:-~/.cache}/vecseg-matrix);
#                 2 GB for each version
#   MATRIX_MAKE   what to run, "test" by default; e.g. "test-server-suites", or
#                 "setup" to have the folders made and nothing run
#   TESTS, REGRESS, ISOLATION, SUITES ...   as for what is run
#
# Works as root, or as a user with sudo.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

MATRIX_DIR=${MATRIX_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/vecseg-matrix}
read -ra MAKE_TARGET <<<"${MATRIX_MAKE:-test}"
declare -A RESULTS
LOGS=

# The Debian release that packages a version of PostgreSQL
release_of()
{
	case $1 in
		15) echo bookworm ;;
		17) echo trixie ;;
		18) echo forky ;;
	esac
}

# The mirror of this system's packages
mirror()
{
	apt-get indextargets --format '$(REPO_URI) $(LABEL)' \
		'Created-By: Packages' 2>/dev/null | sed -n 's/ Debian$//p' | head -n 1
}

# This system's settings for reaching its mirror
apt_settings()
{
	apt-config dump | grep -E '^Acquire::(Check-|http|https|Retries)' || true
}

install_debootstrap()
{
	command -v debootstrap >/dev/null ||
		apt_get install debootstrap
}

# make_root FOLDER VERSION: a Debian system in a folder
make_root()
{
	local root=$1 version=$2 release url

	if [[ -f $root/vecseg-complete ]]; then
		return
	fi
	release=$(release_of "$version")
	url=$(mirror)
	[[ -n $url ]] || die "found no Debian mirror in this system's apt sources"
	install_debootstrap
	as_root rm -rf --one-file-system "$root"
	as_root mkdir -p "$root"
	# one script serves all recent releases, also those it does not know
	as_root debootstrap --variant=minbase --include=make,ca-certificates \
		"$release" "$root" "$url" /usr/share/debootstrap/scripts/sid
	apt_settings | as_root tee "$root/etc/apt/apt.conf.d/99matrix" >/dev/null
	printf '#!/bin/sh\nexit 101\n' |
		as_root tee "$root/usr/sbin/policy-rc.d" >/dev/null
	as_root chmod 755 "$root/usr/sbin/policy-rc.d"
	in_root "$root" make setup PGVER="$version"
	in_root "$root" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		--no-install-recommends install "postgresql-$version-pgvector"
	in_root "$root" apt-get clean
	as_root touch "$root/vecseg-complete"
}

copy_project()
{
	local root=$1

	as_root rm -rf "$root/src/vecseg"
	as_root mkdir -p "$root/src/vecseg"
	tar -C "$REPO" --exclude=.git --exclude='*.[od]' --exclude='*.so' \
		--exclude='.built-for-*' -cf - . |
		as_root tar -C "$root/src/vecseg" --no-same-owner -xf -
}

# in_root FOLDER COMMAND...: run a command there, in the project's folder, with
# mounts and processes that end with it
in_root()
{
	local root=$1
	shift

	copy_project "$root"
	as_root unshare --mount --pid --fork --kill-child --propagation private \
		bash -c '
			mount -t proc proc "$0/proc"
			mount --rbind /sys "$0/sys"
			mount --rbind /dev "$0/dev"
			exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
				LANG=C.UTF-8 '"$(test_environment)"' \
				sh -c "cd /src/vecseg && exec \"\$@\"" sh "$@"' \
		"$root" "$@" </dev/null
}

# Settings of the tests to hand on
test_environment()
{
	local name

	for name in TESTS REGRESS ISOLATION SUITES SUITE_TESTS PG_SOURCE \
		PGVECTOR_SOURCE KEEP PROVE_JOBS VECSEG_TEST_HARD VECSEG_STEP_TIMEOUT \
		VECSEG_OLD_SERVERS; do
		if [[ -n ${!name:-} ]]; then
			printf '%s=%q ' "$name" "${!name}"
		fi
	done
}

# Shared libraries that a server in a folder lacks
missing_libraries()
{
	as_root chroot "$1" sh -c "ldd /usr/lib/postgresql/$2/*/* 2>/dev/null || true" |
		sed -nE 's/^\t(.*) => not found$/\1/p' | sort -u
}

# copy_server FOLDER VERSION FROM: a server from another folder, with the
# libraries that it lacks; but not what compiles queries, which needs too many
copy_server()
{
	local root=$1 version=$2 from=$3 libraries library

	as_root rm -rf "$root/usr"/{lib,share}/"postgresql/$version"
	as_root tar -C "$from/usr" --exclude='llvmjit*' --exclude=bitcode -cf - \
		"lib/postgresql/$version" "share/postgresql/$version" |
		as_root tar -C "$root/usr" -xf -
	while libraries=$(missing_libraries "$root" "$version"); [[ -n $libraries ]]; do
		for library in $libraries; do
			as_root cp -L "$from"/usr/lib/*/"$library" "$root/usr/local/lib/"
		done
		as_root chroot "$root" ldconfig
	done
}

# The pg_config that was named for a version, if any
own_pg_config()
{
	local name=MATRIX_PG_CONFIG_$1

	echo "${!name:-}"
}

# Is that of a server, not only its headers?
has_server()
{
	[[ -x $("$1" --bindir)/postgres ]]
}

# old_servers FOLDER VERSION: have vecseg installed for all older versions at
# hand, and set VECSEG_OLD_SERVERS. The folder is / for this system.
old_servers()
{
	local root=$1 version=$2 old config

	export VECSEG_OLD_SERVERS=
	for ((old = 15; old < version; old++)); do
		config=$(own_pg_config "$old")
		if [[ -n $config ]]; then
			# one that was built here is of no use in another system
			[[ $root == / ]] && has_server "$config" || continue
			make -C "$REPO" -j"$(nproc)" all PG_CONFIG="$config"
			as_root make -C "$REPO" install PG_CONFIG="$config"
			VECSEG_OLD_SERVERS+=" $(dirname "$("$config" --bindir)")"
			continue
		elif [[ -x /usr/lib/postgresql/$old/bin/postgres ]]; then
			make -C "$REPO" -j"$(nproc)" all PGVER="$old"
			as_root make -C "$REPO" install PGVER="$old"
			[[ $root == / ]] || copy_server "$root" "$old" /
		elif [[ $root != / && -f $MATRIX_DIR/$old/vecseg-complete ]]; then
			in_root "$MATRIX_DIR/$old" make -j"$(nproc)" install PGVER="$old"
			copy_server "$root" "$old" "$MATRIX_DIR/$old"
		else
			continue
		fi
		VECSEG_OLD_SERVERS+=" /usr/lib/postgresql/$old"
	done
}

# Compile with that pg_config, in a copy.
compile_only()
{
	local config=$1 build=$LOGS/build

	mkdir "$build"
	tar -C "$REPO" --exclude=.git --exclude='*.[od]' --exclude='*.so' \
		--exclude='.built-for-*' -cf - . | tar -C "$build" -xf -
	make -C "$build" -j"$(nproc)" PG_CONFIG="$config" WERROR=1 all &&
		echo "compiled only" && echo "0 passed, 0 failed"
}

run_version()
{
	local version=$1 root=$MATRIX_DIR/$1 config
	config=$(own_pg_config "$version")

	if [[ -n $config ]] && has_server "$config"; then
		old_servers / "$version"
		make -C "$REPO" "${MAKE_TARGET[@]}" PG_CONFIG="$config"
	elif [[ -n $config ]]; then
		compile_only "$config"
	elif [[ -x /usr/lib/postgresql/$version/bin/postgres ]]; then
		old_servers / "$version"
		make -C "$REPO" "${MAKE_TARGET[@]}" PGVER="$version"
	elif [[ -n $(release_of "$version") ]]; then
		make_root "$root" "$version"
		old_servers "$root" "$version"
		in_root "$root" make "${MAKE_TARGET[@]}" PGVER="$version"
	fi
}

# A version's run of tests ends with "N passed, N failed[, N skipped]".
summary()
{
	local version=$1 line status=0

	if [[ -z $(own_pg_config "$version") && -z $(release_of "$version") ]] &&
		[[ ! -x /usr/lib/postgresql/$version/bin/postgres ]]; then
		echo "SKIPPED: no package is known, and MATRIX_PG_CONFIG_$version not set"
		return
	fi
	# not in an "if" or "||", where errors would not end it
	set +e
	(set -e; run_version "$version") >"$LOGS/$version.log" 2>&1
	status=$?
	set -e
	line=$(sed -nE '/^[0-9]+ passed, [0-9]+ failed/h; $ { x; p }' \
		"$LOGS/$version.log")
	if grep -qx 'compiled only' "$LOGS/$version.log"; then
		line="compiled without warnings; not run"
	elif [[ -z $line && $status -eq 0 ]]; then
		line="done: make ${MATRIX_MAKE:-test}, which counts no tests"
	fi
	echo "${line:-FAILED before the tests}"
}

main()
{
	local versions=("$@") version status=0

	[[ ${#versions[@]} -gt 0 ]] || versions=(15 16 17 18 19)
	LOGS=$(mktemp -d "${TMPDIR:-/tmp}/vecseg-matrix.XXXXXX")
	mkdir -p "$MATRIX_DIR"
	for version in "${versions[@]}"; do
		say "PostgreSQL $version (log: $LOGS/$version.log)"
		RESULTS[$version]=$(summary "$version")
		say "${RESULTS[$version]}"
	done
	say "summary (logs: $LOGS)"
	printf '%-12s%s\n' PostgreSQL result
	for version in "${versions[@]}"; do
		printf '%-12s%s\n' "$version" "${RESULTS[$version]}"
		if [[ ! ${RESULTS[$version]} =~ \ 0\ failed|^SKIPPED|^compiled|^done ]]; then
			status=1
		fi
	done
	return "$status"
}

main "$@"
