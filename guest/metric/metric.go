// Package metric publishes numbers that a function wants counted or charted.
package metric

import (
	"encoding/json"

	"flagbase.dev/guest/internal/abi"
)

// Publish records one value of the metric; flagbase adds the function, the
// invocation and the time. Tags may be nil.
func Publish(name string, value float64, tags map[string]string) error {
	b := []byte("{}")
	if len(tags) > 0 {
		var err error
		if b, err = json.Marshal(tags); err != nil {
			return err
		}
	}
	return abi.Metric(name, value, b)
}
