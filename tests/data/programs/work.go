// Goroutines, channels, files and times; prints the same wherever it runs.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"
)

func count(texts <-chan string, results chan<- map[string]int, group *sync.WaitGroup) {
	defer group.Done()
	counts := map[string]int{}
	for text := range texts {
		for _, word := range strings.Fields(text) {
			counts[word]++
		}
	}
	results <- counts
}

func countWords(n int) map[string]int {
	texts, results := make(chan string), make(chan map[string]int, 8)
	var group sync.WaitGroup
	for i := 0; i < 8; i++ {
		group.Add(1)
		go count(texts, results, &group)
	}
	for i := 0; i < n; i++ {
		texts <- fmt.Sprintf("line %d of many", i%10)
	}
	close(texts)
	group.Wait()
	close(results)
	total := map[string]int{}
	for counts := range results {
		for word, n := range counts {
			total[word] += n
		}
	}
	return total
}

func files() error {
	if err := os.MkdirAll("made/deep", 0o755); err != nil {
		return err
	}
	file, err := os.Create("made/deep/lines")
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	for i := 0; i < 1000; i++ {
		fmt.Fprintf(out, "line %d\n", i)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename("made/deep/lines", "made/lines"); err != nil {
		return err
	}
	bytes, err := os.ReadFile("made/lines")
	if err != nil {
		return err
	}
	fmt.Printf("file %d %x\n", len(bytes), sha256.Sum256(bytes))
	return filepath.WalkDir("made", func(path string, entry os.DirEntry, err error) error {
		fmt.Println("walk", path, entry.IsDir(), err)
		return nil
	})
}

func main() {
	counts := countWords(10000)
	words := make([]string, 0, len(counts))
	for word := range counts {
		words = append(words, word)
	}
	sort.Strings(words)
	for _, word := range words {
		fmt.Println(word, counts[word])
	}
	var lock sync.Mutex
	var group sync.WaitGroup
	sum := 0
	for i := 1; i <= 100; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			runtime.Gosched()
			lock.Lock()
			sum += i
			lock.Unlock()
		}(i)
	}
	group.Wait()
	fmt.Println("sum", sum)
	begin := time.Now()
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("slept", time.Since(begin) >= 20*time.Millisecond)
	case <-make(chan int):
	}
	for i := 0; i < 50; i++ {
		_ = make([]byte, 1<<20)
	}
	runtime.GC()
	if err := files(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	_, err := os.Open("/etc/passwd-of-nobody")
	fmt.Println(err, len(os.Args), os.Getenv("COLOUR"))
	func() {
		defer func() { fmt.Println("recovered", recover()) }()
		var none map[string]int
		none["x"] = 1
	}()
	os.Exit(7)
}
