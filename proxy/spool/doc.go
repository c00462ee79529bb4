// Package spool keeps what clients send until all engines have seen it.
//
// A [Writer] receives one content. While it is short it lies in memory, in
// segments of 4, 16, 64 and 256 KiB, so that a client that stalls after one
// byte costs 4 KiB. Longer than Config.Memory it goes to the store as a whole:
// an anonymous piece of memory or a file without a name, both of which the
// kernel removes with their last descriptor, however the process ends. A
// [Object] is complete and does not change; every engine reads it at its own
// pace, is handed its descriptor, or is told the path of a file with a name.
//
// # Quota
//
// Config.Total bounds what uploads may take, counted as the system counts it:
// whole segments and pages. A writer that finds no room waits. Clients get their turn
// one after the other, the uploads of one client in the order in which they came.
//
// No client takes what others need: it holds Config.Share per cent at most of what the
// other clients leave. One part in 16 is for uploads of up to 1 MiB, so that a mail
// never waits for large uploads; one that grows longer leaves it. Only an object that
// does not fit in beside that part may use it.
//
// Many large uploads cannot use up the quota together and then all wait for each other.
// A quarter of it, or as much as one object of Config.Largest needs up to three
// quarters, is for uploads that have their turn: as many together as there is room for,
// or one if Config.Largest is not known. They are sure to come to their end as long as
// no object is larger than that part. The first of a client may go beyond its share,
// which those before it may have used up. All other unfinished uploads get by with the
// rest; complete objects may lie anywhere, since they go when they have been scanned.
//
// Not refused, but counted, are files made for engines of objects already let in: of
// each of them once more its size at most for File (only if it is in memory, so no more
// than Config.InMemory together) and for Path (unless it is a Tmpfile, which is linked).
// So the bound for everything is 2 x Total + InMemory, and Total itself where engines
// are sent the bytes. The copy of an opened file for Path is refused if there is no room
// for it. Beside that up to 8 MiB of free segments are kept, and a writer that goes from
// memory to the store holds both for a moment.
//
// # What engines cannot do
//
// A memfd is sealed against writing, growing and shrinking, for everybody. A
// Tmpfile is handed out as a descriptor that is open for reading; a process of
// the same user could open it for writing again, and whoever may write to the
// file of a Path changes a linked content. A site with engines that disinfect in
// place wants store Memfd, where every Path is a copy. clamd 1.4.6 takes both
// kinds by FILDES, a sealed memfd and a Tmpfile that is open for reading.
// Protection took 1.16 times the making of a memfd of 100 KiB and 1.02 times
// that of a Tmpfile, with ranges that overlap.
//
// # Which store
//
// Receiving in pieces of 128 KiB, reading once, releasing, in microseconds:
// median of 7 slices (5 at 25 MiB), taken in turn on a busy machine with 2 cores;
// in brackets the ratio to memfd. The Tmpfile was on ext4; in other slices on
// tmpfs it took 1.7 times as long as the memfd at 1 KiB, 2.8 at 10 KiB, 1.05 at
// 100 KiB, 0.95 at 1 MiB and 1.1 at 25 MiB.
//
//	size      memory         memfd     Tmpfile on ext4
//	1 KiB       0.5 (0.04)      12      375 (30; best slice 116)
//	10 KiB      0.5 (0.03)      16      371 (24; best slice 106)
//	100 KiB     3.3 (0.04)      76      391 (5.2; best slice 116)
//	1 MiB        57 (0.10)     581      625 (1.07)
//	25 MiB    15400 (0.67)   22900     9940 (0.43)
//
// ext4 varied with what else wrote to the disk, from 39 to 394 at 1 KiB. Memory
// is slow at 25 MiB because free segments of that size are not kept. So Memfd is
// the default: it is steady, and most of what is scanned is far shorter than
// 25 MiB. Tmpfile is for sites with little memory, with very long contents, or
// with engines that read paths.
package spool
