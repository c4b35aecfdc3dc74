#!/bin/sh
# Runs a command in a network namespace of its own, in which the addresses of a test cluster are the machine's own.
# Nothing in it reaches the network outside, so that several may run at once.
#
#   ./netns.sh COMMAND [ARGUMENT...]
#
# As root, or as an ordinary user where user namespaces are allowed.
set -eu
if [ "${TESTCLUSTER_NETNS:-}" != 1 ]; then
	export TESTCLUSTER_NETNS=1
	if [ "$(id -u)" = 0 ]; then exec unshare --net -- "$0" "$@"; fi
	exec unshare --net --user --map-root-user -- "$0" "$@"
fi
unset TESTCLUSTER_NETNS
ip link set lo up
# With a local route any address of a range may be bound without being assigned first.
ip route add local 10.0.0.0/8 dev lo
exec "$@"
