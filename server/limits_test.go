package server_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flagbase.dev/auth"
	"flagbase.dev/function"
	"flagbase.dev/internal/database"
	"flagbase.dev/server"
	"flagbase.dev/storage"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "test-key"

// serve starts a server with short limits on a real listener.
func serve(t *testing.T, change func(*server.Options)) (addr string, db *sql.DB, log *bytes.Buffer) {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	engine, err := function.NewEngine(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	bucket := storage.NewMemory()
	store, err := function.NewStore(db, bucket, engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := auth.NewKeys()
	keys.Add(key, auth.Principal{Name: "admin", Role: auth.RoleAdmin})
	log = &bytes.Buffer{}
	opts := &server.Options{
		Functions: store, Bucket: bucket, Keys: keys, Logger: slog.New(slog.NewTextHandler(log, nil)),
		HeaderTimeout: 300 * time.Millisecond, IdleTimeout: 300 * time.Millisecond,
		BodyGrace: 300 * time.Millisecond, MinBodyRate: 1 << 20, WriteTimeout: 500 * time.Millisecond,
	}
	if change != nil {
		change(opts)
	}
	s, err := server.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := s.HTTPServer(context.Background())
	go func() { _ = web.Serve(listener) }()
	t.Cleanup(func() {
		_ = web.Close()
		_ = store.Close(context.Background())
		engine.Close(context.Background())
		_ = db.Close()
	})
	return listener.Addr().String(), db, log
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// closedWithin fails unless the server ends the connection within d; it returns what came before.
func closedWithin(t *testing.T, conn net.Conn, d time.Duration) string {
	t.Helper()
	began := time.Now()
	answer, err := io.ReadAll(conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() || time.Since(began) > d {
		t.Fatalf("the connection was open for %v: %v", time.Since(began), err)
	}
	return string(answer)
}

func TestSlowClientsAreCut(t *testing.T) {
	addr, _, _ := serve(t, nil)
	t.Run("header", func(t *testing.T) {
		conn := dial(t, addr)
		go func() { // a byte now and then, for ever
			for _, b := range []byte("GET /healthz HTTP/1.1\r\nX-Slow: " + strings.Repeat("x", 1000)) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}()
		closedWithin(t, conn, 3*time.Second)
	})
	t.Run("idle", func(t *testing.T) {
		conn := dial(t, addr)
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := closedWithin(t, conn, 3*time.Second); !strings.Contains(got, "200 OK") {
			t.Fatalf("got %q", got)
		}
	})
	for name, head := range map[string]string{
		"body with a length": "POST /v1/functions/x/invoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\nContent-Length: 1000000\r\n\r\n",
		"JSON body":          "PUT /v1/functions/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
		"object":             "PUT /v1/buckets/b/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\nContent-Length: 1000000\r\n\r\n",
		"body of a stranger": "POST /v1/functions/x/invoke HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr)
			fmt.Fprint(conn, head)
			go func() {
				for {
					if _, err := conn.Write([]byte("x")); err != nil {
						return
					}
					time.Sleep(50 * time.Millisecond)
				}
			}()
			got := closedWithin(t, conn, 4*time.Second)
			if name != "body of a stranger" && !strings.Contains(got, "408 Request Timeout") && got != "" {
				t.Fatalf("got %q", got)
			}
		})
	}
}

func TestAClientThatDoesNotReadIsCut(t *testing.T) {
	addr, _, _ := serve(t, nil)
	big := bytes.Repeat([]byte("x"), 64<<20)
	req, _ := http.NewRequest("PUT", "http://"+addr+"/v1/buckets/b/big", bytes.NewReader(big))
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	conn := dial(t, addr)
	fmt.Fprintf(conn, "GET /v1/buckets/b/big HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", key)
	time.Sleep(2 * time.Second) // the server fills the socket's buffers and gives up
	n, _ := io.Copy(io.Discard, conn)
	if n >= int64(len(big)) {
		t.Fatalf("all %d bytes came", n)
	}
}

// TestASlowUploadThatIsFastEnoughPasses: the limit is a rate, not a time.
func TestASlowUploadThatIsFastEnoughPasses(t *testing.T) {
	addr, _, _ := serve(t, func(o *server.Options) { o.MinBodyRate = 10 })
	conn := dial(t, addr)
	fmt.Fprintf(conn, "PUT /v1/buckets/b/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 60\r\n\r\n", key)
	for range 6 { // 1.2 s, four times the grace
		time.Sleep(200 * time.Millisecond)
		fmt.Fprint(conn, "0123456789")
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// TestOurOwnFailuresShowNothing: a broken database is a 500 with an id, and the log has the rest.
func TestOurOwnFailuresShowNothing(t *testing.T) {
	addr, db, log := serve(t, nil)
	_ = db.Close()
	req, _ := http.NewRequest("GET", "http://"+addr+"/v1/functions", nil)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != 500 || resp.Header.Get("Content-Type") != "application/problem+json" || strings.Contains(string(body), "database") {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	_, id, _ := strings.Cut(string(body), `"request_id":"`)
	id, _, _ = strings.Cut(id, `"`)
	if id == "" || !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "database is closed") {
		t.Fatalf("request id %q, log:\n%s", id, log)
	}
}

func TestNotReadyUntilToldSo(t *testing.T) {
	addr, _, _ := serve(t, nil)
	resp, err := http.Get("http://" + addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != 503 {
		t.Fatalf("a server nobody called ready answers %d", resp.StatusCode)
	}
}
