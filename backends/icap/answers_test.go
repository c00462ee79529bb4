package icap

import (
	"io"
	"reflect"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestTranscripts plays every answer in one piece and byte by byte.
func TestTranscripts(t *testing.T) {
	for _, tt := range transcripts() {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.NoLeaks(t)
			f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
				q.readBody()
				io.WriteString(nc, tt.answer.Text)
				return false
			}, "split": func(nc io.Writer, q *received) bool {
				q.readBody()
				for i := range len(tt.answer.Text) {
					if _, err := io.WriteString(nc, tt.answer.Text[i:i+1]); err != nil {
						break
					}
				}
				return false
			}})
			o := backendtest.Bytes(t, []byte(hello))
			if got := checked(t, open(t, f.address()), o); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v: got %v, want %v", tt.answer, got, tt.want)
			}
			if len(tt.answer.Text) > 8<<10 || tt.name == "two answers" || tt.name == "a trailing byte" || tt.name == "clean, then a virus" {
				return // later bytes are not read
			}
			if got := checked(t, open(t, f.address(), on("split")), o); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v, byte by byte: got %v, want %v", tt.answer, got, tt.want)
			}
		})
	}
}

// TestCutOff cuts answers off at every byte. They are never OK, and a virus as soon as the
// header is complete.
func TestCutOff(t *testing.T) {
	echoed := echo("", whole)
	for name, answer := range map[string]string{"clean": recorded204, "virus": recordedFound, "echo": echoed} {
		t.Run(name, func(t *testing.T) {
			for n := range len(answer) {
				f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
					q.readBody()
					io.WriteString(nc, answer[:n])
					return false
				}})
				got := checked(t, open(t, f.address()), backendtest.Bytes(t, []byte(hello)))
				head := strings.Index(answer, "\r\n\r\n") + 4
				switch {
				case name == "virus" && n >= head:
					if got.category != backends.Virus {
						t.Errorf("%d bytes: %v", n, got)
					}
				case !got.category.IsFailure():
					t.Errorf("%d bytes: %v", n, got)
				}
				f.listener.Close()
			}
		})
	}
}

// TestBusy checks which answers mean that the engine is overloaded.
func TestBusy(t *testing.T) {
	for answer, want := range map[string]bool{
		"ICAP/1.0 503 Service overloaded\r\n\r\n": true,
		page("", "429 Too Many Requests", ""):     true,
		page("", "503 Busy", ""):                  true,
		"ICAP/1.0 500 Server error\r\n\r\n":       false,
		page("", "500 Internal Error", ""):        false,
	} {
		f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
			q.readBody()
			io.WriteString(nc, answer)
			return false
		}})
		_, err := open(t, f.address()).Scan(t.Context(), backendtest.Bytes(t, []byte(hello)))
		if err == nil || backends.Busy(err) != want {
			t.Errorf("%.40q: busy = %v (%v)", answer, !want, err)
		}
	}
}
