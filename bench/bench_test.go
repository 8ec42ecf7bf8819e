package main

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
)

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal goal
		met  bool
		line string
	}{
		{goal{Most: true, Limit: 1.1, Unit: times, Got: []got{{"a", 1.05}, {"b", 1.1}}}, true, "<= 1.10 x|1.10 x (b, the worst of 2)|met"},
		{goal{Most: true, Limit: 1.1, Unit: times, Got: []got{{"a", 2}, {"b", 1}}}, false, "<= 1.10 x|2.00 x (a, the worst of 2)|missed"},
		{goal{Limit: 1.8, Unit: times, Got: []got{{"a", 1.9}, {"b", 1.7}}}, false, ">= 1.80 x|1.70 x (b, the worst of 2)|missed"},
		{goal{Most: true, Unit: count, Got: []got{{"", 0}}}, true, "none|0|met"},
		{goal{Most: true, Unit: count, Got: []got{{"", 1}}}, false, "none|1|missed"},
		{goal{Most: true, Limit: 5e6, Unit: nanos}, false, "<= 5.00 ms|not in this run|-"},
		{goal{Most: true, Limit: 1, Unit: times, Got: []got{{"", math.NaN()}}}, false, "<= 1.00 x|NaN x|missed"},
	} {
		line := c.goal.cells()
		if got := strings.Join(line[1:], "|"); got != c.line || c.goal.met() != c.met {
			t.Errorf("gave %q, met %v; want %q, %v", got, c.goal.met(), c.line, c.met)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	for _, c := range []struct{ name, sent, body, err string }{
		{"length", "HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 2\r\n\r\nok", "ok", ""},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", "ok", ""},
		{"status", "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nbusy", "busy", "HTTP/1.1 429 Too Many Requests: busy"},
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "ok\x00", io.ErrUnexpectedEOF.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := readAnswer(bufio.NewReader(strings.NewReader(c.sent)))
			if err == nil {
				err = errors.New("")
			}
			if string(body) != c.body || err.Error() != c.err {
				t.Errorf("gave %q, %q; want %q, %q", body, err, c.body, c.err)
			}
		})
	}
}

func TestDocument(t *testing.T) {
	text, err := between("a\n<!-- begin x -->\nold\n<!-- end x -->\nb", "x", "new\n")
	if want := "a\n<!-- begin x -->\nnew\n<!-- end x -->\nb"; err != nil || text != want {
		t.Errorf("gave %q, %v", text, err)
	}
	if _, err := between("a", "x", ""); err == nil {
		t.Error("no error without markers")
	}
}

// The picture is one that programs can draw, whatever was measured.
func TestPicture(t *testing.T) {
	r := report{Goals: goals()}
	for i, value := range []float64{0, 1, 1e-9, 1e12, math.NaN(), math.Inf(1), math.Inf(-1)} {
		r.Goals[i].Got = []got{{"<a & b>", value}}
	}
	picture := r.picture()
	for decoder := xml.NewDecoder(strings.NewReader(picture)); ; {
		_, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, picture)
		}
	}
	if strings.Contains(picture, `="NaN`) || strings.Contains(picture, "Inf\"") {
		t.Errorf("a coordinate is no number:\n%s", picture)
	}
}

// Subjects run in turns, each for its time, and a failing one ends it.
func TestTurns(t *testing.T) {
	var order strings.Builder
	subjects := []*subject{
		{Name: "a", run: func() error { order.WriteByte('a'); time.Sleep(turn); return nil }},
		{Name: "b", run: func() error { order.WriteByte('b'); time.Sleep(2 * turn); return nil }},
	}
	rows, err := measureLatency(subjects, 4*turn)
	if err != nil || !strings.HasPrefix(order.String(), "aaabbbab") || rows[0].Median < turn || rows[1].Median < 2*turn {
		t.Errorf("ran %q: %v, %v", order.String(), rows, err)
	}
	subjects[1].run = func() error { return errors.New("no") }
	if _, err := measureLatency(subjects, turn); err == nil || err.Error() != "b: no" {
		t.Errorf("gave %v", err)
	}
}
