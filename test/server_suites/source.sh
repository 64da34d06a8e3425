# PostgreSQL's and pgvector's own test suites, from their source packages.
# Sourced after lib.sh.
#
#   obtain_suites FOLDER    copies src/test/{regress,isolation,recovery,
#                           subscription} there, and builds what they need:
#                           libraries in FOLDER/lib, and FOLDER/psql/psql if
#                           the server's own is of another version
#   obtain_pgvector FOLDER  copies pgvector's SQL scripts to FOLDER/pgvector, its
#                           TAP tests to FOLDER/pgvector_tap
#
# The source is that of the installed package's version, or the nearest that
# the package sources have. PG_SOURCE=dir and PGVECTOR_SOURCE=dir name unpacked
# ones instead.

SUITES="regress isolation recovery subscription"

# The system's package sources with source packages enabled, in a folder of
# their own: nothing of the system's configuration or state is changed.
private_apt_sources()
{
	local to=$1 file

	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[[ -f $file ]] || continue
		sed -nE 's/^[[:space:]]*deb(-src)?([[:space:]])/deb-src\2/p' "$file" \
			>"$to/$(basename "$file" .list).list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[[ -f $file ]] || continue
		sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$to/$(basename "$file")"
	done
}

# Versions of the source package, that of an installed package first, then from
# the newest to the oldest.
source_versions()
{
	dpkg-query -W -f='${source:Version}\n' "$1" 2>/dev/null || true
	shift
	"$@" | sed -n 's/^Version: //p' | sort -Vr
}

# download_source FOLDER SOURCE-PACKAGE INSTALLED-PACKAGE: not every version
# that is listed can always be had
download_source()
{
	local to=$1 package=$2 installed=$3 version options

	mkdir -p "$to"/{sources,lists/partial,cache/archives/partial}
	private_apt_sources "$to/sources"
	options=(-q -o APT::Sandbox::User=root
		-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$to/sources"
		-o Dir::State::lists="$to/lists" -o Dir::Cache="$to/cache")
	cd "$to"
	apt-get "${options[@]}" update || return 1
	for version in $(source_versions "$installed" \
		apt-cache "${options[@]}" showsrc "$package"); do
		if apt-get "${options[@]}" source --download-only "$package=$version"; then
			return 0
		fi
	done
	echo "could not get the source package $package"
	return 1
}

# Unpack its upstream archive, in a folder of which it returns the name. By
# Perl, because neither dpkg-dev nor bzip2 need be there.
unpack_source()
{
	local from=$1 archive

	archive=$(compgen -G "$from/*.orig.tar.*" |
		grep -v '\.asc$' | head -n 1) || true
	[[ -n $archive ]] || die "the source package has no upstream archive"
	mkdir "$from/tree"
	perl -MIO::Uncompress::AnyUncompress=:all -e '
		anyuncompress($ARGV[0] => "-", MultiStream => 1)
			or die "could not unpack \"$ARGV[0]\": $AnyUncompressError\n"' \
		"$archive" | tar -C "$from/tree" --strip-components=1 -xf -
	echo "$from/tree"
}

# The unpacked source's version
source_version()
{
	sed -nE "s/^PACKAGE_VERSION='(.*)'/\1/p" "$1/configure"
}

# build_by_pgxs FOLDER: what is described by the lines of makefile on stdin
build_by_pgxs()
{
	{
		cat
		echo 'override with_llvm = no'
		echo 'PGXS := $(shell $(PG_CONFIG) --pgxs)'
		echo 'include $(PGXS)'
	} >"$1/Makefile"
	quietly "$1/build.log" make -C "$1" PG_CONFIG="$PG_CONFIG" all
}

# The libraries of C functions that the suites load, which are no part of an
# installed server, or quieter there.
build_libraries()
{
	local source=$1 to=$2

	mkdir "$to"
	cp "$source"/src/test/regress/regress.c \
		"$source"/contrib/spi/{refint,autoinc}.c "$to"
	build_by_pgxs "$to" <<-'END'
		MODULES = regress refint autoinc
		PG_CPPFLAGS = -DREFINT_VERBOSE
	END
}

# The psql of the suites' own version: what psql does with the rest of a
# script after an error in COPY FROM STDIN has changed in minor releases, and
# with another one's a good part of some scripts is not run.
build_psql()
{
	local source=$1 to=$2

	cp -R "$source/src/bin/psql" "$to"
	rm "$to/Makefile"
	touch "$to"/psqlscanslash.c "$to"/sql_help.[ch]	# made from other files
	printf '%s\n' '#include "postgres_fe.h"' '#undef HAVE_LIBREADLINE' \
		>"$to/no_readline.h"
	build_by_pgxs "$to" <<-'END'
		PROGRAM = psql
		OBJS = $(patsubst %.c,%.o,$(wildcard *.c))
		PG_CPPFLAGS = -include no_readline.h -I$(shell $(PG_CONFIG) --includedir)
		PG_LIBS_INTERNAL = -lpgfeutils $(libpq_pgport)
		override LIBS = -lm
	END
}

obtain_suites()
{
	local to=$1 major source=${PG_SOURCE:-} suite

	major=$(major_version "$PG_CONFIG")
	if [[ -z $source ]]; then
		say "downloading the source of PostgreSQL $major"
		quietly "$SCRATCH/source.log" download_source "$SCRATCH/source" \
			"postgresql-$major" "postgresql-$major"
		source=$(unpack_source "$SCRATCH/source")
	fi
	[[ -f $source/src/test/regress/regress.c ]] ||
		die "$source is not PostgreSQL's source"
	say "suites of PostgreSQL $(source_version "$source")"
	for suite in $SUITES; do
		cp -R "$source/src/test/$suite" "$to"
	done
	build_libraries "$source" "$to/lib"
	if [[ ! "$("$BINDIR/psql" --version) " == *") $(source_version "$source") "* ]]; then
		build_psql "$source" "$to/psql"
	fi
}

obtain_pgvector()
{
	local to=$1 major source=${PGVECTOR_SOURCE:-}

	major=$(major_version "$PG_CONFIG")
	if [[ -z $source ]]; then
		say "downloading the source of pgvector"
		quietly "$SCRATCH/pgvector.log" download_source "$SCRATCH/pgvector" \
			pgvector "postgresql-$major-pgvector"
		source=$(unpack_source "$SCRATCH/pgvector")
	fi
	[[ -f $source/vector.control ]] || die "$source is not pgvector's source"
	say "suites of pgvector $(sed -nE "s/^default_version = '(.*)'/\1/p" \
		"$source/vector.control")"
	mkdir "$to/pgvector" "$to/pgvector_tap"
	cp -R "$source"/test/{sql,expected} "$to/pgvector"
	cp -R "$source/test/t" "$to/pgvector_tap"
}
