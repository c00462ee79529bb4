package spool

// Sealed implements backends.Sealed: whether the bytes are in memory or in a file of the
// spool, not in a client's file.
func (o *Object) Sealed() bool { return o.kind != kindOpened }
