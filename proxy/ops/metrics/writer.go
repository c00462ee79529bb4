package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"polyclam/proxy/count"
)

// A writer writes the metrics of one family.
type writer struct {
	family
	metrics chan<- prometheus.Metric
}

// put writes a counter or gauge. The labels are in the order of the family's.
func (w *writer) put(value float64, labels ...string) {
	w.send(prometheus.NewConstMetric(w.desc, w.kind, value, labels...))
}

// flag writes 1 for true and 0 for false.
func (w *writer) flag(value bool, labels ...string) {
	if value {
		w.put(1, labels...)
		return
	}
	w.put(0, labels...)
}

// time writes a time in seconds since 1970. It writes nothing for the zero time.
func (w *writer) time(t time.Time, labels ...string) {
	if !t.IsZero() {
		w.put(float64(t.UnixNano())/1e9, labels...)
	}
}

// limit writes a limit. It writes nothing for 0, which is no limit.
func (w *writer) limit(n int64, labels ...string) {
	if n > 0 {
		w.put(float64(n), labels...)
	}
}

// histogram writes a histogram of durations.
func (w *writer) histogram(v count.Value, labels ...string) {
	buckets, sum := make(map[float64]uint64, len(count.Bounds)), uint64(0)
	for i, bound := range count.Bounds {
		sum += v.Counts[i]
		buckets[bound.Seconds()] = sum
	}
	w.send(prometheus.NewConstHistogram(w.desc, v.Total(), v.Sum.Seconds(), buckets, labels...))
}

// times writes a histogram for each class of objects.
func (w *writer) times(classes [count.Classes]count.Value, labels ...string) {
	for i, v := range classes {
		w.histogram(v, append(labels[:len(labels):len(labels)], count.ClassNames[i])...)
	}
}

func (w *writer) send(m prometheus.Metric, err error) {
	if err != nil {
		m = prometheus.NewInvalidMetric(w.desc, err)
	}
	w.metrics <- m
}
