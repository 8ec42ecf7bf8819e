package app

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// Config is everything a person can set. LoadConfig fills it from flags, environment, file and defaults,
// in this order of precedence.
type Config struct {
	Addr            string        // host:port to listen on; port 0 picks a free one. Defaults to 127.0.0.1:8080
	Data            string        // directory of database, buckets and admin key. Defaults to ./flagbase-data
	PublicFunctions []string      // functions whose /fn/{name} needs no key; "*" is all of them. Defaults to none
	ShutdownDelay   time.Duration // between "not ready" and not accepting connections. Defaults to 0
	ShutdownTimeout time.Duration // for running requests to end at shutdown. Defaults to 20 s
	LogLevel        string        // debug, info, warn or error. Defaults to info
	LogFormat       string        // text or json. Defaults to text
	Limits          Limits
	History         History
	TracesPerSecond int // that begin here and are recorded; defaults to 500; 0 is all
	Fetch           Fetch
	Cache           Cache
	Secrets         map[string]*Secret // by name; only in the file. Defaults to none

	Warnings []string // what LoadConfig found odd and could do without
}

// Limits bound one invocation of a function; see function.EngineOptions for what each means.
type Limits struct {
	Memory      Bytes         // defaults to 128 MiB
	TotalMemory Bytes         // of all invocations together; defaults to 0, half of the machine's
	Output      Bytes         // defaults to 6 MiB
	Log         Bytes         // defaults to 256 KiB
	Event       Bytes         // defaults to 6 MiB
	Artifact    Bytes         // defaults to 64 MiB
	Object      Bytes         // largest object put over HTTP; defaults to 5 GiB
	Timeout     time.Duration // defaults to 30 s
	MaxTimeout  time.Duration // the longest a caller may ask for; defaults to 15 minutes
	Compute     time.Duration // time in the guest's own code; defaults to 0, none
	CallDepth   int           // defaults to 16
	Concurrency int           // invocations of one function at once; defaults to 100
	Queue       int           // how many more of one function may wait for their turn; defaults to 100
	QueueTime   time.Duration // how long they may wait; defaults to 1 s
}

// History is how much of the history of invocations is kept.
type History struct {
	Age         time.Duration // defaults to 30 days; 0 keeps for ever
	PerFunction int           // records of each function; defaults to 100,000; 0 is all
}

// Cache keeps compiled code, so that a restart compiles nothing again.
type Cache struct {
	Dir  string // defaults to cache in the data directory
	Size Bytes  // most bytes kept; 0 keeps nothing. Defaults to 1 GiB
}

// Fetch says which hosts functions may send HTTP requests to.
type Fetch struct {
	AllowHosts   []string // defaults to every host with a public address
	AllowPrivate []string // hosts, host:port or CIDR allowed although private. Defaults to none
}

// Bytes is a size; in configuration a number or a text such as 64MiB.
type Bytes int64

// Defaults is the configuration of somebody who sets nothing.
func Defaults() *Config {
	return &Config{
		Addr:            "127.0.0.1:8080",
		Data:            "./flagbase-data",
		ShutdownTimeout: 20 * time.Second,
		LogLevel:        "info",
		LogFormat:       "text",
		Cache:           Cache{Size: 1 << 30},
		Limits: Limits{
			Memory: 128 << 20, Output: 6 << 20, Log: 256 << 10, Event: 6 << 20, Artifact: 64 << 20, Object: 5 << 30,
			Timeout: 30 * time.Second, MaxTimeout: 15 * time.Minute, CallDepth: 16, Concurrency: 100, Queue: 100, QueueTime: time.Second,
		},
		History:         History{Age: 30 * 24 * time.Hour, PerFunction: 100_000},
		TracesPerSecond: 500,
	}
}

// validate checks what a setting's own form does not: each error names the setting.
func (c *Config) validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		bad("addr", "%q is not host:port, such as 127.0.0.1:8080 or :8080", c.Addr)
	}
	if c.Data == "" {
		bad("data", "it must name a directory")
	}
	if !oneOf(c.LogLevel, "debug", "info", "warn", "error") {
		bad("log.level", "%q is none of debug, info, warn, error", c.LogLevel)
	}
	if !oneOf(c.LogFormat, "text", "json") {
		bad("log.format", "%q is neither text nor json", c.LogFormat)
	}
	l := c.Limits
	for _, size := range []struct {
		key      string
		n, least Bytes
		most     Bytes
	}{
		{"limits.memory", l.Memory, 64 << 10, 4<<30 - 64<<10},
		{"limits.total_memory", l.TotalMemory, 0, 1 << 50},
		{"limits.output", l.Output, 1, 1 << 30},
		{"limits.log", l.Log, 1, 1 << 30},
		{"limits.event", l.Event, 1, 1 << 30},
		{"limits.artifact", l.Artifact, 1, 1 << 30},
		{"limits.object", l.Object, 1, 1 << 50},
		{"cache.size", c.Cache.Size, 0, 1 << 50},
	} {
		if size.n < size.least || size.n > size.most {
			bad(size.key, "%d bytes is not between %d and %d", size.n, size.least, size.most)
		}
	}
	if l.Timeout <= 0 || l.MaxTimeout <= 0 || l.Timeout > l.MaxTimeout {
		bad("limits.timeout", "%s must be above 0 and at most limits.max_timeout, %s", l.Timeout, l.MaxTimeout)
	}
	if l.CallDepth < 1 || l.CallDepth > 1000 {
		bad("limits.call_depth", "%d is not between 1 and 1000", l.CallDepth)
	}
	if l.Concurrency < 1 {
		bad("limits.concurrency", "%d is not 1 or more", l.Concurrency)
	}
	if l.Compute < 0 {
		bad("limits.compute", "%s is below 0", l.Compute)
	}
	if l.Queue < 0 || l.QueueTime <= 0 {
		bad("limits.queue", "%d is below 0, or limits.queue_timeout, %s, not above 0", l.Queue, l.QueueTime)
	}
	if c.History.Age < 0 || c.History.PerFunction < 0 {
		bad("history", "age and per_function cannot be negative")
	}
	if c.TracesPerSecond < 0 {
		bad("traces.per_second", "%d is below 0", c.TracesPerSecond)
	}
	if c.ShutdownDelay < 0 || c.ShutdownTimeout < 0 {
		bad("shutdown", "its durations cannot be negative")
	}
	return errors.Join(errs...)
}

func oneOf(value string, choices ...string) bool {
	for _, c := range choices {
		if value == c {
			return true
		}
	}
	return false
}

// cacheDir is where compiled code is kept; "" keeps none.
func (c *Config) cacheDir() string {
	switch {
	case c.Cache.Size == 0:
		return ""
	case c.Cache.Dir != "":
		return c.Cache.Dir
	}
	return c.path("cache")
}

func (c *Config) path(name string) string { return filepath.Join(c.Data, name) }

// loopback reports whether only this machine can reach Addr.
func (c *Config) loopback() bool {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
