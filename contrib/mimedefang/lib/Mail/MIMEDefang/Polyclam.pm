package Mail::MIMEDefang::Polyclam;

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR ENOENT EWOULDBLOCK);
use Fcntl qw(O_NONBLOCK O_RDONLY);
use IO::Handle;
use IO::Select;
use Socket qw(getaddrinfo pack_sockaddr_un AF_UNIX SO_ERROR SOCK_STREAM SOL_SOCKET);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use Mail::MIMEDefang;

use Exporter qw(import);

our $VERSION = '1.0';
our @EXPORT  = qw(message_contains_virus_polyclam entity_contains_virus_polyclam
  $PolyclamSock $PolyclamTimeout $PolyclamPaths);

our ($PolyclamSock, $PolyclamTimeout, $PolyclamPaths);

use constant {
    DEFAULT_SOCK    => '/run/polyclam/clamd.sock',
    DEFAULT_TIMEOUT => 120,       # seconds; a listener answers within 110 by default
    CHUNK           => 64 << 10,
    MAX_REPLY       => 8 << 20,   # bytes; a directory's reply has some KB a file
    MAX_DEPTH       => 16,        # of folders below Work; MIMEDefang makes none
};

# polyclam's categories from the strongest to the weakest, and its actions by
# strictness: the order in which parts and engines are merged.
my @categories = qw(virus suspicious encrypted partial swerr interrupted cannot-execute not-installed ok);
my %strength   = map { $categories[$_] => @categories - $_ } 0 .. $#categories;
my %strictness = (quarantine => 2, tempfail => 1, ok => 0);

# The categories of clamd's heuristics by name, as in polyclam's own table. Any other
# name is a virus.
my @meanings = (
    [qr/\AHeuristics\.Encrypted\./,                    'encrypted'],
    [qr/\AEncrypted\.(?:Zip|RAR|7Zip|PDF)\z/,          'encrypted'],
    [qr/\AHeuristics\.Limits\.Exceeded(?:\.|\z)/,      'partial'],
    [qr/\AHeuristics\.Scan\.Failed(?:\.|\z)/,          'swerr'],
    [qr/\AHeuristics\.(?:Suspicious|Broken|OLE2\.ContainsMacros|Phishing|Structured|PDF\.ObfuscatedNameObject|Zip\.OverlappingFiles)/,
                                                       'suspicious'],
);

# Whether the daemon turned out to be a clamd. If so, the remaining parts of the mail
# are scanned with clamd's commands.
my $plain;

# The addresses whose daemons turned out not to know XTAG: another one may answer there
# when this process ends.
my %untagged;

sub message_contains_virus_polyclam {
    my ($address) = @_;
    return _answer(wantarray, $address, \&_scan_message);
}

sub entity_contains_virus_polyclam {
    my ($entity, $address) = @_;
    my $body = $entity->bodyhandle;

    # A container has no body; its parts come one by one.
    return (wantarray ? (0, 'ok', 'ok') : 0) if !defined $body;
    return _answer(wantarray, $address, sub { _scan_body($body, @_) });
}

# _answer scans, sets MIMEDefang's variables and returns what MIMEDefang's routines
# return. Anything that goes wrong on the way is a tempfail.
sub _answer {
    my ($list, $address, $scan) = @_;
    $address = _default_address() if !defined $address;
    $plain   = 0;
    my $result;
    {
        local ($@, $!);
        local $SIG{__DIE__} = 'DEFAULT';
        local $SIG{PIPE}    = 'IGNORE';
        $result = eval { $scan->($address, _now() + _timeout()) } || _failure('swerr', $@ || 'no result');
        _report($address, $result);
    }
    my ($code, $category, $action) = @{$result}{qw(code category action)};
    return ($code, $category, $action) if $list;
    return $code || ($category eq 'ok' ? 0 : 999);
}

# _report sets $VirusName and $VirusScannerMessages and logs failures, as MIMEDefang's
# message_contains_virus_clamd does.
sub _report {
    my ($address, $r) = @_;
    my ($category, $name, $text) = @{$r}{qw(category name text)};
    return if $category eq 'ok' && $r->{action} eq 'ok';
    if ($category eq 'virus') {
        $name = 'unknown-polyclam-virus' if $name eq '';
        $VirusScannerMessages .= "polyclam found the $name virus.\n";
    } else {
        $VirusScannerMessages .= "polyclam: $category: " . join(': ', grep { $_ ne '' } $name, $text) . "\n";
    }
    $VirusName = $name if $name ne '';
    eval { md_syslog('err', "polyclam at $address: $category: $text") } if $r->{action} eq 'tempfail';
    return;
}

sub _default_address {
    return $PolyclamSock if defined $PolyclamSock && $PolyclamSock ne '';

    # MIMEDefang always sets $ClamdSock; it counts only if the filter changed it.
    my $unchanged = ($Features{'Path:SPOOLDIR'} || '') . '/clamd.sock';
    return $ClamdSock if defined $ClamdSock && $ClamdSock ne '' && $ClamdSock ne $unchanged;
    return DEFAULT_SOCK;
}

sub _timeout {
    return $PolyclamTimeout if defined $PolyclamTimeout && $PolyclamTimeout =~ /\A\d+(?:\.\d+)?\z/ && $PolyclamTimeout > 0;
    return DEFAULT_TIMEOUT;
}

sub _now { return clock_gettime(CLOCK_MONOTONIC) }

# A result has a code, category and action, the name of what was found, and a text.
# Name and text are made safe for logs and mails.
sub _result {
    my ($code, $category, $action, $name, $text) = @_;
    $name = '' if !defined $name;
    $text = '' if !defined $text;
    $name =~ s|[^A-Za-z0-9._/+{}#@!=~-]|_|g;
    $text =~ s/\s+\z//;
    $text =~ tr/\x20-\x7e/?/c;
    return {
        code => $code, category => $category, action => $action,
        name => substr($name, 0, 120), text => substr($text, 0, 400),
    };
}

# _failure returns the result if there is no verdict.
sub _failure {
    my ($category, $text) = @_;
    return _result(999, $category, 'tempfail', '', $text);
}

# _merge combines two results as polyclam combines engine results: the stronger
# category and the stricter action.
sub _merge {
    my ($p, $q) = @_;
    return $q if !$p;
    my ($winner, $other) = $strength{ $q->{category} } > $strength{ $p->{category} } ? ($q, $p) : ($p, $q);
    my $action = $strictness{ $other->{action} } > $strictness{ $winner->{action} } ? $other->{action} : $winner->{action};
    return { %$winner, action => $action };
}

sub _scan_message {
    my ($address, $deadline) = @_;
    my @files = _files("$CWD/Work", 0);

    # If the mail has no parts, scan it as it arrived.
    my $path = @files ? "$CWD/Work" : "$CWD/INPUTMSG";
    return _scan_path($address, $deadline, $path) if $PolyclamPaths;
    my $worst;
    for my $file (@files ? @files : $path) {
        $worst = _merge($worst, _scan_stream($address, $deadline, $file));
        last if $worst->{category} eq 'virus' && $worst->{action} eq 'quarantine';
    }
    return $worst;
}

sub _scan_body {
    my ($body, $address, $deadline) = @_;
    my $path = $body->path;
    return _failure('swerr', 'a part that is not in a file') if !defined $path;
    $path = "$CWD/$path" if $path !~ m{\A/};
    return $PolyclamPaths ? _scan_path($address, $deadline, $path) : _scan_stream($address, $deadline, $path);
}

# _files lists the files below a folder. A folder that cannot be listed is an error.
sub _files {
    my ($folder, $depth) = @_;
    die "$folder: folders are nested too deeply\n" if $depth > MAX_DEPTH;
    opendir my $dir, $folder or die "$folder: $!\n";
    my @names = sort grep { $_ ne '.' && $_ ne '..' } readdir $dir;
    closedir $dir;
    return map { !-l "$folder/$_" && -d _ ? _files("$folder/$_", $depth + 1) : "$folder/$_" } @names;
}

sub _open {
    my ($path) = @_;

    # Without O_NONBLOCK the open of a FIFO would wait forever.
    sysopen my $fh, $path, O_RDONLY | O_NONBLOCK or die "$path: $!\n";
    die "$path: not a regular file\n" if !-f $fh;
    binmode $fh;
    return $fh;
}

# _scan_stream sends a file with XINSTREAM, or with INSTREAM if the daemon does not
# know that.
sub _scan_stream {
    my ($address, $deadline, $path) = @_;
    return _extended_or_plain($address, sub {
        my ($extended, $tag) = @_;
        my $verb  = $extended ? 'XINSTREAM' : 'INSTREAM';
        my $reply = _exchange($address, $deadline, "${tag}n$verb\n", $extended ? 'END' : 'line', _open($path));
        my $check = sub { $_[0] eq 'stream' };
        return $extended ? _read_extended($reply, $check) : _read_plain($reply, $check);
    });
}

# _scan_path names a file or folder to the daemon, with XSCAN or SCAN.
sub _scan_path {
    my ($address, $deadline, $path) = @_;
    return _failure('swerr', 'a path with a line break') if $path =~ /[\n\0]/;
    return _extended_or_plain($address, sub {
        my ($extended, $tag) = @_;
        my $verb  = $extended ? 'XSCAN' : 'SCAN';
        my $reply = _exchange($address, $deadline, "${tag}n$verb $path\n", $extended ? 'END' : 'EOF');
        my $check = sub { $_[0] eq $path || index($_[0], "$path/") == 0 };
        return $extended ? _read_extended($reply, $check) : _read_plain($reply, $check);
    });
}

# _extended_or_plain uses polyclam's commands, and clamd's if the daemon turns out to
# be a clamd. clamd answers UNKNOWN COMMAND and closes while we are still sending; a
# reset connection may lose that answer. So if a connection breaks off without a byte,
# clamd's commands are tried too.
sub _extended_or_plain {
    my ($address, $ask) = @_;
    if (!$plain) {
        my $tag    = _tag($address);
        my $result = $ask->(1, $tag);
        if ($result->{unknown} && $tag ne '') {
            $untagged{$address} = 1 if $result->{unknown} eq 'answered';
            $result = $ask->(1, '');
        }
        return $result if !$result->{unknown};
        $plain = $result->{unknown} eq 'answered';
    }
    return $ask->(0, '');
}

# _tag returns the command that hands over the queue id of the mail, so that it is in
# polyclam's log and "polyclam why" finds the scan. It has no reply.
sub _tag {
    my ($address) = @_;
    return '' if $untagged{$address};
    my ($id) = grep { defined && $_ ne 'NOQUEUE' && /\A[\x21-\x7e]{1,128}\z/ } $QueueID, $MsgID;
    return defined $id ? "nXTAG $id\n" : '';
}

# _exchange sends the command, followed by the bytes of the file if there is one, and
# reads the reply. It never waits beyond the deadline. The reply has: text; end, why
# reading ended ("whole", "EOF", "deadline", "broken", "endless"), or failed, a result;
# sent, whether everything was sent.
sub _exchange {
    my ($address, $deadline, $command, $until, $fh) = @_;
    my ($sock, $failure) = _connect($address, $deadline);
    return { failed => $failure } if !$sock;
    my $selector = IO::Select->new($sock);
    my ($out, $in, $more, $sending) = ($command, '', defined $fh, 1);
    my $reply = sub { return { text => $in, end => $_[0], sent => !$sending, broken => $_[1] } };
    my $broken = 0;
    while (1) {
        if ($sending && $out eq '') {
            if ($more) {
                $more = sysread $fh, my $data, CHUNK;    # the end of a stream is an empty chunk
                die "reading the part: $!\n" if !defined $more;
                $out = pack('N', $more) . $data;
            } else {
                $sending = 0;
            }
        }
        my $left = $deadline - _now();
        return $reply->('deadline', $broken) if $left <= 0;
        my ($readable, $writable) = IO::Select->select($selector, $sending && !$broken ? $selector : undef, undef, $left);
        if ($readable && @$readable) {
            my $n = sysread $sock, $in, CHUNK, length $in;
            next if !defined $n && _try_again();
            return $reply->('EOF', $broken || !defined $n) if !$n;
            return $reply->('endless', $broken) if length $in > MAX_REPLY;
            return $reply->('whole', $broken) if _whole($in, $until, length($in) - $n);
        } elsif ($writable && @$writable) {
            my $n = syswrite $sock, $out;
            if (defined $n) { substr $out, 0, $n, '' }
            elsif (!_try_again()) { $broken = 1 }    # the daemon's reply can still be read
        }
    }
}

sub _try_again { return $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR }

# _whole reports whether the reply is complete. The text before the offset has already
# been checked.
sub _whole {
    my ($text, $until, $offset) = @_;
    return 1 if $text =~ /\AUNKNOWN COMMAND\r?\n/;
    return index($text, "\nEND\n", $offset > 4 ? $offset - 4 : 0) >= 0 if $until eq 'END';
    return $until eq 'line' && index($text, "\n") >= 0;
}

sub _connect {
    my ($address, $deadline) = @_;
    my ($category, $why) = ('cannot-execute', 'no address');
    for my $to (_resolve($address)) {
        my ($family, $type, $protocol, $sockaddr) = @$to;
        socket my $sock, $family, $type, $protocol or die "socket: $!\n";
        $sock->blocking(0);
        until (connect $sock, $sockaddr) {
            if ($! == EINPROGRESS) {
                if (!IO::Select->new($sock)->can_write(_left($deadline))) { $! = Errno::ETIMEDOUT(); last }
                last if !($! = unpack 'i', getsockopt $sock, SOL_SOCKET, SO_ERROR);
            }
            # A Unix socket with a full backlog returns EAGAIN: try again.
            last if !(($! == EAGAIN || $! == EINTR) && _left($deadline));
            select undef, undef, undef, 0.05;
        }
        my $err = $! + 0;
        return $sock if getpeername $sock;
        $! = $err;
        ($category, $why) = ($err == ENOENT && $family == AF_UNIX ? 'not-installed' : 'cannot-execute', "connect: $!");
    }
    return (undef, _failure($category, $why));
}

sub _left { my $left = $_[0] - _now(); return $left > 0 ? $left : 0 }

# _resolve parses "/path", "unix:/path", "host:port", "tcp:host:port" and
# "[address]:port".
sub _resolve {
    my ($address) = @_;
    if ($address =~ m{\A(?:unix:)?(/.*)\z}s) {
        die "the path is too long for a socket\n" if length $1 > 107;    # Linux; BSD has 103
        return [AF_UNIX, SOCK_STREAM, 0, pack_sockaddr_un($1)];
    }
    my ($host, $port) = $address =~ /\A(?:tcp:)?(?|\[([0-9A-Fa-f:.]+)\]|([^:\s\[\]]+)):(\d{1,5})\z/
      or die "the address is neither a path nor host:port\n";
    die "$port is not a port number\n" if $port > 65535;
    my ($err, @found) = getaddrinfo($host, $port, { socktype => SOCK_STREAM });
    die "$host: $err\n" if $err;
    return map { [@{$_}{qw(family socktype protocol addr)}] } @found;
}

# _trouble returns the result for a reply that cannot be a verdict, or undef.
sub _trouble {
    my ($reply) = @_;
    return $reply->{failed} if $reply->{failed};
    my ($text, $end) = @{$reply}{qw(text end)};
    return { %{ _failure('swerr', 'the daemon does not know the command') }, unknown => 'answered' }
      if $text =~ /\AUNKNOWN COMMAND(?:\r?\n|\z)/;
    return _failure('interrupted', 'no answer in time') if $end eq 'deadline';
    return _failure('swerr', 'the answer has no end') if $end eq 'endless';
    return { %{ _failure('interrupted', 'the connection broke off') }, unknown => $reply->{broken} ? 'maybe' : '' }
      if $text eq '';

    # A refused command is answered without an object, or with "stream" for clients
    # that treat unknown replies as clean.
    return _error($1) if $text =~ /\A([^\n]+)\n(?:END\n)?\z/ && $1 !~ /: (?!.* ERROR\z)/;
    return;
}

# _error returns the result for an ERROR line, by clamd's words and polyclam's.
sub _error {
    my ($words) = @_;
    return _failure('partial',        $words) if $words =~ /size limit exceeded/;
    return _failure('interrupted',    $words) if $words =~ /TIMED.OUT/;
    return _failure('cannot-execute', $words) if $words =~ /COMMAND.UNAVAILABLE|Access denied|Permission denied|No such file|Can't (?:open|access) file/;
    return _failure('swerr', $words);
}

# _found returns the result for a FOUND line without further records.
sub _found {
    my ($name) = @_;
    my $category = 'virus';
    for my $row (@meanings) {
        if ($name =~ $row->[0]) { $category = $row->[1]; last }
    }
    return _result($category eq 'swerr' ? 999 : 1, $category, 'quarantine', $name, 'FOUND');
}

# _status splits a status line into object, name or words, and last word. With
# status = "annotated" there are details before OK, with "extended" after a name.
sub _status {
    my ($line) = @_;
    return ($1, '', 'OK') if $line =~ /\A(.*?):(?: code=[^ ]*)? OK\z/s;
    my ($object, $text, $word) = $line =~ /\A(.*): (.+) (FOUND|ERROR)\z/s or return;
    $text =~ s/ ?\(code=[^()]*\)\z//;
    return ($object, $text, $word);
}

# _read_plain returns the verdict of clamd's own lines.
sub _read_plain {
    my ($reply, $ours) = @_;
    my $trouble = _trouble($reply);
    return $trouble if $trouble;
    return _failure('interrupted', 'half an answer') if $reply->{text} !~ /\n\z/;
    my $worst;
    for my $line (split /\n/, $reply->{text}, -1) {
        next if $line eq '';
        my ($object, $text, $word) = _status($line);
        my $result =
            !defined $word || !$ours->($object) ? _failure('swerr', "answered: $line")
          : $word eq 'OK'                       ? _result(0, 'ok', 'ok')
          : $word eq 'FOUND'                    ? _found($text)
          :                                       _error($text);
        $worst = _merge($worst, $result);
    }
    return _believed($reply, $worst);
}

# _believed rejects an OK that arrived before the whole file was sent.
sub _believed {
    my ($reply, $result) = @_;
    return $result if $result && ($reply->{sent} || $result->{action} ne 'ok');
    return _failure('swerr', 'answered before it had the content');
}

# A value of a record is a word, or quoted with \", \\ and \xNN in it; a field is
# key=value.
my $value = qr/"(?:[\x20\x21\x23-\x5b\x5d-\x7e]++|\\["\\]|\\x[0-9A-Fa-f]{2})*+"|[\x21\x23-\x5b\x5d-\x7e]*[\x21\x23-\x39\x3b-\x5b\x5d-\x7e]/;
my $field = qr/ [a-z_]+=(?:$value)(?=[ ])/;

# _record splits a record into object, word, and the first value of each key.
sub _record {
    my ($line) = @_;
    my ($object, $fields, $word) = $line =~ /\A(.*):((?:$field)*) (ENGINE|SUMMARY)\z/s or return;
    my %of;
    while ($fields =~ / ([a-z_]+)=($value)(?=[ ]|\z)/g) {
        my ($key, $text) = ($1, $2);
        $text =~ s/\\(?:(["\\])|x([0-9A-Fa-f]{2}))/defined $1 ? $1 : chr hex $2/ge if $text =~ s/\A"(.*)"\z/$1/s;
        $of{$key} = $text if !exists $of{$key};
    }
    return ($object, $word, \%of);
}

# _read_extended returns the verdict of a reply to one of polyclam's verbs: for each object
# a status line, a record for each engine and a summary, and END at the end. A listener
# for MIMEDefang's own routines sorts the lines of a folder, so match them by object.
sub _read_extended {
    my ($reply, $ours) = @_;
    my $trouble = _trouble($reply);
    return $trouble if $trouble;
    $reply->{text} =~ /\A(.*?\n)END\n/s or return _failure('interrupted', 'half an answer');
    my (%about, @objects);
    for my $line (split /\n/, $1) {
        my ($object, $word, $of) = _record($line);
        if (!defined $word) {
            ($object, $of, $word) = _status($line);
            $of = [$of, $word] if defined $word;
        }
        return _failure('swerr', "answered: $line") if !defined $word || !$ours->($object);
        push @objects, $object if !$about{$object};
        push @{ $about{$object}{ ref $of eq 'HASH' ? $word : 'STATUS' } }, $of;
    }
    my $worst;
    $worst = _merge($worst, _verdict($about{$_})) for @objects;
    return _believed($reply, $worst);
}

# _verdict returns the verdict for one object. Anything unexpected is a failure.
sub _verdict {
    my ($about) = @_;
    my ($status, $engines, $summary) = map { $about->{$_} || [] } qw(STATUS ENGINE SUMMARY);
    return _failure('swerr', 'not one status line and one summary') if @$status != 1 || @$summary > 1;
    my ($text, $word) = @{ $status->[0] };
    if (!@$summary) {
        return _failure('swerr', 'records without a summary') if @$engines || $word eq 'OK';
        return $word eq 'FOUND' ? _found($text) : _error($text);
    }
    my %of = map { $_ => defined $summary->[0]{$_} ? $summary->[0]{$_} : '' } qw(category action code engine engines version);
    my ($category, $action) = @of{qw(category action)};
    return _failure('swerr', "unknown record version $of{version}") if $of{version} ne '1';
    return _failure('swerr', "unknown category $category") if !$strength{$category};
    return _failure('swerr', "unknown action $action") if !defined $strictness{$action};
    return _failure('swerr', "the code $of{code} is not a number") if $of{code} !~ /\A-?\d{1,9}\z/;
    return _failure('swerr', 'the records of the engines are not complete') if $of{engines} ne scalar @$engines;
    return _failure('swerr', 'nobody looked') if $action eq 'ok' && !@$engines;    # an empty folder
    return _failure('swerr', 'ok, but not by every engine')
      if $category eq 'ok' && grep { ($_->{category} || '') ne 'ok' && ($_->{counts} || '') ne 'no' } @$engines;

    # With error_style a tempfail can be a FOUND line, for other clients.
    my $consistent = $word eq 'OK' ? $action eq 'ok' : $word eq 'ERROR' ? $action eq 'tempfail' : $action ne 'ok';
    return _failure('swerr', "$word for $category, $action") if !$consistent || ($category eq 'ok') && $action ne 'ok';

    my ($winner) = grep { defined $_->{engine} && $_->{engine} eq $of{engine} && ($_->{category} || '') eq $category } @$engines;
    my $name = $word eq 'FOUND' && $action eq 'quarantine' ? $text : $winner && defined $winner->{name} ? $winner->{name} : '';
    my $message = $winner && defined $winner->{msg} ? $winner->{msg} : $word eq 'ERROR' ? $text : '';
    return _result($of{code} + 0, $category, $action, $name, join ': ', grep { $_ ne '' } $of{engine}, $message);
}

1;

__END__

=head1 NAME

Mail::MIMEDefang::Polyclam - scan mail with polyclam

=head1 SYNOPSIS

    use Mail::MIMEDefang::Polyclam;

    sub filter_begin {
        my ($code, $category, $action) = message_contains_virus_polyclam();
        return action_tempfail("Problem running virus-scanner") if $action eq 'tempfail';
        ...
    }

=head1 DESCRIPTION

polyclam scans every object with several anti-virus engines. Its daemon speaks clamd's
protocol, so MIMEDefang's C<message_contains_virus_clamd> works with it unchanged; but
clamd's protocol has only OK, FOUND and ERROR. These functions use polyclam's own
commands and return the category too, which MIMEDefang's functions always had room for.

The module needs only Perl (5.14) and MIMEDefang (3.0).

=head1 FUNCTIONS

=over 4

=item message_contains_virus_polyclam( [ADDRESS] )

Scans every part of the mail, that is every file in the folder F<Work>, or the mail
itself if there is none. The result is the worst one of all parts.

=item entity_contains_virus_polyclam( ENTITY [, ADDRESS] )

Scans one C<MIME::Entity>. A container, which has no body, is ok.

=back

Both return (CODE, CATEGORY, ACTION) in list context and CODE in scalar context.
CODE is the winning engine's own code, 1 for a FOUND from clamd, 0 for ok, or 999 if
there is none.

    CATEGORY        meaning                                           default ACTION
    virus           known malware                                     quarantine
    suspicious      heuristic, macro, policy                          quarantine
    encrypted       nothing found, but a part is encrypted            ok
    partial         nothing found, but a part could not be scanned    ok
                    for a permanent reason: too large, unsupported
    swerr           an engine failed, or its answer was invalid       tempfail
    interrupted     no answer in time, or the connection broke off    tempfail
    cannot-execute  the daemon or an engine cannot be reached         tempfail
    not-installed   there is no such socket or engine                 tempfail
    ok              every byte was scanned, nothing found             ok

The strongest category wins, in this order, and the strictest action (quarantine,
tempfail, ok): an encrypted part never hides that another part could not be
scanned. So check for ACTION eq 'tempfail' before you check CATEGORY.
The actions are polyclam's, see C<[policy.actions]> of its configuration. A stream
over polyclam's C<limits.stream> is (999, partial, tempfail).

C<$VirusName> is set to the name of what was found, also for encrypted parts
(Heuristics.Encrypted.Zip), if the engine gave one. C<$VirusScannerMessages> gets a
line; failures go to syslog as well.

=head1 VARIABLES

=over 4

=item $PolyclamSock

Where polyclamd listens, if the function is called without an ADDRESS: the path of
a Unix socket, or C<host:port> (C<[::1]:port>), also with C<unix:> or C<tcp:> in
front. If it is not set: C<$ClamdSock>, if the filter or F<mimedefang.pl.conf>
changed it, else F</run/polyclam/clamd.sock>. Give a host as an
address: $PolyclamTimeout does not bound the lookup of a name.

=item $PolyclamTimeout

Seconds for the whole mail, 120 if not set. It should be a little more than
C<answer_within> of polyclam's listener (110s) and less than the time that the mail
server gives its filter and the multiplexor its worker (C<MX_BUSY>).

=item $PolyclamPaths

If true, polyclamd gets the path (C<XSCAN>) and opens the files itself. It needs
a Unix socket, and a polyclamd that may read MIMEDefang's spool: the same user, or
C<MD_ALLOW_GROUP_ACCESS=yes> and its group. By default the bytes are sent, which always
works.

=back

=head1 THE QUEUE ID

The module hands over the mail's C<$QueueID>, or its C<$MsgID> if it has none, with
polyclam's command C<XTAG>. It is the C<tag> in polyclam's log, and
C<polyclam why QUEUE-ID> shows what each engine said about the mail. If a daemon does not
know the command, the process asks it without from then on.

=head1 A PLAIN CLAMD

If a daemon answers C<UNKNOWN COMMAND>, the module uses clamd's commands. Then OK is (0, ok, ok)
and ERROR is (999, swerr, tempfail). FOUND is (1, virus, quarantine), but with
clamd's names C<Heuristics.Encrypted.*> (AlertEncrypted) it is (1, encrypted,
quarantine), with C<Heuristics.Limits.Exceeded*> (AlertExceedsMax) (1, partial,
quarantine), with its other heuristics (1, suspicious, quarantine).

=head1 IN MESSAGE_CONTAINS_VIRUS

To make C<message_contains_virus()> and C<entity_contains_virus()> use polyclam:

    push @VirusScannerMessageRoutines, \&message_contains_virus_polyclam;
    push @VirusScannerEntityRoutines,  \&entity_contains_virus_polyclam;

=cut
