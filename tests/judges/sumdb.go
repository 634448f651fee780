// An outside judge: Go's own checksum-database code (golang.org/x/mod/sumdb) reads our log. It opens the signed
// checkpoint, hashes every entry of the bundles and compares the root. Arguments: the log's folder and its public key.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func main() {
	dir, vkey := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(vkey)
	must(err)
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	must(err)
	signed, err := note.Open(text, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)

	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for first := int64(0); first < size; first += 256 {
		n := first / 256
		name := fmt.Sprintf("%03d", n%1000)
		for n >= 1000 {
			n /= 1000
			name = fmt.Sprintf("x%03d/%s", n%1000, name)
		}
		if size-first < 256 {
			name += fmt.Sprintf(".p/%d", size-first)
		}
		bundle, err := os.ReadFile(filepath.Join(dir, "tile/entries", name))
		must(err)
		for i := first; i < size && i < first+256; i++ {
			length := int(binary.BigEndian.Uint16(bundle))
			hashes, err := tlog.StoredHashes(i, bundle[2:2+length], reader)
			must(err)
			stored = append(stored, hashes...)
			bundle = bundle[2+length:]
		}
	}
	own, err := tlog.TreeHash(size, reader)
	must(err)
	if string(own[:]) != string(root) {
		must(fmt.Errorf("the entries have another root than the one signed"))
	}
	fmt.Println("accepted", size, "entries")
}
