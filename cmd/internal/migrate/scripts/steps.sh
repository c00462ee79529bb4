
# check_machine changes nothing.
check_machine() {
	announce "Check this machine"
	[ "$(id -u)" = 0 ] || {
		printf 'This needs root.\n' >&2
		explained=yes
		exit 1
	}
	for program in systemctl polyclam polyclamd awk timeout mount runuser; do
		command -v "$program" >/dev/null || fail "there is no $program" "Install it, then run this again."
	done
	[ -d /run/systemd/system ] || fail "systemd does not run here" "polyclam init without --steps prints what to do by hand."
	for unit in polyclamd.service polyclamd.socket "$CLAMD_UNIT"; do
		[ -n "$(show "$unit" FragmentPath)" ] || fail "there is no unit $unit" "Install the package of polyclam (or of clamd), then run this again."
	done
	if ! id polyclam >/dev/null 2>&1; then
		systemd-sysusers || fail "there is no user polyclam" "useradd --system --home-dir / --shell /usr/sbin/nologin polyclam"
	fi
	for group in $GROUPS_WANTED; do
		getent group "$group" >/dev/null || fail "there is no group $group" "polyclam init found it: run it again, with --force."
	done
	for file in "$POLYCLAM_CONF" "$ENGINE_CONF" "$CLAMD_CONF"; do
		[ -f "$file" ] || fail "there is no $file" "polyclam init --output --move-clamd writes it: run it again, with --force."
	done
	polyclamd --check-file --config "$POLYCLAM_CONF" >/dev/null || fail "$POLYCLAM_CONF has mistakes, see above" "Correct it, then run this again."
	if ! answers "$CURRENT"; then
		fail "neither clamd nor polyclam answers on $CURRENT" "systemctl status $CLAMD_UNIT shows why. Start clamd, then run this again."
	fi
	mkdir -p -- "$RUN"
	: >"$RUN/mount"
	mount --bind -- "$RUN/mount" "$RUN/mount" 2>/dev/null || fail "bind mounts are not permitted here" "Follow the steps that polyclam init prints without --steps."
	unprotect "$RUN/mount"
	say "  all is well"
}

# prepare writes files that have no effect yet.
prepare() {
	announce "Prepare polyclam's units; clamd runs unchanged"
	write_file "$SYSTEM/polyclamd.service.d/$DROPIN" "$SERVICE_DROPIN"
	write_file "$SYSTEM/polyclamd.socket.d/$DROPIN" "$SOCKET_DROPIN"
	if [ -n "$APPARMOR_LINES" ] && ! grep -Fqx -- "$APPARMOR_BEGIN" "$APPARMOR_LOCAL" 2>/dev/null; then
		if [ -e "$APPARMOR_LOCAL" ]; then
			[ -z "$(tail -c 1 -- "$APPARMOR_LOCAL")" ] || printf '\n' >>"$APPARMOR_LOCAL"
			printf '%s\n%s\n%s\n' "$APPARMOR_BEGIN" "$APPARMOR_LINES" "$APPARMOR_END" >>"$APPARMOR_LOCAL"
		else
			mkdir -p -- "$(dirname -- "$APPARMOR_LOCAL")"
			printf '%s\n%s\n%s\n%s\n' "$APPARMOR_BEGIN" "$APPARMOR_CREATED" "$APPARMOR_LINES" "$APPARMOR_END" >"$APPARMOR_LOCAL"
		fi
		say "  added clamd's new address to $APPARMOR_LOCAL"
	fi
	if [ -n "$APPARMOR_LINES" ]; then
		load_apparmor || fail "AppArmor does not accept $APPARMOR_LOCAL" "Correct the file, then run this again."
	fi
	systemctl daemon-reload
}

# second_clamd starts another clamd, to answer while clamd's own unit restarts. It sets bridge
# to yes if that was possible.
second_clamd() {
	announce "Start a second clamd with the new configuration"
	bridge=no
	# BRIDGE_LINE is there if an earlier run was interrupted.
	if [ "$(grep -Fxc -e "$ENGINE_LINE" -e "$BRIDGE_LINE" -- "$POLYCLAM_CONF")" != 1 ]; then
		say "  not possible: $POLYCLAM_CONF was edited and has no single line $ENGINE_LINE"
	elif ! active "$BRIDGE" && ! enough_memory; then
		say "  not possible: there is too little memory for a second one"
	elif [ "$ENGINE_UNIT" != "$CLAMD_UNIT" ]; then
		write_clamd_dropins
		systemctl daemon-reload
		systemctl start "$ENGINE_UNIT"
		wait_for "$ENGINE_ADDRESS" "$ENGINE_UNIT" || fail "clamd does not start with $ENGINE_CONF" "journalctl -u $ENGINE_UNIT shows why."
		bridge=yes
	else
		start_bridge "$ENGINE_CONF" || fail "clamd does not start with $ENGINE_CONF" "journalctl -u $BRIDGE shows why."
		bridge=yes
	fi
	if [ "$bridge" = yes ]; then
		say "  it answers"
	else
		say "  so clients will wait once, while clamd loads its signatures; only those that give up are affected"
	fi
}

# engine_now prints the address line of polyclam's engine until clamd has moved.
engine_now() {
	if [ "$bridge" = no ]; then
		printf '%s' "$CURRENT_LINE"
	elif [ "$ENGINE_UNIT" != "$CLAMD_UNIT" ]; then
		printf '%s' "$ENGINE_LINE"
	else
		printf '%s' "$BRIDGE_LINE"
	fi
}

# prove STATUS TEXT ADVICE COMMAND... runs a command, which must end with this status.
prove() {
	want=$1 text=$2 advice=$3
	shift 3
	if output=$("$@" 2>&1); then got=0; else got=$?; fi
	if [ "$got" = "$want" ]; then
		say "  ok: $text"
		return
	fi
	{
		printf '%s\n' "$output"
		polyclam --address "$at" status 2>&1
		journalctl --unit "$TRIAL.service" --unit polyclamd.service --priority warning --lines 3 --no-pager --output cat
	} | sed 's/^/  | /'
	fail "$text: exit status $got instead of $want, from: $*" "$advice" "Then run this again."
}

polyclam_id() { printf 'polyclamd runs as %s, with the groups: %s.' "polyclam" "$(id -Gn polyclam) $GROUPS_WANTED"; }

# scan_by_path STATUS TEXT ADVICE FILE scans a file that polyclamd opens itself.
scan_by_path() { prove "$1" "$2" "$3" polyclam --address "$at" scan --quiet --by-path "$4"; }

# temporary_file DIRECTORY creates a file that every user may read.
temporary_file() {
	proof=$(mktemp "$1/polyclam-proof.XXXXXX")
	chmod 0644 "$proof"
}

# wait_checked ADDRESS waits until every engine has had its first health check. Programs that
# load signatures for each scan take a while.
wait_checked() {
	waited=0
	while polyclam --address "$1" status --json 2>/dev/null | grep -Fq '"state":"unknown"' && [ "$waited" -lt 300 ]; do
		sleep 1
		waited=$((waited + 1))
		[ $((waited % 10)) != 0 ] || say "  polyclamd checks its engines: $waited s"
	done
}

# proofs ADDRESS checks that the daemon there finds what it must, with its own rights.
proofs() {
	at=$1
	wait_checked "$at"
	for directory in "$RUN" /tmp; do
		temporary_file "$directory"
		printf 'harmless\n' >"$proof"
		prove 0 "a clean file is ok" "The lines above are polyclam's answer, its status, and the end of its log." polyclam --address "$at" scan --quiet "$proof"
		if [ -n "$SOCKET" ]; then
			scan_by_path 0 "polyclamd reads files in $directory" "$(polyclam_id) Look for PrivateTmp= and InaccessiblePaths= in polyclamd.service." "$proof"
		fi
		# In two parts: scanners look at this script too.
		# shellcheck disable=SC2016 # these are not variables
		printf '%s%s\n' 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-' 'ANTIVIRUS-TEST-FILE!$H+H*' >"$proof"
		prove 1 "the EICAR test file is found" "The lines above are polyclam's answer, its status, and the end of its log." polyclam --address "$at" scan --quiet "$proof"
		rm -f -- "$proof"
	done
	if [ -n "$SOCKET" ]; then clients client_proof; fi
	if output=$(polyclam --address "$at" status 2>&1); then
		say "  ok: polyclam status"
	elif [ $? = 1 ]; then
		printf '%s\n' "$output" | sed 's/^/  | /'
		say "  polyclam works, but polyclam status reports the problem above"
	else
		printf '%s\n' "$output" | sed 's/^/  | /'
		fail "polyclam status reports that scans fail" "Remove the cause, then run this again."
	fi
}

# client_proof NAME USER GROUP MODE DIRECTORY checks that polyclamd can read a file with the
# owner and mode that the client gives its files.
client_proof() {
	if [ ! -d "$5" ] || ! id "$2" >/dev/null 2>&1; then
		say "  skipped: $1 has no directory $5, or there is no user $2"
		return
	fi
	# As the client itself, because the directory is the client's.
	proof=$(runuser -u "$2" -g "$3" -- mktemp "$5/polyclam-proof.XXXXXX") ||
		fail "$2 cannot create a file in $5" "Is that the directory of $1? polyclam init found it in the configuration of $1."
	# shellcheck disable=SC2016 # the inner shell expands these
	runuser -u "$2" -g "$3" -- sh -c 'printf "harmless\n" >"$1" && chmod "$2" "$1"' sh "$proof" "$4"
	scan_by_path 0 "polyclamd reads what $1 leaves in $5" \
		"$(polyclam_id) The file has the mode $4 and belongs to $2:$3; polyclamd needs a group that may read it and enter $5: SupplementaryGroups= in another drop-in, for example $SYSTEM/polyclamd.service.d/groups.conf." "$proof"
	rm -f -- "$proof"
}

# trial starts polyclamd as its own user, with the restrictions of its unit, on spare
# sockets.
trial() {
	if polyclam_serves; then return; fi
	announce "Try polyclam as its own user on a spare socket; clients do not notice"
	stop_trial
	mkdir -p -- "$RUN/trial"
	cp -p -- "$POLYCLAM_CONF" "$RUN/trial.toml"
	printf '[Socket]\n' >"$RUNTIME/$TRIAL.socket"
	number=0
	listeners spare_socket
	change_trial "$ENGINE_LINE" "$(engine_now)"
	change_trial "$ADMIN_LINE" "address = \"unix:/run/$TRIAL/admin.sock\""
	program=$(systemctl cat polyclamd.service 2>/dev/null | sed -n 's/^ExecStart=\([^ ]\{1,\}\).*/\1/p' | tail -n 1)
	{
		systemctl cat polyclamd.service 2>/dev/null
		printf '[Service]\nExecStart=\nExecStart=%s --config %s\n' "$program" "$RUN/trial.toml"
		printf 'RuntimeDirectory=\nRuntimeDirectory=%s\nRuntimeDirectoryPreserve=no\nRestart=no\nWatchdogSec=0\n' "$TRIAL"
	} >"$RUNTIME/$TRIAL.service"
	systemctl daemon-reload
	if ! systemctl start "$TRIAL.socket" || ! systemctl start "$TRIAL.service"; then
		journalctl --unit "$TRIAL.service" --lines 10 --no-pager --output cat | sed 's/^/  | /'
		fail "polyclamd does not start" "Remove the cause, then run this again."
	fi
	proofs "unix:$RUN/trial/1.sock"
	stop_trial
	systemctl daemon-reload
}

# spare_socket ADDRESS LINE gives a listener of the trial a spare socket.
spare_socket() {
	number=$((number + 1))
	printf 'ListenStream=%s/trial/%s.sock\n' "$RUN" "$number" >>"$RUNTIME/$TRIAL.socket"
	change_trial "$2" "address = \"unix:$RUN/trial/$number.sock\""
}

# change_trial FROM TO replaces a line in the configuration for the trial.
change_trial() {
	replace "$1" "$2" <"$RUN/trial.toml" >"$RUN/trial.next"
	cat "$RUN/trial.next" >"$RUN/trial.toml"
	rm -f -- "$RUN/trial.next"
}

# switch gives clamd's addresses to polyclam.
switch() {
	announce "Give clamd's addresses to polyclam"
	if polyclam_serves; then
		say "  polyclam has them already"
		if [ "$bridge" = yes ] && [ "$ENGINE_UNIT" = "$CLAMD_UNIT" ]; then ask_bridge; fi
		return
	fi
	if [ "$bridge" = yes ] && [ "$ENGINE_UNIT" = "$CLAMD_UNIT" ]; then ask_bridge; fi
	if [ "$HAS_PORT" = yes ]; then
		if [ "$bridge" = no ]; then hold_polyclam; fi
		if [ "$bridge" = yes ] && [ -n "$SOCKET" ]; then relink "$(warm_socket)" "$SOCKET"; fi
		take_port || switch_failed
		if [ "$bridge" = no ]; then return; fi
	else
		# A second name for clamd's socket is a second address, without a restart.
		relink "$SOCKET" "$SOCKET.before"
		if [ "$bridge" = no ]; then relink "$SOCKET" "$ENGINE_SOCKET"; fi
		# systemd removes the old name and creates its own socket there within microseconds.
		systemctl start polyclamd.socket || switch_failed
	fi
	systemctl start polyclamd.service || switch_failed
	tries=0
	until polyclam --address "$CURRENT" status >/dev/null 2>&1; do
		if [ $? = 1 ]; then break; fi
		tries=$((tries + 1))
		[ "$tries" -lt 20 ] || switch_failed
		sleep 0.2
	done
	say "  polyclam answers the clients"
}

# take_port stops clamd and gives its port to polyclam. clamd closes the port long before it
# ends.
take_port() {
	if [ -n "$CLAMD_SOCKET" ]; then keeping_socket systemctl stop "$CLAMD_SOCKET"; fi
	# Not by systemctl stop: polyclamd is ordered after clamd and would wait for its end.
	pid=$(show "$CLAMD_UNIT" MainPID)
	if [ "${pid:-0}" != 0 ]; then kill -TERM "$pid" || :; fi
	while answers "$PORT" && active "$CLAMD_UNIT"; do :; done
	for pause in 0.05 0.2 0.5 2; do
		if systemctl start polyclamd.socket 2>/dev/null; then return; fi
		sleep "$pause"
		systemctl reset-failed polyclamd.socket
	done
	clamd_units stop "$CLAMD_UNIT" "$CLAMD_SOCKET"
	systemctl start polyclamd.socket
}

warm_socket() {
	if [ "$ENGINE_UNIT" = "$CLAMD_UNIT" ]; then printf '%s' "$BRIDGE_SOCKET"; else printf '%s' "$ENGINE_SOCKET"; fi
}

switch_failed() {
	journalctl --unit polyclamd.service --lines 10 --no-pager --output cat | sed 's/^/  | /'
	go_back || :
	fail "polyclam did not take over" "journalctl -u polyclamd.service shows why. Run this again when that is solved."
}

write_clamd_dropins() {
	if [ -n "$CLAMD_DROPIN" ]; then write_file "$SYSTEM/$ENGINE_UNIT.d/$DROPIN" "$CLAMD_DROPIN"; fi
	if [ -n "$CLAMD_SOCKET" ]; then write_file "$SYSTEM/$CLAMD_SOCKET.d/$DROPIN" "$CLAMD_SOCKET_DROPIN"; fi
}

# move_clamd restarts clamd at its new address.
move_clamd() {
	announce "Restart clamd at its new address, $ENGINE_ADDRESS"
	if ! systemctl enable polyclamd.socket polyclamd.service 2>"$RUN/enable"; then
		cat "$RUN/enable"
		fail "systemd cannot enable polyclam for the next start of the machine" "Remove the cause, then run this again."
	fi
	if [ "$bridge" = no ]; then
		say "  clients wait from now on"
		hold_polyclam
	fi
	stop_clamd
	write_clamd_dropins
	systemctl daemon-reload
	if [ "$ENGINE_UNIT" != "$CLAMD_UNIT" ]; then
		systemctl disable "$CLAMD_UNIT" 2>/dev/null || :
		systemctl enable "$ENGINE_UNIT" 2>/dev/null || :
	else
		if [ -n "$ENGINE_SOCKET" ]; then rm -f -- "$ENGINE_SOCKET"; fi
		if [ -n "$CLAMD_SOCKET" ]; then systemctl start "$CLAMD_SOCKET" || :; fi
	fi
	systemctl start "$ENGINE_UNIT" || :
	if ! wait_for "$ENGINE_ADDRESS" "$ENGINE_UNIT"; then
		if [ "$bridge" = no ]; then go_back || :; fi
		fail "clamd does not start with $ENGINE_CONF" "journalctl -u $ENGINE_UNIT shows why. Run this again when that is solved," "or go back: $UNDO"
	fi
	release_polyclam
	if [ "$bridge" = no ]; then systemctl start polyclamd.service; fi
	if [ "$ENGINE_UNIT" = "$CLAMD_UNIT" ]; then ask_engine; fi
	stop_bridge
	if [ -n "$SOCKET" ]; then rm -f -- "$SOCKET.before"; fi
	systemctl daemon-reload
	say "  it answers, and polyclam asks it there"
}

ended() {
	status=$?
	trap - EXIT
	if [ "$status" != 0 ] && [ "$explained" = no ]; then
		printf '\nSTOPPED: a command failed in step %s\n  Remove the cause, then run this again, or go back: %s\n' "$step" "$UNDO" >&2
		who_answers
	fi
	stop_trial
	release_polyclam
	exit "$status"
}

set -eu
explained=no
trap ended EXIT
trap 'exit 1' HUP INT TERM
proof=

check_machine
if polyclam_serves && clamd_moved; then
	announce "polyclam has already taken clamd's place"
	systemctl enable polyclamd.socket polyclamd.service 2>/dev/null
	ask_engine
	stop_bridge
else
	prepare
	second_clamd
	trial
	switch
	move_clamd
fi
announce "Check what clients see"
proofs "$CURRENT"
rm -rf -- "$RUN"
printf '\nDone: polyclam answers on %s and asks clamd on %s.\nThe way back: %s\n' "$CURRENT" "$ENGINE_ADDRESS" "$UNDO"
