
# remove_configuration removes what polyclam init wrote, unless it was edited since.
remove_configuration() {
	if [ -f "$POLYCLAM_CONF" ]; then
		if [ "$(sha256sum <"$POLYCLAM_CONF")" = "$POLYCLAM_SUM  -" ]; then
			remove_file "$POLYCLAM_CONF"
		else
			say "  kept $POLYCLAM_CONF, because it was edited"
		fi
	fi
	if [ -f "$ENGINE_CONF" ]; then
		if [ "$(sha256sum <"$ENGINE_CONF")" = "$ENGINE_SUM  -" ]; then
			remove_file "$ENGINE_CONF"
		else
			say "  kept $ENGINE_CONF, because it was edited; nothing reads it any more"
		fi
	fi
}

remove_apparmor() {
	if [ -z "$APPARMOR_LINES" ] || ! grep -Fqx -- "$APPARMOR_BEGIN" "$APPARMOR_LOCAL" 2>/dev/null; then return; fi
	created=no
	if grep -Fqx -- "$APPARMOR_CREATED" "$APPARMOR_LOCAL"; then created=yes; fi
	BEGIN_LINE=$APPARMOR_BEGIN END_LINE=$APPARMOR_END awk '
		$0 == ENVIRON["BEGIN_LINE"] { inside = 1 }
		!inside { print }
		$0 == ENVIRON["END_LINE"] { inside = 0 }' "$APPARMOR_LOCAL" >"$APPARMOR_LOCAL.polyclam-new"
	if [ "$created" = yes ] && [ ! -s "$APPARMOR_LOCAL.polyclam-new" ]; then
		rm -f -- "$APPARMOR_LOCAL"
	else
		cat "$APPARMOR_LOCAL.polyclam-new" >"$APPARMOR_LOCAL"
	fi
	rm -f -- "$APPARMOR_LOCAL.polyclam-new"
	load_apparmor || say "  AppArmor does not accept $APPARMOR_PROFILE: correct it, then run apparmor_parser -r $APPARMOR_PROFILE"
	say "  removed polyclam's lines from $APPARMOR_LOCAL"
}

set -u
[ "$(id -u)" = 0 ] || {
	printf 'This needs root.\n' >&2
	exit 1
}
command -v polyclam >/dev/null || {
	printf 'This needs the program polyclam, to check that clamd answers. Install polyclam again, run this, then remove polyclam.\n' >&2
	exit 1
}
proof=

announce "Give clamd its addresses and its configuration back"
go_back || fail "clamd does not answer on $CURRENT" "journalctl -u $CLAMD_UNIT shows why. Run this again when that is solved."
say "  clamd answers on $CURRENT"

announce "Remove what polyclam init and its steps wrote"
stop_polyclam
remove_file "$SYSTEM/polyclamd.service.d/$DROPIN"
remove_file "$SYSTEM/polyclamd.socket.d/$DROPIN"
remove_dropins
remove_apparmor
remove_configuration
systemctl daemon-reload
systemctl reset-failed polyclamd.service polyclamd.socket 2>/dev/null || :
printf '\nDone: clamd answers on %s as before. You can delete this script and the other one.\n' "$CURRENT"
