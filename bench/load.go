package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// load asks an HTTP server from a fixed number of connections, each of which sends its
// next request when it has its answer. It does as little as it can, because it shares
// the machine with the server: requests are bytes made beforehand, and of an answer it
// reads the status, the length and the body.
type load struct {
	addr        string
	connections int
	request     func(n int) []byte // of the n-th request; must be safe for concurrent use
	answer      *answerOf          // must be known
}

// loaded is what a load saw.
type loaded struct {
	times   []time.Duration
	took    time.Duration
	failed  int
	failure error // the first
}

// run asks for about d, or until each connection has sent most requests.
func (l *load) run(d time.Duration, most int) (*loaded, error) {
	all := &loaded{}
	var mu sync.Mutex
	var group sync.WaitGroup
	conns := make([]net.Conn, l.connections)
	for i := range conns {
		conn, err := net.Dial("tcp", l.addr)
		if err != nil {
			return nil, err
		}
		defer func() { _ = conn.Close() }()
		conns[i] = conn
	}
	start := time.Now()
	for i, conn := range conns {
		group.Go(func() {
			in := bufio.NewReaderSize(conn, 4<<10)
			mine := make([]time.Duration, 0, 1<<14)
			var failed int
			var failure error
			for n := 0; n < most && time.Since(start) < d; n++ {
				_ = conn.SetDeadline(time.Now().Add(time.Minute))
				sent := time.Now()
				_, err := conn.Write(l.request(n*l.connections + i))
				var body []byte
				if err == nil {
					body, err = readAnswer(in)
				}
				mine = append(mine, time.Since(sent))
				if err = l.answer.check(body, err); err != nil {
					failed++
					failure = err
					if status := (*statusError)(nil); !errors.As(err, &status) {
						break // the connection is of no use any more
					}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all.times = append(all.times, mine...)
			all.failed += failed
			if all.failure == nil {
				all.failure = failure
			}
		})
	}
	group.Wait()
	all.took = time.Since(start)
	if len(all.times) == 0 {
		return nil, errors.New("nothing was asked")
	}
	return all, nil
}

func (l *loaded) perSecond() float64 { return float64(len(l.times)) / l.took.Seconds() }

// postRequest makes the bytes of a POST of JSON.
func postRequest(addr, path, token, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, addr, token, len(body), body)
}

type statusError struct {
	line string
	body []byte
}

func (e *statusError) Error() string { return fmt.Sprintf("%s: %.200s", e.line, e.body) }

// readAnswer reads one answer and gives its body.
func readAnswer(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	var status string
	if !bytes.Contains(line, []byte(" 200 ")) {
		status = string(bytes.TrimSpace(line))
	}
	size := -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")) {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	var body []byte
	if size < 0 {
		body, err = readChunks(in)
	} else {
		body = make([]byte, size)
		_, err = io.ReadFull(in, body)
	}
	if err == nil && status != "" {
		err = &statusError{status, body}
	}
	return body, err
}

// readChunks reads a body in chunks.
func readChunks(in *bufio.Reader) ([]byte, error) {
	var body []byte
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		size, err := strconv.ParseInt(line[:len(line)-2], 16, 32)
		if err != nil {
			return nil, fmt.Errorf("an answer with neither a length nor chunks: %w", err)
		}
		chunk := make([]byte, size+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, err
		}
		if size == 0 {
			return body, nil
		}
		body = append(body, chunk[:size]...)
	}
}
