// Allocates and collects; on "report" it prints every collection that it can still name.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A copy in the program's own variables, laid out like the runtime's: the search must not take it.
var copied runtime.MemStats
var kept [][]byte
var tree map[int]*[64]int

func main() {
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "collect":
			count, _ := strconv.Atoi(words[1])
			for i := 0; i < count; i++ {
				tree = map[int]*[64]int{}
				for j := 0; j < 200; j++ {
					tree[j] = new([64]int)
				}
				runtime.GC()
				if len(words) > 2 {
					ms, _ := strconv.Atoi(words[2])
					time.Sleep(time.Duration(ms) * time.Millisecond)
				}
			}
			fmt.Println("done")
		case "report":
			runtime.ReadMemStats(&copied)
			fmt.Printf("%d %d", copied.NumGC, copied.PauseTotalNs)
			for i := uint32(0); i < 256 && i < copied.NumGC; i++ {
				n := (copied.NumGC - 1 - i) % 256
				fmt.Printf(" %d:%d", copied.PauseNs[n], copied.PauseEnd[n])
			}
			fmt.Println()
		}
	}
}
