package allow

import "unsafe"

func pointer(gids []uint32) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(gids)) }
