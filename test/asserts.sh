#!/usr/bin/env bash
#
# Run the tests on a server built with assertions, which Debian's is not:
#
#   test/asserts.sh [regress] [isolation] [tap]      as for test/run.sh
#
# The server is built from the source package, by its own configure (Debian's
# packaging would install it over the system's), and kept for the next time.
# vecseg is compiled with the same options, so its own assertions count too.
# By environment:
#
#   SANITIZE=1    build both also with -fsanitize=address,undefined; what either
#                 finds ends the server with signal 6, which fails the test
#   ASSERTS_DIR   where the server is kept (/var/tmp/vecseg-asserts-VERSION, or
#                 vecseg-sanitize-VERSION); about 1 GB; readable for the user
#                 who runs servers
#   PG_SOURCE     the unpacked source of PostgreSQL, in place of the package's
#   PGVER         its major version, if not that of the installed server
#
# REGRESS, ISOLATION, TESTS and the rest as for test/run.sh.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$REPO/test/server_suites/source.sh"

# What configure is told. Frame pointers are for the sanitizers' stack traces. With
# them, the compiler suspects PG_TRY()'s own variable to be clobbered by longjmp().
configure_options()
{
	local flags='-O2 -g'

	if [[ -n ${SANITIZE:-} ]]; then
		flags='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined'
		flags+=' -fno-sanitize-recover=all -Wno-clobbered'
	fi
	printf '%s\n' "--prefix=$ASSERTS_DIR" --enable-cassert --enable-tap-tests \
		--without-readline --without-icu --with-lz4 "CFLAGS=$flags"
	if [[ $1 -ge 18 ]]; then
		echo --with-liburing
	fi
}

# What the server needs besides test/setup.sh's packages. From version 17 on, the
# source has no files made by bison and flex.
install_packages()
{
	local packages=(zlib1g-dev liblz4-dev pkgconf)

	[[ $1 -lt 17 ]] || packages+=(bison flex)
	if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
		apt_get install "${packages[@]}" >/dev/null
	fi
}

# build_server VERSION
build_server()
{
	local version=$1 work=$ASSERTS_DIR/build source=${PG_SOURCE:-} options

	if [[ -f $ASSERTS_DIR/complete ]]; then
		return
	fi
	install_packages "$version"
	rm -rf "$ASSERTS_DIR"
	mkdir -p "$work"
	if [[ -z $source ]]; then
		say "downloading the source of PostgreSQL $version"
		quietly "$work/download.log" download_source "$work/package" \
			"postgresql-$version" "postgresql-$version"
		source=$(unpack_source "$work/package")
	fi
	say "building PostgreSQL $(source_version "$source") in $ASSERTS_DIR"
	mkdir "$work/objects"
	mapfile -t options < <(configure_options "$version")
	cd "$work/objects"
	quietly "$work/configure.log" "$source/configure" "${options[@]}"
	quietly "$work/make.log" make -j"$(nproc)" world-bin
	quietly "$work/install.log" make install-world-bin
	cd "$REPO"
	rm -rf "$work"
	touch "$ASSERTS_DIR/complete"
}

# The server's memory contexts are one leak to the sanitizer, its measure of
# stack depth needs one stack, the handler of SIGBUS is ours, stdbuf, which tests
# use, preloads a library of its own, and what the sanitizer keeps of freed memory
# must not look like a leak to the test that measures it.
sanitizer_options()
{
	export ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0
	ASAN_OPTIONS+=:abort_on_error=1:handle_sigbus=0:handle_segv=0
	ASAN_OPTIONS+=:verify_asan_link_order=0:quarantine_size_mb=8
	export UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1
}

main()
{
	local version=${PGVER:-} kind=asserts

	umask 022
	"$REPO/test/setup.sh"
	[[ -n $version ]] || version=$(major_version "$(find_pg_config)")
	if [[ -n ${SANITIZE:-} ]]; then
		kind=sanitize
		sanitizer_options
	fi
	ASSERTS_DIR=${ASSERTS_DIR:-/var/tmp/vecseg-$kind-$version}
	build_server "$version"
	exec env -u PGVER PG_CONFIG="$ASSERTS_DIR/bin/pg_config" \
		"$REPO/test/run.sh" "$@"
}

main "$@"
