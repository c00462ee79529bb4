# Boots the machine: sh boot.sh DIR NAME CGROUP... in new mount and PID namespaces.
# DIR/seed is copied over the root file system.
set -eu
dir=$1 name=$2
shift 2
for cgroup in "$@"; do
	echo 0 >"$cgroup/cgroup.procs"
done
mount -t tmpfs -o mode=755 tmpfs "$dir/disk"
# Keep what systemd-nspawn writes to /run away from the host.
mount -t tmpfs -o mode=755 tmpfs /run
cd "$dir/disk"
mkdir upper work root
# Character devices 0:0 hide what the lower layer has there.
for path in home root tmp work mnt media srv opt; do
	[ ! -e "/$path" ] || mknod "upper/$path" c 0 0
done
mount -t overlay -o lowerdir=/,upperdir=upper,workdir=work overlay root
root=$dir/disk/root
cd "$root"
mkdir -m 700 root
mkdir -m 1777 tmp
mkdir -p home work mnt media srv opt
# No service of the host starts, and nothing of polyclam is installed.
find etc/systemd/system -name '*.wants' -prune -exec rm -r {} +
find etc/rc?.d -name '[SK]*' -delete
# Packages may start, stop and restart daemons.
rm -f usr/sbin/policy-rc.d
rm -rf etc/polyclam etc/systemd/system/polyclam* usr/bin/polyclam* usr/lib/systemd/system/polyclam* \
	usr/lib/sysusers.d/polyclam* usr/lib/tmpfiles.d/polyclam* var/lib/polyclam var/spool/polyclam
# Packages do not index all manual pages.
rm -rf var/lib/man-db/auto-update var/log/journal var/lib/systemd/random-seed var/lib/systemd/timers etc/machine-id
: >etc/machine-id
cp -a "$dir/seed/." .
# /tmp is a folder, as on most servers.
export SYSTEMD_NSPAWN_TMPFS_TMP=0
exec systemd-nspawn --quiet --boot --register=no --keep-unit --machine="$name" --hostname="$name" \
	--private-network --resolv-conf=off --timezone=off --link-journal=no --console=pipe \
	--notify-ready=yes --kill-signal=SIGRTMIN+3 --directory="$root"
