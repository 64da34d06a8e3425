# A control group that limits memory, page cache included. Sourced.
#
#   make_cgroup      make it (version 1 or 2) with $MEMORY_LIMIT; sets CGROUP, its
#                    folder. False if that is not allowed.
#   enter_cgroup     put this process (a subshell) in it; does nothing without one
#   remove_cgroup    when its processes have ended; does nothing without one

CGROUP=

make_cgroup()
{
	local name=vecseg.$$

	if mkdir "/sys/fs/cgroup/memory/$name" 2>/dev/null; then
		CGROUP=/sys/fs/cgroup/memory/$name
		echo "$MEMORY_LIMIT" >"$CGROUP/memory.limit_in_bytes"
	elif [[ -f /sys/fs/cgroup/cgroup.controllers ]] &&
		mkdir "/sys/fs/cgroup/$name" 2>/dev/null; then
		CGROUP=/sys/fs/cgroup/$name
		echo "$MEMORY_LIMIT" >"$CGROUP/memory.max"
	fi 2>/dev/null && [[ -n $CGROUP ]] || {
		remove_cgroup
		return 1
	}
}

enter_cgroup()
{
	if [[ -n $CGROUP ]]; then echo $BASHPID >"$CGROUP/cgroup.procs"; fi
}

remove_cgroup()
{
	if [[ -n $CGROUP ]]; then rmdir "$CGROUP" || true; fi
	CGROUP=
}
