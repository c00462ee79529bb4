package extended_test

import (
	"fmt"
	"strings"

	"polyclam/protocol/extended"
)

// Example reads the records of a reply to XSCAN.
func Example() {
	const reply = `/srv/a.zip: engine=sophos category=encrypted action=ok code=2 msg="Password protected file a.zip" ENGINE
/srv/a.zip: category=encrypted action=ok code=2 engine=sophos engines=1 failed=0 version=1 SUMMARY`
	for line := range strings.SplitSeq(reply, "\n") {
		r, err := extended.Parse(line)
		if err != nil {
			fmt.Println(err)
			return
		}
		switch r.Word {
		case extended.WordEngine:
			e, err := r.Engine()
			fmt.Println(e.Engine, e.Category, e.Message, err)
		case extended.WordSummary:
			s, err := r.Summary()
			fmt.Println(s.Category, s.Action, s.Engines, err)
		}
	}
	// Output:
	// sophos encrypted Password protected file a.zip <nil>
	// encrypted ok 1 <nil>
}
