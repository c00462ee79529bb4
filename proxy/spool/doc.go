// Package spool stores the objects that clients send until all engines have scanned them.
//
// A [Writer] receives one object. A short object stays in memory, in segments of 1, 4, 16, 64
// and 256 KiB, so that a client that stalls after one byte costs 1 KiB. An object longer than
// Config.Memory is moved to the store: anonymous memory, or a file without a name. The kernel
// removes both with their last descriptor, however the process ends. An [Object] is complete
// and does not change. Every engine reads it at its own pace, or gets its descriptor, or the
// path of a named file.
//
// # Quota
//
// Config.Total bounds what uploads may use, counted as the system counts it: whole segments
// and pages. A writer that finds no room waits. Clients take turns; each client's uploads are
// served in order of arrival.
//
// No client can starve the others: it holds at most Config.Share per cent of what the other
// clients leave. One sixteenth of the quota is for uploads of up to 1 MiB, so that a mail
// never waits for large uploads; an upload that grows larger leaves that part. Only an object
// that is too large for the rest of the quota may use it as well.
//
// Large uploads cannot deadlock by filling the quota together and then waiting for each other.
// One quarter of it, or what one object of Config.Largest needs, up to three quarters, is for
// uploads that have their turn: as many at a time as fit, or one if Config.Largest is unknown.
// They always finish, as long as no object is larger than that part. A client's first such
// upload may exceed its share, which earlier ones may have used up. All other unfinished
// uploads share the rest. Complete objects may be in any part, since they are released as soon
// as they are scanned.
//
// Files created for engines (File, Path) count against the quota but are never refused. For
// each object that is at most its size once for File (only if it is in memory, so at most
// Config.InMemory for all objects) and once for Path (unless it is a Tmpfile, which is
// linked). So the bound for everything is 2 x Total + InMemory, or Total if engines are sent
// the bytes. The copy of an opened file for Path is refused if there is no room for it. In
// addition, up to 8 MiB of free segments are kept, or Config.Segments if that is more, and a
// writer that moves from memory to the store holds both for a moment.
//
// # Kept memfds
//
// With Config.Keep, the memfd of a released object is rewritten for a later one, which saves the
// kernel from zeroing and freeing its pages. No engine may see bytes of another object through
// a descriptor that it was given before. So engines never get the descriptor that can write:
// they get a reopening for reading only, which has a separate open file description with a
// read lock (F_OFD_SETLK). That lock lasts until every copy of the descriptor is closed and
// every mapping is gone, in any process: a fork, or a message in a socket. A memfd is used
// again only when no lock is left, and never after [Object.Taint]. One that is still locked a
// second after its object was released is given up.
//
// The mode of the memfd is 0400, so a process of another user cannot open the descriptor again
// through /proc, which would give it a description without a lock. One of the same user could,
// for reading, and root could: do not run engines as root or as polyclamd's user if they may do
// that. None of the known engines does.
//
// Kept bytes count in the quota (Stats.Kept), but an upload that needs the room gets it: then
// the oldest memfds are freed. An upload that has not ended may also hold the rest of a longer
// memfd, which counts as kept; it is cut off at the end, before any engine gets the object.
//
// A memfd that is not kept is sealed as before: an object of Bytes or Make, which lives long,
// and everything where reopening or the locks do not work, because /proc is not mounted or no
// descriptor is left. Sealing costs nothing there, and protects even against root.
//
// # Protection against engines
//
// No process can write to a sealed memfd, grow or shrink it. A kept memfd is not sealed, but
// only root can open it for writing. The descriptor of a Tmpfile is open for reading only, but a process of the same user could open it again for writing, and
// a user who may write to the file of a Path can change a linked object. Sites with engines that
// disinfect in place should use store Memfd, where every Path is a copy. clamd 1.4.6 takes both
// kinds by FILDES, a sealed memfd and a Tmpfile that is open for reading. Creating a protected
// file of 100 KiB took 1.16 times as long for a memfd and 1.02 times as long for a Tmpfile, with
// overlapping ranges.
//
// # Which store
//
// Receiving in pieces of 128 KiB, reading once and releasing, in microseconds: median of 7
// slices (5 at 25 MiB), taken in turn on a busy machine with 2 cores; in brackets the ratio to
// memfd. The Tmpfile was on ext4; in other slices on tmpfs it took 1.7 times as long as the
// memfd at 1 KiB, 2.8 at 10 KiB, 1.05 at 100 KiB, 0.95 at 1 MiB and 1.1 at 25 MiB.
//
//	size      memory         memfd     Tmpfile on ext4
//	1 KiB       0.5 (0.04)      12      375 (30; best slice 116)
//	10 KiB      0.5 (0.03)      16      371 (24; best slice 106)
//	100 KiB     3.3 (0.04)      76      391 (5.2; best slice 116)
//	1 MiB        57 (0.10)     581      625 (1.07)
//	25 MiB    15400 (0.67)   22900     9940 (0.43)
//
// ext4 varied with other writes to the disk, from 39 to 394 at 1 KiB. Memory is slow at 25 MiB
// because not that many free segments are kept. Memfd is the default: it is steady, and most
// objects are far shorter than 25 MiB. Tmpfile is for sites with little memory, with very
// large objects, or with engines that read paths.
package spool
