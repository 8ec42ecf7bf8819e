package guest_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"flagbase.dev/guest"
	"flagbase.dev/guest/guesttest"
	"flagbase.dev/guest/internal/registry"
	"flagbase.dev/guest/invocation"
)

// register puts a handler in place for one test.
func register(t *testing.T, f func()) {
	t.Helper()
	former := registry.Event
	registry.Event = nil
	t.Cleanup(func() { registry.Event = former })
	f()
}

func TestHandleEventSeesEventCallerAndTrace(t *testing.T) {
	host := guesttest.New(t)
	host.SetCaller(invocation.Caller{UserID: "ada", Groups: []string{"staff"}})
	host.SetTraceID("00000000000000000000000000000abc")
	register(t, func() {
		guest.HandleEvent(func(ctx *guest.Context, event []byte) ([]byte, error) {
			caller, ok := ctx.Caller()
			again, err := invocation.Event()
			if err != nil {
				return nil, err
			}
			return fmt.Appendf(nil, "%s %s %v %v %s", event, again, ok && caller.InGroup("staff"), caller.UserID, ctx.TraceID()), ctx.Err()
		})
	})
	out, err := host.Invoke([]byte("hi"))
	if want := "hi hi true ada 00000000000000000000000000000abc"; err != nil || string(out) != want {
		t.Fatalf("got %q, %v; want %q", out, err, want)
	}
}

func TestNoCallerIsNotAnEmptyCaller(t *testing.T) {
	guesttest.New(t)
	if c, ok := invocation.GetCaller(); ok {
		t.Fatalf("an invocation without caller has caller %+v", c)
	}
}

func TestHandleJSON(t *testing.T) {
	type order struct{ Item string }
	type receipt struct{ Text string }
	host := guesttest.New(t)
	broken := errors.New("out of stock")
	register(t, func() {
		guest.HandleJSON(func(_ *guest.Context, in order) (receipt, error) {
			if in.Item == "gold" {
				return receipt{}, broken
			}
			return receipt{"bought " + in.Item}, nil
		})
	})
	tests := []struct{ event, want, wantErr string }{
		{`{"Item":"tea"}`, `{"Text":"bought tea"}`, ""},
		{"", `{"Text":"bought "}`, ""},
		{`{"Item":3}`, "", "decode event: "},
		{`{"Item":"gold"}`, "", "out of stock"},
	}
	for _, test := range tests {
		out, err := host.Invoke([]byte(test.event))
		if string(out) != test.want {
			t.Errorf("%s: output %q, want %q", test.event, out, test.want)
		}
		if (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
			t.Errorf("%s: error %v, want %q", test.event, err, test.wantErr)
		}
	}
}

func TestASecondHandlerPanics(t *testing.T) {
	register(t, func() {
		guest.HandleEvent(func(*guest.Context, []byte) ([]byte, error) { return nil, nil })
		defer func() {
			if recover() == nil {
				t.Error("a second handler was accepted")
			}
		}()
		guest.HandleEvent(func(*guest.Context, []byte) ([]byte, error) { return nil, nil })
	})
}

// TestMain runs this binary as a program that calls guest.Main when asked to.
func TestMain(m *testing.M) {
	switch os.Getenv("GUEST_MAIN") {
	case "upper":
		guest.HandleEvent(func(_ *guest.Context, event []byte) ([]byte, error) {
			if len(event) == 0 {
				return nil, errors.New("nothing to say")
			}
			return []byte(strings.ToUpper(string(event))), nil
		})
		fallthrough
	case "none":
		guest.Main()
		return
	}
	os.Exit(m.Run())
}

func TestMainNatively(t *testing.T) {
	tests := []struct{ mode, stdin, stdout, stderr string }{
		{"upper", "hello", "HELLO", ""},
		{"upper", "", "", "error: nothing to say\n"},
		{"none", "x", "", "error: no event handler is registered"},
	}
	for _, test := range tests {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "GUEST_MAIN="+test.mode)
		cmd.Stdin = strings.NewReader(test.stdin)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if string(out) != test.stdout || !strings.HasPrefix(stderr.String(), test.stderr) {
			t.Errorf("%s %q: stdout %q stderr %q, want %q and %q", test.mode, test.stdin, out, stderr.String(), test.stdout, test.stderr)
		}
		if failed := err != nil; failed != (test.stderr != "") {
			t.Errorf("%s %q: exit %v", test.mode, test.stdin, err)
		}
	}
}
