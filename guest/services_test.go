package guest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"flagbase.dev/guest/bucket"
	"flagbase.dev/guest/fetch"
	"flagbase.dev/guest/flag"
	"flagbase.dev/guest/fn"
	"flagbase.dev/guest/guesttest"
	"flagbase.dev/guest/host"
	"flagbase.dev/guest/httpclient"
	"flagbase.dev/guest/logs"
	"flagbase.dev/guest/metric"
	"flagbase.dev/guest/secret"
	"flagbase.dev/guest/table"
)

func TestServicesWithoutAHostSayWhatToDo(t *testing.T) {
	_, err := bucket.Get("b", "k")
	if !errors.Is(err, host.ErrUnavailable) || !strings.Contains(err.Error(), "guesttest.New") {
		t.Fatalf("got %v", err)
	}
}

func TestBucket(t *testing.T) {
	h := guesttest.New(t)
	if _, err := bucket.Get("reports", "a"); !errors.Is(err, host.ErrNotFound) {
		t.Fatalf("get of nothing: %v", err)
	}
	for _, key := range []string{"b", "a", "a/b"} {
		if err := bucket.Put("reports", key, []byte("<"+key+">")); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := bucket.Get("reports", "a/b"); err != nil || string(b) != "<a/b>" {
		t.Fatalf("get: %q, %v", b, err)
	}
	if err := bucket.Delete("reports", "b"); err != nil {
		t.Fatal(err)
	}
	if keys, err := bucket.List("reports"); err != nil || !reflect.DeepEqual(keys, []string{"a", "a/b"}) {
		t.Fatalf("list: %q, %v", keys, err)
	}
	if keys, err := bucket.List("empty"); err != nil || len(keys) != 0 {
		t.Fatalf("list of nothing: %q, %v", keys, err)
	}
	if b, ok := h.Object("reports", "a"); !ok || string(b) != "<a>" {
		t.Fatalf("the test sees %q, %v", b, ok)
	}
}

func TestFailIsAnErrorWithOperationThingAndCause(t *testing.T) {
	h := guesttest.New(t)
	full := errors.New("disk full")
	h.Fail("bucket_put", full)
	err := bucket.Put("reports", "a", nil)
	var e *host.Error
	if !errors.As(err, &e) || e.Op != "bucket_put" || !errors.Is(err, full) || err.Error() != `bucket_put "reports/a": disk full` {
		t.Fatalf("got %v", err)
	}
	h.Fail("bucket_put", nil)
	if err := bucket.Put("reports", "a", nil); err != nil {
		t.Fatal(err)
	}
}

func TestFlag(t *testing.T) {
	h := guesttest.New(t)
	h.SetFlag("on", true)
	h.SetFlag("off", false)
	h.SetVariant("button", "blue")
	for key, want := range map[string]bool{"on": true, "off": false} {
		if got, err := flag.Bool(key); err != nil || got != want || flag.Enabled(key) != want {
			t.Errorf("%s: %v, %v", key, got, err)
		}
	}
	if _, err := flag.Bool("unknown"); !errors.Is(err, host.ErrNotFound) || flag.Enabled("unknown") {
		t.Errorf("unknown flag: %v", err)
	}
	if v, err := flag.Variant("button"); err != nil || v != "blue" {
		t.Errorf("variant %q, %v", v, err)
	}
	if v, err := flag.Variant("on"); err != nil || v != "on" {
		t.Errorf("variant of a boolean flag %q, %v", v, err)
	}
}

type order struct {
	Item    string `json:"item"`
	Count   int    `json:"count"`
	Address struct {
		City string `json:"city"`
	} `json:"address"`
}

func TestTable(t *testing.T) {
	h := guesttest.New(t)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h.SetClock(func() time.Time { now = now.Add(time.Second); return now })
	orders := table.Of[order]("orders")
	var ids []string
	for i, item := range []string{"tea", "coffee", "milk"} {
		o := order{Item: item, Count: i + 1}
		o.Address.City = []string{"Bern", "Basel", "Bern"}[i]
		r, err := orders.Insert(o)
		if err != nil || r.ID == "" || r.Data != o || !r.CreatedAt.Equal(now) {
			t.Fatalf("insert: %+v, %v", r, err)
		}
		ids = append(ids, r.ID)
	}
	if r, err := orders.Update(ids[0], order{Item: "tea", Count: 9}); err != nil || r.Data.Count != 9 || !r.UpdatedAt.After(r.CreatedAt) {
		t.Fatalf("update: %+v, %v", r, err)
	}
	if r, err := orders.Get(ids[0]); err != nil || r.Data.Count != 9 || r.ID != ids[0] {
		t.Fatalf("get: %+v, %v", r, err)
	}
	if _, err := orders.Update("absent", order{}); !errors.Is(err, host.ErrNotFound) {
		t.Fatalf("update of nothing: %v", err)
	}
	if err := orders.Delete(ids[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := orders.Get(ids[1]); !errors.Is(err, host.ErrNotFound) {
		t.Fatalf("get of a deleted record: %v", err)
	}
	if len(h.Records("orders")) != 2 {
		t.Fatalf("the test sees %v", h.Records("orders"))
	}
	if _, err := table.Of[[]int]("orders").Insert([]int{1}); err == nil || !strings.Contains(err.Error(), "JSON object") {
		t.Fatalf("a record that is no object: %v", err)
	}
}

func TestTableQuery(t *testing.T) {
	h := guesttest.New(t)
	for i, item := range []string{"tea", "coffee", "milk", "teapot"} {
		o := order{Item: item, Count: i}
		o.Address.City = []string{"Bern", "Basel"}[i%2]
		h.PutRecord("orders", item, o)
	}
	where := func(column, operator string, value any) *table.Query {
		return &table.Query{Filters: []table.Filter{table.Where(column, operator, value)}}
	}
	tests := map[string]struct {
		query *table.Query
		want  []string
	}{
		"all":         {nil, []string{"tea", "coffee", "milk", "teapot"}},
		"eq path":     {where("address.city", "eq", "Basel"), []string{"coffee", "teapot"}},
		"ne":          {where("item", "ne", "tea"), []string{"coffee", "milk", "teapot"}},
		"gte":         {where("count", "gte", 2), []string{"milk", "teapot"}},
		"lt":          {where("count", "lt", 1), []string{"tea"}},
		"in":          {where("item", "in", []string{"milk", "tea"}), []string{"tea", "milk"}},
		"contains":    {where("item", "contains", "ff"), []string{"coffee"}},
		"starts_with": {where("item", "starts_with", "tea"), []string{"tea", "teapot"}},
		"exists":      {where("nothing", "exists", true), []string{}},
		"id":          {where("_id", "eq", "milk"), []string{"milk"}},
		"order":       {&table.Query{OrderBy: []table.Order{{Column: "count", Desc: true}}, Limit: 2, Offset: 1}, []string{"milk", "coffee"}},
		"past":        {&table.Query{Offset: 10}, []string{}},
	}
	for name, test := range tests {
		records, err := table.Of[order]("orders").Query(test.query)
		got := []string{}
		for _, r := range records {
			got = append(got, r.Data.Item)
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, test.want)
		}
	}
	if _, err := table.Of[order]("orders").Query(where("item", "like", "x")); err == nil {
		t.Error("an unknown operator was accepted")
	}
}

func TestFnInvoke(t *testing.T) {
	h := guesttest.New(t)
	h.HandleFunction("double", func(event []byte) ([]byte, error) {
		if event == nil {
			return []byte("no event"), nil
		}
		var n int
		if err := json.Unmarshal(event, &n); err != nil {
			return nil, err
		}
		return json.Marshal(2 * n)
	})
	if n, err := fn.InvokeJSON[int]("double", 21); err != nil || n != 42 {
		t.Errorf("got %d, %v", n, err)
	}
	if b, err := fn.Invoke("double", nil); err != nil || string(b) != "no event" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := fn.Invoke("double", []byte{}); err == nil {
		t.Error("an empty event was taken for none")
	}
	if _, err := fn.Invoke("absent", nil); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("absent function: %v", err)
	}
	ops := []string{}
	for _, c := range h.Calls() {
		ops = append(ops, c.Op)
	}
	if want := []string{"fn_invoke_event", "fn_invoke", "fn_invoke_event", "fn_invoke"}; !reflect.DeepEqual(ops, want) {
		t.Errorf("host calls %v, want %v", ops, want)
	}
}

func TestFetchAndHTTPClient(t *testing.T) {
	h := guesttest.New(t)
	if _, err := fetch.Get("https://example.com/"); err == nil {
		t.Fatal("a request went out without a handler")
	}
	h.HandleHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Add("X-Seen", r.Header.Get("X-Ask"))
		w.Header().Add("X-Seen", "two")
		w.Header().Add("Set-Cookie", "a=1, 2")
		w.Header().Add("Set-Cookie", "b=3")
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
	}))
	resp, err := fetch.Do(&fetch.Request{Method: "POST", URL: "https://example.com/a?b=c", Header: map[string][]string{"x-ask": {"one"}}, Body: []byte{0, 255}})
	if err != nil || resp.Status != 418 || string(resp.Body) != "POST https://example.com/a?b=c \x00\xff" || resp.Get("X-Seen") != "one, two" || !reflect.DeepEqual(resp.Header["set-cookie"], []string{"a=1, 2", "b=3"}) {
		t.Fatalf("fetch: %+v, %v", resp, err)
	}
	got, err := httpclient.Client().Post("https://example.com/", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(got.Body)
	if got.StatusCode != 418 || string(body) != "POST https://example.com/ body" || got.Header.Get("x-seen") != ", two" || len(got.Header.Values("set-cookie")) != 2 || got.Status != "418 I'm a teapot" {
		t.Fatalf("client: %v %q %v", got.Status, body, got.Header)
	}
}

func TestMetricAndSecret(t *testing.T) {
	h := guesttest.New(t)
	h.SetSecret("API_KEY", "s3cret")
	if err := metric.Publish("latency", 1.5e-9, map[string]string{"unit": "s"}); err != nil {
		t.Fatal(err)
	}
	if err := metric.Publish("max", math.MaxFloat64, nil); err != nil {
		t.Fatal(err)
	}
	want := []guesttest.Metric{{Name: "latency", Value: 1.5e-9, Tags: map[string]string{"unit": "s"}}, {Name: "max", Value: math.MaxFloat64, Tags: map[string]string{}}}
	if got := h.Metrics(); !reflect.DeepEqual(got, want) {
		t.Errorf("metrics %+v, want %+v", got, want)
	}
	if v, err := secret.Get("API_KEY"); err != nil || v != "s3cret" {
		t.Errorf("secret %q, %v", v, err)
	}
	if _, err := secret.Get("OTHER"); !errors.Is(err, host.ErrNotFound) {
		t.Errorf("absent secret: %v", err)
	}
}

func TestLogs(t *testing.T) {
	h := guesttest.New(t)
	logs.Write(slog.LevelWarn, "plain")
	log := logs.Logger().With("a", 1).WithGroup("g")
	log.Debug("hidden")
	log.Info("shown", "b", "two")
	log.Error("bad")
	want := []guesttest.LogLine{
		{Level: 2, Line: "plain"},
		{Level: 1, Line: `{"msg":"shown","a":1,"g":{"b":"two"}}`},
		{Level: 3, Line: `{"msg":"bad","a":1}`},
	}
	if got := h.Logs(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}
