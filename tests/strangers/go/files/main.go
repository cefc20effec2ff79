// Touches what a component may ask of its host: files, the environment, time, randomness.
package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"time"
)

func main() {
	file, err := os.Create(os.Getenv("HOME") + "/notes")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer file.Close()
	fmt.Fprintln(file, rand.Text(), time.Now())
}
