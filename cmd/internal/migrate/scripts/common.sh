# Everything from here on is the same on every machine.

RUN=/run/polyclam-migration # temporary files; a reboot removes them
SYSTEM=/etc/systemd/system
RUNTIME=/run/systemd/system
BRIDGE=polyclam-bridge.service
TRIAL=polyclamd-trial
step=0

say() { printf '%s\n' "$*"; }

announce() {
	step=$((step + 1))
	printf '\n%s. %s\n' "$step" "$*"
}

# fail MESSAGE ADVICE...
fail() {
	printf '\nSTOPPED: %s\n' "$1" >&2
	shift
	for line; do printf '  %s\n' "$line" >&2; done
	who_answers
	exit 1
}

who_answers() {
	explained=yes
	if polyclam_serves; then
		printf '  Now polyclam answers the clients.\n' >&2
	elif answers "$CURRENT"; then
		printf '  Now clamd answers the clients, as before.\n' >&2
	else
		printf '  Now NOBODY answers on %s: run %s\n' "$CURRENT" "$UNDO" >&2
	fi
	if active "$BRIDGE"; then printf '  A second clamd still runs: this script uses it again, and %s ends it.\n' "$UNDO" >&2; fi
}

# answers ADDRESS succeeds if a daemon answers PING there.
answers() { timeout 5 polyclam --address "$1" ping >/dev/null 2>&1; }

active() { systemctl is-active --quiet "$1"; }

show() { systemctl show --property "$2" --value -- "$1"; }

polyclam_serves() { active polyclamd.socket && active polyclamd.service; }

# clamd_moved succeeds if clamd runs with its new configuration and answers.
clamd_moved() {
	runs_with "$ENGINE_UNIT" "$ENGINE_CONF" && answers "$ENGINE_ADDRESS"
}

# runs_with UNIT FILE succeeds if the unit's process has the file on its command line.
runs_with() {
	pid=$(show "$1" MainPID)
	[ "${pid:-0}" != 0 ] && tr '\000' '\n' <"/proc/$pid/cmdline" | grep -Fq -- "$2"
}

# wait_for ADDRESS UNIT waits until a daemon answers, at most ten minutes.
wait_for() {
	waited=0
	until answers "$1"; do
		case $(show "$2" ActiveState) in
		failed | inactive)
			journalctl --unit "$2" --lines 10 --no-pager --output cat 2>/dev/null | sed 's/^/  | /'
			return 1
			;;
		esac
		[ "$waited" -lt 600 ] || return 1
		sleep 1
		waited=$((waited + 1))
		[ $((waited % 10)) != 0 ] || say "  $2 is still loading signatures after $waited s"
	done
}

# write_file FILE TEXT
write_file() {
	if [ -f "$1" ] && [ "$(cat -- "$1")" = "$2" ]; then return; fi
	mkdir -p -- "$(dirname -- "$1")"
	printf '%s\n' "$2" >"$1.polyclam-new"
	chmod 0644 "$1.polyclam-new"
	mv -f -- "$1.polyclam-new" "$1"
	say "  wrote $1"
}

# remove_file FILE removes it, and its directory of drop-ins if that is empty then.
remove_file() {
	if [ ! -e "$1" ]; then return; fi
	rm -f -- "$1"
	case $1 in
	*.d/*.conf) rmdir -- "$(dirname -- "$1")" 2>/dev/null || : ;;
	esac
	say "  removed $1"
}

# relink FROM TO makes TO another name of the socket FROM, atomically: clients always find
# a socket there.
relink() {
	if [ "$1" -ef "$2" ]; then return; fi
	ln -f -- "$1" "$2.polyclam-new"
	mv -f -T -- "$2.polyclam-new" "$2"
}

# protect FILE makes FILE a mount point, so that it cannot be removed. When clamd and
# systemd stop, they remove the socket of the configuration with which they were started.
protect() {
	unprotect "$1"
	mount --bind -- "$1" "$1"
}

unprotect() {
	while umount -- "$1" 2>/dev/null; do :; done
}

# replace FROM TO <IN >OUT replaces whole lines.
replace() {
	FROM=$1 TO=$2 awk '{ print ($0 == ENVIRON["FROM"]) ? ENVIRON["TO"] : $0 }'
}

# enough_memory succeeds if there is memory for a second clamd.
enough_memory() {
	rss=0
	for unit in "$CLAMD_UNIT" "$ENGINE_UNIT"; do
		pid=$(show "$unit" MainPID)
		if [ "${pid:-0}" = 0 ]; then continue; fi
		rss=$(awk '/^VmRSS:/ { print $2 }' "/proc/$pid/status")
	done
	free=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
	[ "${rss:-0}" -gt 0 ] && [ $((free * 10)) -gt $((rss * 13)) ]
}

# start_bridge CONF starts a second clamd with this configuration, on BRIDGE_SOCKET, for the
# time in which the other one restarts. It has the restrictions of clamd's own unit.
start_bridge() {
	if active "$BRIDGE" && answers "$BRIDGE_ADDRESS"; then return; fi
	systemctl stop "$BRIDGE" 2>/dev/null || :
	mkdir -p -- "$RUN"
	dir=$(dirname -- "$BRIDGE_SOCKET")
	if [ ! -d "$dir" ]; then
		mkdir -- "$dir"
		chown -- "$CLAMD_USER" "$dir"
	fi
	{
		awk '$1 != "LocalSocket" && $1 != "TCPSocket" && $1 != "TCPAddr" && $1 != "PidFile" && $1 != "LogFile"' "$1"
		printf '\nLocalSocket %s\n' "$BRIDGE_SOCKET_VALUE"
	} >"$RUN/bridge.conf"
	chmod 0644 "$RUN/bridge.conf"
	{
		printf '[Unit]\nDescription=clamd while polyclam and clamd change places\n[Service]\n'
		systemctl cat -- "$CLAMD_UNIT" 2>/dev/null | awk '
			/^\[/ { inside = $0 == "[Service]"; next }
			!inside { next }
			skip { skip = /\\$/; next }
			/^[ \t]*(Type|Exec[A-Za-z]*|Restart[A-Za-z]*|Sockets|PIDFile|WatchdogSec|NotifyAccess|BusName|RuntimeDirectory[A-Za-z]*|Timeout[A-Za-z]*|RemainAfterExit|GuessMainPID|TemporaryFileSystem)[ \t]*=/ { skip = /\\$/; next }
			{ print }'
		printf 'Type=simple\nExecStart=%s\nTimeoutStopSec=120\n' "$BRIDGE_START"
		if [ "$1" = "$ENGINE_CONF" ]; then printf '%s\n' "$CLAMD_TEMPORARY"; fi
	} >"$RUNTIME/$BRIDGE"
	systemctl daemon-reload
	rm -f -- "$BRIDGE_SOCKET"
	systemctl start "$BRIDGE"
	wait_for "$BRIDGE_ADDRESS" "$BRIDGE"
}

stop_bridge() {
	systemctl stop "$BRIDGE" 2>/dev/null || :
	rm -f -- "$RUNTIME/$BRIDGE" "$BRIDGE_SOCKET" "$RUN/bridge.conf"
}

# hold_polyclam makes the service wait, when it starts, until the file "hold" is removed.
# systemd keeps its sockets open, so the clients wait too.
hold_polyclam() {
	mkdir -p -- "$RUN" "$RUNTIME/polyclamd.service.d"
	: >"$RUN/hold"
	printf '[Service]\nTimeoutStartSec=900\nExecStartPre=/bin/sh -c "while [ -e %s/hold ]; do sleep 0.1; done"\n' "$RUN" \
		>"$RUNTIME/polyclamd.service.d/polyclam-hold.conf"
	systemctl daemon-reload
	systemctl stop polyclamd.service 2>/dev/null
}

release_polyclam() {
	rm -f -- "$RUN/hold"
	if [ ! -e "$RUNTIME/polyclamd.service.d/polyclam-hold.conf" ]; then return; fi
	remove_file "$RUNTIME/polyclamd.service.d/polyclam-hold.conf" >/dev/null
	systemctl daemon-reload
}

stop_trial() {
	systemctl stop "$TRIAL.socket" "$TRIAL.service" 2>/dev/null || :
	rm -rf -- "$RUN/trial" "$RUN/trial.toml" "$RUNTIME/$TRIAL.socket" "$RUNTIME/$TRIAL.service"
	if [ -n "${proof:-}" ]; then rm -f -- "$proof"; fi
}

# ask_bridge makes polyclamd ask the second clamd: it reads another configuration in place of
# its own, which does not change.
ask_bridge() {
	unprotect "$POLYCLAM_CONF"
	cp -p -- "$POLYCLAM_CONF" "$RUN/bridge.toml"
	replace "$ENGINE_LINE" "$BRIDGE_LINE" <"$POLYCLAM_CONF" >"$RUN/bridge.toml"
	mount --bind -- "$RUN/bridge.toml" "$POLYCLAM_CONF"
	if active polyclamd.service; then systemctl reload polyclamd.service; fi
}

# ask_engine makes polyclamd ask clamd: it reads its own configuration again.
ask_engine() {
	unprotect "$POLYCLAM_CONF"
	rm -f -- "$RUN/bridge.toml"
	if ! active polyclamd.service; then return; fi
	systemctl reload polyclamd.service
	tries=0
	while polyclam status 2>/dev/null | grep -Fq -- "$BRIDGE_ADDRESS" && [ "$tries" -lt 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}

# clamd_units ACTION UNIT SOCKET
clamd_units() {
	if [ -n "$3" ]; then systemctl "$1" "$3" "$2"; else systemctl "$1" "$2"; fi
}

# stop_clamd stops clamd, but keeps the file SOCKET.
stop_clamd() { keeping_socket clamd_units stop "$CLAMD_UNIT" "$CLAMD_SOCKET"; }

# keeping_socket COMMAND... runs a command that may not remove the file SOCKET.
keeping_socket() {
	if [ -n "$SOCKET" ] && [ -e "$SOCKET" ]; then protect "$SOCKET"; fi
	"$@"
	if [ -n "$SOCKET" ]; then unprotect "$SOCKET"; fi
}

apparmor_on() { grep -q Y /sys/module/apparmor/parameters/enabled 2>/dev/null; }

load_apparmor() {
	if apparmor_on && command -v apparmor_parser >/dev/null; then apparmor_parser -r -- "$APPARMOR_PROFILE"; fi
}

# go_back makes clamd alone answer the clients, with its old configuration.
go_back() {
	stop_trial
	release_polyclam
	if active "$CLAMD_UNIT" && ! runs_with "$CLAMD_UNIT" "$ENGINE_CONF"; then
		# It was never stopped. At most, polyclam has taken the name of its socket.
		if [ -n "$SOCKET" ] && [ -S "$SOCKET.before" ]; then
			relink "$SOCKET.before" "$SOCKET"
			sleep 1
		fi
		stop_polyclam
		remove_dropins
		systemctl daemon-reload
		if [ "$ENGINE_UNIT" != "$CLAMD_UNIT" ]; then systemctl disable --now "$ENGINE_UNIT" 2>/dev/null || :; fi
	else
		move_back || return 1
	fi
	wait_for "$CURRENT" "$CLAMD_UNIT" || return 1
	unprotect "$POLYCLAM_CONF"
	stop_bridge
	if [ -n "$SOCKET" ]; then rm -f -- "$SOCKET.before" "$ENGINE_SOCKET" "$SOCKET.own"; fi
	rm -rf -- "$RUN"
}

stop_polyclam() {
	systemctl disable --now polyclamd.socket polyclamd.service 2>/dev/null || :
}

# move_back restarts clamd with its old configuration. Another clamd, if there is memory
# for one, answers the clients meanwhile, on the socket "warm".
move_back() {
	warm=
	if [ -n "$SOCKET" ] && { answers "$BRIDGE_ADDRESS" || enough_memory; }; then
		if [ "$ENGINE_UNIT" != "$CLAMD_UNIT" ] && clamd_moved; then
			warm=$ENGINE_SOCKET
		else
			say "  starting a second clamd, which answers until the other one has its old configuration"
			if start_bridge "$CLAMD_CONF"; then warm=$BRIDGE_SOCKET; fi
		fi
	fi
	if [ -n "$warm" ]; then
		relink "$warm" "$SOCKET"
	else
		say "  clients wait until clamd has loaded its signatures again"
	fi
	held=no
	if [ -z "$warm" ] && [ -n "$SOCKET" ] && active polyclamd.socket; then
		# They wait on polyclam's socket; polyclam serves them when clamd answers.
		held=yes
		hold_polyclam
	else
		if [ -n "$warm" ]; then sleep 1; fi # polyclamd accepts the clients that wait on its own socket
		stop_polyclam
	fi
	if [ "$ENGINE_UNIT" != "$CLAMD_UNIT" ]; then
		if [ "$warm" = "$ENGINE_SOCKET" ]; then
			systemctl disable "$ENGINE_UNIT" 2>/dev/null || :
		else
			systemctl disable --now "$ENGINE_UNIT" 2>/dev/null || :
		fi
		systemctl enable "$CLAMD_UNIT" 2>/dev/null || :
	fi
	stop_clamd
	remove_dropins
	systemctl daemon-reload
	if [ -z "$CLAMD_SOCKET" ]; then
		start_beside || return 1
	else
		# Only a client that connects before move_aside waits for the signatures.
		if [ -n "$warm" ]; then move_aside & fi
		if ! systemctl start "$CLAMD_SOCKET"; then
			rm -f -- "$RUN/aside"
			return 1
		fi
		if [ -n "$warm" ]; then wait "$!"; fi
		systemctl start "$CLAMD_UNIT"
		if [ -n "$warm" ]; then
			wait_for "unix:$SOCKET.own" "$CLAMD_UNIT" || return 1
			relink "$SOCKET.own" "$SOCKET"
			rm -f -- "$SOCKET.own"
		fi
	fi
	wait_for "$CURRENT" "$CLAMD_UNIT" || return 1
	if [ "$ENGINE_UNIT" != "$CLAMD_UNIT" ]; then systemctl stop "$ENGINE_UNIT"; fi
	if [ "$held" = yes ]; then
		relink "$SOCKET" "$ENGINE_SOCKET"
		release_polyclam
		systemctl start polyclamd.service
		sleep 1
		stop_polyclam
	fi
}

# move_aside waits for systemd's new socket, renames it, and gives its name back to warm.
move_aside() {
	rm -f -- "$SOCKET.own"
	ln -f -- "$warm" "$SOCKET.polyclam-new"
	: >"$RUN/aside"
	while [ -e "$RUN/aside" ]; do
		if [ -S "$SOCKET" ] && ! [ "$SOCKET" -ef "$warm" ]; then
			ln -- "$SOCKET" "$SOCKET.own" && mv -f -T -- "$SOCKET.polyclam-new" "$SOCKET"
			return
		fi
	done
}

# start_beside starts a clamd that creates its socket itself. It must not see that another
# daemon listens there, so it gets another directory, and its socket is moved when it
# answers.
start_beside() {
	if [ -z "$SOCKET" ] || [ -n "$(show "$CLAMD_UNIT" PIDFile)" ]; then
		if [ -n "$SOCKET" ]; then rm -f -- "$SOCKET"; fi
		systemctl start "$CLAMD_UNIT"
		return
	fi
	dir=$(dirname -- "$SOCKET")
	beside=$dir/.polyclam
	rm -rf -- "$beside"
	mkdir -- "$beside"
	chown --reference="$dir" -- "$beside"
	chmod --reference="$dir" -- "$beside"
	mkdir -p -- "$RUNTIME/$CLAMD_UNIT.d"
	printf '[Service]\nBindPaths=%s:%s\n' "$BESIDE_VALUE" "$SOCKET_DIR_VALUE" >"$RUNTIME/$CLAMD_UNIT.d/polyclam-beside.conf"
	systemctl daemon-reload
	systemctl start "$CLAMD_UNIT"
	wait_for "unix:$beside/${SOCKET##*/}" "$CLAMD_UNIT" || return 1
	relink "$beside/${SOCKET##*/}" "$SOCKET"
	rm -rf -- "$beside"
	remove_file "$RUNTIME/$CLAMD_UNIT.d/polyclam-beside.conf" >/dev/null
	systemctl daemon-reload
}

remove_dropins() {
	remove_file "$SYSTEM/$ENGINE_UNIT.d/$DROPIN"
	if [ -n "$CLAMD_SOCKET" ]; then remove_file "$SYSTEM/$CLAMD_SOCKET.d/$DROPIN"; fi
}
