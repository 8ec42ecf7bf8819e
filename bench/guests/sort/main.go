// Command sort is a guest that sorts: numbers, and records by two fields.
package main

import (
	"fmt"
	"slices"
	"sort"
)

type record struct {
	group int
	name  string
}

func main() {
	x := uint32(12345)
	next := func() int { x = x*1664525 + 1013904223; return int(x >> 8) }
	numbers := make([]int, 150_000)
	for i := range numbers {
		numbers[i] = next()
	}
	slices.Sort(numbers)
	records := make([]record, 30_000)
	for i := range records {
		records[i] = record{next() % 100, string([]byte{byte('a' + next()%26), byte('a' + next()%26), byte('a' + next()%26)})}
	}
	sort.Slice(records, func(i, j int) bool {
		if records[i].group != records[j].group {
			return records[i].group < records[j].group
		}
		return records[i].name < records[j].name
	})
	fmt.Println(numbers[0], numbers[len(numbers)/2], records[0].name, records[len(records)-1].name)
}
