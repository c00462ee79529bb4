// Package registry names every kind of backend there is. An engine of a new
// kind is a folder beside this one and a line in the map.
package registry

import (
	"maps"
	"slices"

	"polyclam/backends"
	"polyclam/backends/avast"
	"polyclam/backends/clamd"
	"polyclam/backends/command"
	"polyclam/backends/drwebd"
	"polyclam/backends/fprot"
	"polyclam/backends/fsecure"
	"polyclam/backends/httpscan"
	"polyclam/backends/icap"
	"polyclam/backends/inspect"
	"polyclam/backends/kav"
	"polyclam/backends/kse"
	"polyclam/backends/polyclam"
	"polyclam/backends/savapi"
	"polyclam/backends/sophie"
	"polyclam/backends/sssp"
)

// Backends maps the backend key of an [[engine]] table to the constructor of
// its configuration, filled with defaults. It is not to be changed.
var Backends = map[string]func() backends.Config{
	"avast":    avast.NewConfig,
	"clamd":    clamd.NewConfig,
	"command":  command.NewConfig,
	"drwebd":   drwebd.NewConfig,
	"fprot":    fprot.NewConfig,
	"fsecure":  fsecure.NewConfig,
	"httpscan": httpscan.NewConfig,
	"icap":     icap.NewConfig,
	"inspect":  inspect.NewConfig,
	"kav":      kav.NewConfig,
	"kse":      kse.NewConfig,
	"polyclam": polyclam.NewConfig,
	"savapi":   savapi.NewConfig,
	"sophie":   sophie.NewConfig,
	"sssp":     sssp.NewConfig,
}

// Abilities says what each kind of backend can tell, by the keys of Backends.
var Abilities = map[string]backends.Abilities{
	"avast":    avast.Abilities,
	"clamd":    clamd.Abilities,
	"command":  command.Abilities,
	"drwebd":   drwebd.Abilities,
	"fprot":    fprot.Abilities,
	"fsecure":  fsecure.Abilities,
	"httpscan": httpscan.Abilities,
	"icap":     icap.Abilities,
	"inspect":  inspect.Abilities,
	"kav":      kav.Abilities,
	"kse":      kse.Abilities,
	"polyclam": polyclam.Abilities,
	"savapi":   savapi.Abilities,
	"sophie":   sophie.Abilities,
	"sssp":     sssp.Abilities,
}

// Names returns the keys of Backends in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(Backends)) }
