package main

import (
	"encoding/json"
	"strings"
	"testing"

	"flagbase.dev/guest/guesttest"
	"flagbase.dev/guest/invocation"
)

func TestOrder(t *testing.T) {
	host := guesttest.New(t)
	host.SetCaller(invocation.Caller{UserID: "ada"})
	host.SetFlag("discount", true)
	host.SetSecret("SIGNING_KEY", "k")
	host.HandleFunction("go-command", func(event []byte) ([]byte, error) {
		return json.Marshal(map[string]int{"words": len(strings.Fields(string(event)))})
	})
	out, err := host.Invoke([]byte(`{"item":"tea","count":2}`))
	if err != nil {
		t.Fatal(err)
	}
	var c Confirmation
	if err := json.Unmarshal(out, &c); err != nil {
		t.Fatal(err)
	}
	if c.Cents != 810 || c.Receipt != "ada bought 2 x tea for 810 cents\n" || c.ReceiptWords != 8 || c.OrdersSoFar != 1 || c.Style != "plain" {
		t.Errorf("got %+v", c)
	}
	if receipt, ok := host.Object("receipts", c.ID+".txt"); !ok || string(receipt) != c.Receipt {
		t.Errorf("stored receipt %q", receipt)
	}
	if len(host.Logs()) != 1 || len(host.Metrics()) != 1 {
		t.Errorf("logs %v, metrics %v", host.Logs(), host.Metrics())
	}
}

func TestOrderNeedsACallerAndAPrice(t *testing.T) {
	host := guesttest.New(t)
	if _, err := host.Invoke([]byte(`{"item":"tea","count":1}`)); err == nil {
		t.Error("an order without a customer was taken")
	}
	host.SetCaller(invocation.Caller{UserID: "ada"})
	if _, err := host.Invoke([]byte(`{"item":"gold","count":1}`)); err == nil || !strings.Contains(err.Error(), `"gold"`) {
		t.Errorf("got %v", err)
	}
	if len(host.Records("orders")) != 0 {
		t.Error("a refused order was stored")
	}
}
