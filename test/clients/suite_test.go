package clients

import (
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"polyclam/test/clamdtest"
)

// concurrency is how many tests run at the same time. They wait for the programs most of
// the time, and each has its own daemons, ports and directories.
const concurrency = "5"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", concurrency); err != nil {
		panic(err)
	}
	status := clamdtest.Main(m)
	os.RemoveAll(samplesDir)
	os.RemoveAll(toolDir)
	os.Exit(status)
}

// hang is how long anything may take before the test gives up.
const hang = 5 * time.Minute

// An outcome is the result of a scan as the client's user sees it.
type outcome string

const (
	clean     outcome = "clean"     // passed
	infected  outcome = "infected"  // held as a virus
	encrypted outcome = "encrypted" // recognised as encrypted
	flagged   outcome = "flagged"   // passed, marked as not scanned
	refused   outcome = "refused"   // not passed: an error, a tempfail, a deferral
)

// A finding is an outcome with the client's details: the name of the virus, its error,
// the symbols.
type finding struct {
	outcome outcome
	text    string
}

// A scan makes the client scan an object and reports its conclusion. It fails the test
// if the client's answer is none of the outcomes.
type scan func(t *testing.T, s sample) finding

// A client is one mode of one program that uses clamd.
type client struct {
	name     string
	recipe   string // file in docs/clients
	listener string // block of the recipe with polyclam's [[listener]]
	network  string // of the daemon's address: "unix" or "tcp"
	// user is the user of the daemons, empty for the default: clients that pass paths
	// need daemons that may read them.
	user string
	// start starts what the client needs, if anything, and returns its scan. At that
	// time a clamd runs at the address; later polyclamds replace it without the
	// client's knowledge. What start starts ends with t.
	start func(t *testing.T, at target) scan
	// but has the outcomes that differ from usual.
	but map[string]outcome
	// open gives the reason for each cell that passes an object that was not scanned.
	open map[string]string
	// differs gives the reason for each cell that has another outcome with clamd alone.
	differs map[string]string
}

// all returns the clients in the order of the table.
func all() []client {
	return slices.Concat(clamavClients, clamonaccClients, milterClients, mimedefangClients, amavisClients, rspamdClients,
		eximClients, clamsmtpClients, libraryClients, goClients, nodeClients, nextcloudClients, gatewayClients)
}

// named returns a client by name.
func named(t *testing.T, name string) client {
	t.Helper()
	i := slices.IndexFunc(all(), func(c client) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("no client is called %q", name)
	}
	return all()[i]
}

// TestClients runs every client through every case and prints the table.
func TestClients(t *testing.T) {
	t.Parallel()
	e := startEngines(t)
	var rows table
	t.Run("client", func(t *testing.T) {
		for _, c := range all() {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				rows.add(c.run(t, e))
			})
		}
	})
	rows.print(t)
}

// run puts one client through all cases.
func (c client) run(t *testing.T, e *engines) row {
	at := newTarget(t, c)
	r := row{client: c, cells: map[string]cell{}}
	daemon := at.startClamd(t)
	ask := c.start(t, at)
	for _, k := range cases {
		if k.clamd {
			r.cells[k.name] = cell{bare: ask(t, samples()[k.sample])}
		}
	}
	var world string
	for _, k := range cases {
		if k.world != world {
			daemon.stop()
			world = k.world
			daemon = at.startPolyclam(t, c, e, world)
		}
		found := ask(t, samples()[k.sample])
		cell := r.cells[k.name]
		cell.polyclam = found
		r.cells[k.name] = cell
	}
	daemon.stop()
	r.check(t)
	return r
}
