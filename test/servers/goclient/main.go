// goclient drives an etcd v3 endpoint through etcd's own Go client and prints what it saw as JSON lines, without
// anything that differs from run to run: the same scenario against two servers must print the same text.
//
//	goclient vectors             prints protobuf messages as hex, for the codec's tests
//	goclient ENDPOINT SCENARIO   runs one scenario
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "vectors" {
		printVectors()
		return
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goclient vectors | goclient ENDPOINT SCENARIO")
		os.Exit(2)
	}
	if err := runScenario(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
