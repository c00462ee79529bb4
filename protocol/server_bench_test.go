package protocol

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func BenchmarkReadCommand(b *testing.B) {
	for _, packet := range []string{"zPING\x00", "nINSTREAM\n", "PING", "zSCAN /var/spool/mail/message\x00"} {
		b.Run(fmt.Sprintf("%.6q", packet), func(b *testing.B) {
			p := unixPair(b)
			p.SetReadDeadline(time.Time{})
			p.client.SetDeadline(time.Time{})
			command := []byte(packet)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.client.Write(command); err != nil {
					b.Fatal(err)
				}
				if cmd, err := p.ReadCommand(); cmd.Verb == "" || err != nil {
					b.Fatal(cmd, err)
				}
			}
		})
	}
}

func BenchmarkStream(b *testing.B) {
	for _, tt := range []struct{ size, chunk int }{
		{10 << 10, 10 << 10}, {1 << 20, 1 << 10}, {1 << 20, 1 << 20},
	} {
		b.Run(fmt.Sprintf("%dKiB/%dKiB", tt.size>>10, tt.chunk>>10), func(b *testing.B) {
			p := unixPair(b)
			p.client.SetDeadline(time.Time{})
			wire := []byte(strings.Repeat(chunk(strings.Repeat("x", tt.chunk)), tt.size/tt.chunk) + chunk(""))
			start := make(chan struct{})
			defer close(start)
			go func() {
				for range start {
					p.client.Write(wire)
				}
			}()
			b.SetBytes(int64(tt.size))
			b.ReportAllocs()
			for b.Loop() {
				start <- struct{}{}
				if n, err := p.Stream(0, time.Minute).WriteTo(io.Discard); n != int64(tt.size) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
