package needs

import (
	"fmt"
	"io"
	"text/tabwriter"

	"polyclam/cmd/internal/size"
)

// Print writes the needs as a table.
func (n *Needs) Print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "needs at most %d descriptors, %d threads, %s of memory:\n",
		n.Descriptors.Sum(), n.Threads.Sum(), size.MiB(n.MemoryAtMost()))
	count := func(v int64) string { return fmt.Sprint(v) }
	rows(out, "descriptors", n.Descriptors, count)
	rows(out, "threads", n.Threads, count)
	rows(out, "programs", n.Programs, count)
	rows(out, "memory", append(n.Memory, Term{n.Garbage, "garbage, less where memory is short"}), size.MiB)
	return out.Flush()
}

func rows(w io.Writer, name string, need Need, format func(int64) string) {
	for i, t := range need {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", name, format(t.N), t.What)
	}
}
