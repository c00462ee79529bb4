<?php
// Scans files as Nextcloud's app files_antivirus does in the modes socket and daemon,
// according to its lib/Scanner/ExternalClam.php, ScannerBase.php and Status.php: one
// nINSTREAM for each piece of a file, chunks of 8192 bytes, one line as the answer.
// Usage: upload.php SETTINGS, with file names on standard input, a JSON object for each
// on standard output.

$set = json_decode(file_get_contents($argv[1]), true);
ini_set('default_socket_timeout', $set['default_socket_timeout'] ?? '60');

const CLEAN = 0, INFECTED = 1, UNCHECKED = -1;

function connect(array $set) {
	if ($set['av_mode'] === 'socket') {
		$socket = $set['av_socket'];
		$handle = @stream_socket_client(str_starts_with($socket, 'tcp') ? $socket : "unix://$socket", $no, $text, 5);
	} else {
		$handle = @fsockopen($set['av_host'], (int)$set['av_port']);
	}
	if ($handle) {
		@fwrite($handle, "nINSTREAM\n");
	}
	return $handle;
}

// The rules that the app has in its table when it is installed, in its order.
function judge(string $line): array {
	foreach (['/.*: OK$/' => CLEAN, '/.*: (.*) FOUND$/' => INFECTED, '/.*: (.*) ERROR$/' => UNCHECKED] as $rule => $status) {
		if (preg_match($rule, $line, $m)) {
			return [$status, $m[1] ?? ''];
		}
	}
	return [UNCHECKED, "No matching rule for response [$line]"];
}

function answer($handle): array {
	@fwrite($handle, pack('N', 0));
	$line = fgets($handle);
	$late = stream_get_meta_data($handle)['timed_out'];
	@fclose($handle);
	if ($late) {
		return [UNCHECKED, 'Socket timed out while scanning'];
	}
	return $line === false ? [UNCHECKED, 'Failed to read response'] : judge($line);
}

// scan returns null if there is no connection.
function scan(array $set, string $path): ?array {
	if (!($handle = connect($set))) {
		return null;
	}
	[$file, $sent, $last, $found] = [fopen($path, 'r'), 0, '', null];
	while (!feof($file) && ($data = fread($file, 8192)) !== false) {
		$chunk = pack('N', strlen($data)) . $data;
		if ($sent + strlen($chunk) > (int)$set['av_stream_max_length']) {
			// A new stream for the next piece, which begins with the last chunk again.
			[$status, $text] = answer($handle);
			if ($status === INFECTED) {
				$found ??= [$status, $text];
			}
			if (!($handle = connect($set))) {
				return null;
			}
			@fwrite($handle, $last);
			$sent = strlen($last);
		}
		@fwrite($handle, $chunk);
		$sent += strlen($chunk);
		$last = $chunk;
	}
	return $found ?? answer($handle);
}

while (($path = fgets(STDIN)) !== false) {
	$result = scan($set, rtrim($path, "\n"));
	[$status, $text] = $result ?? [UNCHECKED, 'No connection to anti virus'];
	echo json_encode(['status' => $status, 'text' => $text, 'connected' => $result !== null]), "\n";
}
