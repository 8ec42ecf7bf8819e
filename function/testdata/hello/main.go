// Command hello is a guest that prints a line.
package main

import "fmt"

func main() { fmt.Println("hello from Go") }
