package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionTimeout is how long a shell waits for names.
const completionTimeout = 500 * time.Millisecond

// complete completes a word with those that begin with prefix.
func complete(words []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var list []string
	for _, w := range words {
		if strings.HasPrefix(w, prefix) && isPrintable(w) {
			list = append(list, w)
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// knownNodes returns the addresses of an engine's nodes for the shell, or the names of all
// engines if engineName is empty.
func (t *tool) knownNodes(engineName string) (names []string) {
	p, err := t.places()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	for _, at := range p.list {
		records, err := newClient(at).XStatus(ctx)
		if err != nil {
			continue
		}
		for _, n := range readStatus(records).Nodes {
			name := n.Engine
			if engineName != "" {
				name = n.Address
			}
			if (engineName == "" || n.Engine == engineName) && name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names
	}
	return nil
}
