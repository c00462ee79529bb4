package icap

import (
	"io"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
)

// previewing returns a service that reads a preview, and then the rest if more is set.
func previewing(more bool) service {
	return func(nc io.Writer, q *received) bool {
		if q.get("preview") == "" {
			q.tb.Error("no preview")
		}
		ieof := q.readBody()
		if !ieof && more {
			if len(q.body) > 1024 {
				q.tb.Errorf("a preview of %d bytes", len(q.body))
			}
			io.WriteString(nc, "ICAP/1.0 100 Continue\r\n\r\n")
			q.readBody()
		}
		answer := recorded204
		if backendtest.Marked(q.body) == backends.Virus {
			answer = recordedFound
		}
		_, err := io.WriteString(nc, answer)
		return err == nil
	}
}

func TestPreview(t *testing.T) {
	backendtest.NoLeaks(t)
	zero := strings.Replace(recordedOptions, "Preview: 1024", "Preview: 0", 1)
	eicar := testfile.EICAR()
	hidden := append(backendtest.LargeObject(t, 100<<10).Data(), eicar...)
	for _, tt := range []struct {
		name    string
		options string
		more    bool
		data    []byte
		want    backends.Category
	}{
		{"whole object", recordedOptions, true, []byte(hello), backends.OK},
		{"empty", recordedOptions, true, nil, backends.OK},
		{"exactly all", recordedOptions, true, make([]byte, 1024), backends.OK},
		{"virus in it", recordedOptions, true, eicar, backends.Virus},
		{"more", recordedOptions, true, make([]byte, 1025), backends.OK},
		{"virus after it", recordedOptions, true, hidden, backends.Virus},
		{"clean by the preview", recordedOptions, false, hidden, backends.Partial},
		{"no bytes", zero, true, hidden, backends.Virus},
		{"empty, no bytes", zero, true, nil, backends.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := startFake(t, map[string]service{"options": says(tt.options), "avscan": previewing(tt.more)})
			b := reuses(open(t, f.address(), func(c *Config) { c.Preview, c.KeepAlive = true, true }))
			for range 2 {
				if got := checked(t, b, backendtest.Bytes(t, tt.data)); got.category != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			}
			want := 1
			if tt.want == backends.Virus {
				want = 2 // the page is not read completely
			}
			if n := f.connections(); n != want {
				t.Errorf("%d connections", n)
			}
		})
	}
	t.Run("continue twice", func(t *testing.T) {
		f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
			q.readBody()
			io.WriteString(nc, "ICAP/1.0 100 Continue\r\n\r\nICAP/1.0 100 Continue\r\n\r\n")
			q.readBody()
			io.WriteString(nc, recorded204)
			return false
		}})
		b := open(t, f.address(), func(c *Config) { c.Preview = true })
		if got := checked(t, b, backendtest.Bytes(t, hidden)); got.category != backends.SWErr {
			t.Errorf("got %v", got)
		}
	})
	t.Run("not wanted", func(t *testing.T) {
		options := strings.Replace(recordedOptions, "Preview: 1024\r\n", "", 1)
		f := startFake(t, map[string]service{"options": says(options), "avscan": marked})
		b := open(t, f.address(), func(c *Config) { c.Preview = true })
		if got := checked(t, b, backendtest.Bytes(t, hidden)); got.category != backends.Virus {
			t.Errorf("got %v", got)
		}
	})
}
