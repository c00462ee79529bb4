package inspect

import "polyclam/backends"

// Abilities says what inspect can report. The only viruses that it knows are the EICAR
// test file and the objects in the hash lists.
var Abilities = backends.Abilities{
	Virus: true, Encrypted: true, Partial: true, Names: true,
	Source: "the formats' specifications; programs that make and open them",
	Tested: "real engine, over files made by the real programs and composed ones",
}
