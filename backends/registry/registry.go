// Package registry names every kind of backend there is. An engine of a new
// kind is a folder beside this one and a line in the map.
package registry

import (
	"maps"
	"slices"

	"polyclam/backends"
	"polyclam/backends/clamd"
	"polyclam/backends/inspect"
)

// Backends maps the backend key of an [[upstream]] table to the constructor of
// its configuration, filled with defaults. It is not to be changed.
var Backends = map[string]func() backends.Config{
	"clamd":   clamd.NewConfig,
	"inspect": inspect.NewConfig,
}

// Names returns the keys of Backends in alphabetical order.
func Names() []string { return slices.Sorted(maps.Keys(Backends)) }
