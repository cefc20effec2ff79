// Like `reactor.c`.
package main

import (
	"fmt"
	"unsafe"
)

type text struct {
	at     uint32
	length uint32
}

var (
	answer text
	kept   [][]byte
)

//go:wasmexport cabi_realloc
func again(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	space := make([]byte, size+1)
	kept = append(kept, space)
	return unsafe.Pointer(&space[0])
}

//go:wasmexport run
func run(who uint32, length uint32) unsafe.Pointer {
	fmt.Println(length, "bytes")
	answer = text{who, length}
	return unsafe.Pointer(&answer)
}

//go:wasmexport cabi_post_run
func after(said unsafe.Pointer) { kept = nil }

func main() {}
