// Go-reactor takes orders: it prices one, stores it with its receipt, and says
// what else the customer has bought.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"text/template"

	"flagbase.dev/guest"
	"flagbase.dev/guest/bucket"
	"flagbase.dev/guest/flag"
	"flagbase.dev/guest/fn"
	"flagbase.dev/guest/host"
	"flagbase.dev/guest/logs"
	"flagbase.dev/guest/metric"
	"flagbase.dev/guest/secret"
	"flagbase.dev/guest/table"
)

// Order is the event, and a record of the table "orders".
type Order struct {
	Item     string `json:"item"`
	Count    int    `json:"count"`
	Customer string `json:"customer,omitempty"`
	Cents    int    `json:"cents,omitempty"`
	Status   string `json:"status,omitempty"`
}

// Confirmation is the output.
type Confirmation struct {
	ID           string `json:"id"`
	Cents        int    `json:"cents"`
	Discount     bool   `json:"discount"`
	Style        string `json:"style"`
	Receipt      string `json:"receipt"`
	ReceiptWords int    `json:"receipt_words"`
	Signature    string `json:"signature"`
	OrdersSoFar  int    `json:"orders_so_far"`
	TraceID      string `json:"trace_id"`
}

var (
	orders   = table.Of[Order]("orders")
	prices   map[string]int
	receipts *template.Template
)

// init is the expensive part. It runs once, at deploy, and not per invocation.
func init() {
	prices = make(map[string]int, 20_000)
	for i := range 20_000 {
		prices[fmt.Sprintf("item-%05d", i)] = 100 + i%900
	}
	prices["tea"], prices["coffee"] = 450, 520
	receipts = template.Must(template.New("receipt").Parse(
		"{{.Customer}} bought {{.Count}} x {{.Item}} for {{.Cents}} cents\n"))
	guest.HandleJSON(order)
}

func main() { guest.Main() }

func order(ctx *guest.Context, in Order) (*Confirmation, error) {
	caller, ok := ctx.Caller()
	if !ok {
		return nil, errors.New("an order needs a customer: invoke with a caller")
	}
	price, ok := prices[in.Item]
	if !ok || in.Count < 1 {
		return nil, fmt.Errorf("no price for %d x %q", in.Count, in.Item)
	}
	in.Customer, in.Cents, in.Status = caller.UserID, price*in.Count, "new"
	out := &Confirmation{TraceID: ctx.TraceID(), Discount: flag.Enabled("discount"), Style: "plain"}
	if out.Discount {
		in.Cents -= in.Cents / 10
	}
	out.Cents = in.Cents
	// A flag that nobody has made yet is no reason to refuse an order.
	if style, err := flag.Variant("receipt-style"); err == nil {
		out.Style = style
	} else if !errors.Is(err, host.ErrNotFound) {
		return nil, err
	}
	if err := store(in, out); err != nil {
		return nil, err
	}
	logs.Logger().Info("ordered", "item", in.Item, "count", in.Count, "customer", caller.UserID)
	return out, metric.Publish("order_cents", float64(in.Cents), map[string]string{"item": in.Item})
}

// store keeps the order and its signed receipt.
func store(in Order, out *Confirmation) error {
	record, err := orders.Insert(in)
	if err != nil {
		return err
	}
	out.ID = record.ID
	var text bytes.Buffer
	if err := receipts.Execute(&text, in); err != nil {
		return err
	}
	if err := bucket.Put("receipts", record.ID+".txt", text.Bytes()); err != nil {
		return err
	}
	stored, err := bucket.Get("receipts", record.ID+".txt")
	if err != nil {
		return err
	}
	out.Receipt = string(stored)
	key, err := secret.Get("SIGNING_KEY")
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(stored)
	out.Signature = hex.EncodeToString(mac.Sum(nil))

	output, err := fn.Invoke("go-command", stored)
	if err != nil {
		return err
	}
	var counted struct{ Words int }
	if err := json.Unmarshal(output, &counted); err != nil {
		return fmt.Errorf("go-command answered %q: %w", output, err)
	}
	out.ReceiptWords = counted.Words
	if in, err = confirm(record.ID); err != nil {
		return err
	}
	mine, err := orders.Query(&table.Query{Filters: []table.Filter{
		table.Where("customer", "eq", in.Customer), table.Where("status", "eq", "confirmed"),
	}})
	out.OrdersSoFar = len(mine)
	return err
}

func confirm(id string) (Order, error) {
	record, err := orders.Get(id)
	if err != nil {
		return Order{}, err
	}
	record.Data.Status = "confirmed"
	record, err = orders.Update(id, record.Data)
	if err != nil {
		return Order{}, err
	}
	return record.Data, nil
}
