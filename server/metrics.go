package server

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows. Each Server has a registry of its own, so that two in one process do
// not meet.
type metrics struct {
	registry    *prometheus.Registry
	invocations *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	inFlight    *prometheus.GaugeVec
	requests    *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		invocations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flagbase_invocations_total",
			Help: "Invocations over HTTP, by function and outcome (ok or the problem's code).",
		}, []string{"function", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "flagbase_invocation_duration_seconds",
			Help:    "Wall time of invocations over HTTP, by function.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"function"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "flagbase_invocations_in_flight",
			Help: "Invocations over HTTP that are running now, by function.",
		}, []string{"function"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flagbase_http_requests_total",
			Help: "HTTP requests, by status class (2xx, 4xx, ...).",
		}, []string{"status"}),
	}
	m.registry.MustRegister(m.invocations, m.duration, m.inFlight, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// begin counts an invocation as running; the returned function counts it as done.
func (m *metrics) begin(fn string) func(outcome string) {
	start := time.Now()
	running := m.inFlight.WithLabelValues(fn)
	running.Inc()
	return func(outcome string) {
		running.Dec()
		m.invocations.WithLabelValues(fn, outcome).Inc()
		m.duration.WithLabelValues(fn).Observe(time.Since(start).Seconds())
	}
}

func statusClass(status int) string {
	switch {
	case status >= 500:
		return "5xx"
	case status >= 400:
		return "4xx"
	case status >= 300:
		return "3xx"
	default:
		return "2xx"
	}
}
