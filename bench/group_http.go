package main

import (
	"fmt"
	"os"
	"runtime"
	"time"
)

// connections is how many requests are under way at once.
const connections = 16

// contender is a server in the comparison over HTTP.
type contender struct {
	row    row
	load   load
	pid    int
	rates  []float64
	median []time.Duration
	p99    []time.Duration
	asked  int
	cpu    time.Duration
	client time.Duration
}

// overHTTP: a JSON hello over HTTP, asked by one client in turns.
func overHTTP(b *bench) error {
	flagbase, err := b.startServer()
	if err != nil {
		return err
	}
	defer flagbase.stop()
	wasm, err := b.helloGo()
	if err != nil {
		return err
	}
	if err := flagbase.deployScript(b.ctx, "hello", script("hello")); err != nil {
		return err
	}
	if err := flagbase.deployScript(b.ctx, "hello-fetch", script("hello_fetch")); err != nil {
		return err
	}
	if err := flagbase.deployModule(b.ctx, "hello-go", wasm); err != nil {
		return err
	}
	var list []*contender
	add := func(name string, isolates answer, addr, path string, pid int, answer *answerOf) {
		request := postRequest(addr, path, token, helloEvent)
		list = append(list, &contender{
			row:  row{Subject: name, Isolates: isolates},
			load: load{addr: addr, connections: connections, request: func(int) []byte { return request }, answer: answer},
			pid:  pid,
		})
	}
	const workerdName, handleName, fetchName = "workerd, fetch(request)", "flagbase, handle(event)", "flagbase, fetch(request)"
	workerd, workerdErr := b.workerd()
	if workerdErr == nil {
		defer workerd.stop()
		add(workerdName, no, workerd.addr, "/", workerd.pid(), wantJS)
	} else {
		b.note("no row for workerd: %v", workerdErr)
	}
	node, err := b.node()
	if err != nil {
		return err
	}
	defer node.stop()
	add("Node's http, the handler in its process", no, node.addr, "/", node.pid(), wantJS)
	add(handleName, yes, flagbase.addr, invokePath("hello"), flagbase.pid(), wantJS)
	add(fetchName, yes, flagbase.addr, "/fn/hello-fetch", flagbase.pid(), wantJS)
	goja := gojaFresh()
	addr, stop, err := behindHTTP(goja, wantJS)
	if err != nil {
		return err
	}
	defer stop()
	add(goja.Name+", behind net/http", yes, addr, "/", os.Getpid(), wantJS)
	add("flagbase, a Go command that prints a line", yes, flagbase.addr, invokePath("hello-go"), flagbase.pid(), wantHello)

	if err := b.contend(list); err != nil {
		return err
	}
	rows := make([]row, len(list))
	for i, c := range list {
		rows[i] = c.finish()
	}
	relate(rows, 0)
	if workerdErr == nil {
		keys := map[string]string{handleName: "http", fetchName: "fetch"}
		for _, r := range rows[1:] {
			if key := keys[r.Subject]; key != "" {
				b.got(key+"-rate", "", r.Ratio)
				b.got(key+"-p99", "", float64(r.P99)/float64(rows[0].P99))
			}
		}
	}
	b.show("http", fmt.Sprintf("JSON hello over HTTP, %d connections", connections),
		"One request. flagbase checks the key of each and records each in its history; its peers do neither. The last row but one runs in the client's process, the last does other work.", rows)
	return nil
}

// contend lets the client ask all in turns. It has one processor, so that it is not
// what keeps the servers from theirs.
func (b *bench) contend(list []*contender) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds = 7
	self := os.Getpid()
	for r := range rounds {
		for _, c := range list {
			if c.pid == self {
				runtime.GOMAXPROCS(runtime.NumCPU()) // server and client are one
			}
			d := 2 * b.each / rounds
			if r == 0 {
				d = max(b.each/3, 20*time.Millisecond) // the first warms up and is not counted
			}
			server, client := cpuTime(c.pid), cpuTime(self)
			got, err := c.load.run(d, 1<<30)
			runtime.GOMAXPROCS(1)
			if err == nil && got.failed > 0 {
				err = fmt.Errorf("%d of %d requests failed: %w", got.failed, len(got.times), got.failure)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.row.Subject, err)
			}
			if r == 0 {
				continue
			}
			c.rates = append(c.rates, got.perSecond())
			m, p := quantiles(got.times)
			c.median, c.p99 = append(c.median, m), append(c.p99, p)
			c.asked += len(got.times)
			c.cpu += cpuTime(c.pid) - server
			c.client += cpuTime(self) - client
		}
	}
	return nil
}

// finish gives the medians of the rounds.
func (c *contender) finish() row {
	r := c.row
	r.PerSecond, r.Median, r.P99, r.Rounds = median(c.rates), median(c.median), median(c.p99), c.asked
	r.CPU, r.ClientCPU = c.cpu/time.Duration(c.asked), c.client/time.Duration(c.asked)
	r.Workers = c.load.connections
	if c.pid == os.Getpid() {
		r.ClientCPU = 0 // not to be told apart from the server's
	} else {
		r.RSS, r.PSS = memoryOf(c.pid)
	}
	return r
}
