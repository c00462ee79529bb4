// Package prometheus has a real Prometheus scrape polyclam's metrics, with the alerts of
// contrib/prometheus, and runs every query of the dashboard in contrib/grafana.
package prometheus
