package polyclam

import (
	"context"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
)

const realConfig = `
[[listener]]
address = "unix:${DIR}/p.sock"

[[listener]]
address = "tcp:127.0.0.1:${PORT}"

[[engine]]
name = "inspect"
backend = "inspect"
`

// TestRealPolyclam runs the conformance suite with a real polyclamd.
func TestRealPolyclam(t *testing.T) {
	p := clamdtest.StartPolyclam(t, realConfig, clamdtest.Options{})
	for _, tt := range []struct{ name, network, address, transport string }{
		{"fildes", "unix", "unix:" + p.Socket, transportAuto},
		{"stream", "unix", "unix:" + p.Socket, transportStream},
		{"tcp", "tcp", "tcp:" + p.TCP, transportAuto},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, tt.address, tt.transport) }, backendtest.Options{
				Encrypted: true, Parallel: 30, Network: tt.network,
				Dial: func(t *testing.T, address string) backends.Backend { return open(t, address, tt.transport) },
				Half: []backendtest.Words{
					backendtest.Composed(okLine), backendtest.Composed(okLine + okE + okS), backendtest.Composed("stream: O"),
					backendtest.Composed("fd[3]: OK\x00"),
				},
			})
		})
	}
}

// TestRealClamd checks that a plain clamd is a failure with a hint.
func TestRealClamd(t *testing.T) {
	d := clamdtest.Start(t, clamdtest.Options{TCP: true})
	for _, address := range []string{"unix:" + d.Socket, "tcp:" + d.TCP} {
		for _, o := range []backends.Object{backendtest.CleanObject(t), backendtest.Bytes(t, testfile.EICAR()), backendtest.LargeObject(t, 4<<20)} {
			r, err := open(t, address, transportAuto).Scan(testContext(t), o)
			// clamd closes at the unknown verb. While an object is being sent, the kernel
			// may reset the connection before the reply is read.
			if err == nil || o.Size() < 1000 && !strings.Contains(err.Error(), `backend = "clamd"`) {
				t.Errorf("%s, %d bytes: got %+v, %v", address, o.Size(), r, err)
			}
		}
	}
}

// TestRealChain scans with a polyclamd whose engine is another polyclamd, which is then
// killed.
func TestRealChain(t *testing.T) {
	first := clamdtest.StartPolyclam(t, realConfig, clamdtest.Options{})
	second := clamdtest.StartPolyclam(t, `
[[listener]]
address = "unix:${DIR}/p.sock"

[[engine]]
name = "first"
backend = "polyclam"
address = "unix:`+first.Socket+`"
`, clamdtest.Options{})
	b := open(t, "unix:"+second.Socket, transportAuto)
	for _, tt := range []struct {
		object []byte
		want   backends.Category
		name   string
	}{
		{[]byte("clean"), backends.OK, ""},
		{testfile.EICAR(), backends.Virus, ""},
		{testfile.Encrypted(), backends.Encrypted, "Heuristics.Encrypted.Zip"},
	} {
		r, err := b.Scan(testContext(t), backendtest.Bytes(t, tt.object))
		if err != nil || r.Category != tt.want || tt.name != "" && (len(r.Findings) != 1 || r.Findings[0].Name != tt.name || !strings.Contains(r.Detail, "locked.txt")) {
			t.Errorf("got %+v, %v, want %v", r, err, tt.want)
		}
	}
	first.Kill()
	if r, err := b.Scan(testContext(t), backendtest.CleanObject(t)); err == nil || !backends.CategoryOf(err).IsFailure() {
		t.Errorf("after the first was killed: got %+v, %v", r, err)
	}
}

// TestRealLoop checks that two polyclamds that ask each other answer every client, with
// and without a canary. (The configuration refuses one that asks itself.)
func TestRealLoop(t *testing.T) {
	for name, canary := range map[string]string{"canary": "true", "no canary": "false"} {
		t.Run(name, func(t *testing.T) {
			dir := clamdtest.Dir(t, "")
			start := func(own, other string) *clamdtest.Polyclam {
				return clamdtest.StartPolyclam(t, realConfig+`
[[listener]]
address = "unix:`+dir+"/"+own+`"

[[engine]]
name = "other"
backend = "polyclam"
address = "unix:`+dir+"/"+other+`"
timeout = "500ms"
max_scans = 3
canary = `+canary+"\n", clamdtest.Options{})
			}
			first := start("a", "b")
			start("b", "a")
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			b := open(t, "unix:"+first.Socket, transportAuto)
			if r, err := b.Scan(ctx, backendtest.CleanObject(t)); err == nil || ctx.Err() != nil {
				t.Errorf("got %+v, %v (%v)", r, err, ctx.Err())
			}
			// What the other engine finds is still reported, perhaps together with a failure.
			if r, err := b.Scan(ctx, backendtest.Bytes(t, testfile.EICAR())); r.Category != backends.Virus {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}
