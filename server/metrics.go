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
	compute     *prometheus.CounterVec
	requests    *prometheus.CounterVec
	byClass     [6]prometheus.Counter // of requests, by the status's first digit
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
		compute: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flagbase_invocation_compute_seconds_total",
			Help: "Time that invocations over HTTP spent in the code of functions, host calls not counted, by function.",
		}, []string{"function"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flagbase_http_requests_total",
			Help: "HTTP requests, by status class (2xx, 4xx, ...).",
		}, []string{"status"}),
	}
	m.registry.MustRegister(m.invocations, m.duration, m.inFlight, m.compute, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for i := range m.byClass {
		m.byClass[i] = m.requests.WithLabelValues(statusClass(i * 100))
	}
	return m
}

// answered counts a request.
func (m *metrics) answered(status int) {
	if class := status / 100; class >= 0 && class < len(m.byClass) {
		m.byClass[class].Inc()
		return
	}
	m.requests.WithLabelValues(statusClass(status)).Inc()
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// functionMetrics are those of one function, found once.
type functionMetrics struct {
	name     string
	all      *metrics
	ok       prometheus.Counter
	inFlight prometheus.Gauge
	compute  prometheus.Counter
	duration prometheus.Observer
}

func (m *metrics) of(fn string) *functionMetrics {
	return &functionMetrics{
		name: fn, all: m,
		ok:       m.invocations.WithLabelValues(fn, "ok"),
		inFlight: m.inFlight.WithLabelValues(fn),
		compute:  m.compute.WithLabelValues(fn),
		duration: m.duration.WithLabelValues(fn),
	}
}

// done counts an invocation that ended.
func (f *functionMetrics) done(outcome string, took, compute time.Duration) {
	f.inFlight.Dec()
	if outcome == "ok" {
		f.ok.Inc()
	} else {
		f.all.invocations.WithLabelValues(f.name, outcome).Inc()
	}
	f.duration.Observe(took.Seconds())
	f.compute.Add(compute.Seconds())
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
