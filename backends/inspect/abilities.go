package inspect

import "polyclam/backends"

// Abilities is what inspect can find. Of viruses it knows only the EICAR test file and what
// the hash lists contain.
var Abilities = backends.Abilities{
	Virus: true, Encrypted: true, Partial: true, Names: true,
	Source: "the formats' specifications; programs that make and open them",
	Tested: "real engine, over files made by the real programs and composed ones",
}
