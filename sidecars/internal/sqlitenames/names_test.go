// Many sidecars that start at once, and what is no lock.

package sqlitenames

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dapr/components-contrib/nameresolution"
	"github.com/dapr/kit/logger"
)

// Many start at once where no file is yet, again and again: each has to find all others.
func TestAllFindEachOtherWhoeverMakesTheFile(t *testing.T) {
	const rounds, sidecars = 20, 8
	log := logger.NewLogger("test")
	for round := range rounds {
		file := filepath.Join(t.TempDir(), "names.db")
		resolvers := make([]nameresolution.Resolver, sidecars)
		failures := make([]error, sidecars)
		var all sync.WaitGroup
		for n := range sidecars {
			resolvers[n] = New(log)
			all.Go(func() {
				failures[n] = resolvers[n].Init(context.Background(), nameresolution.Metadata{
					Instance: nameresolution.Instance{
						AppID: fmt.Sprint("app-", n), Namespace: "default",
						Address: "127.0.0.1", DaprInternalPort: 4000 + n,
					},
					Configuration: map[string]string{"connectionString": "file:" + file},
				})
			})
		}
		all.Wait()
		for n, err := range failures {
			if err != nil {
				t.Fatalf("round %d: app-%d: %v", round, n, err)
			}
		}
		for n, resolver := range resolvers {
			other := (n + 1) % sidecars
			request := nameresolution.ResolveRequest{ID: fmt.Sprint("app-", other), Namespace: "default"}
			address, err := resolver.ResolveID(context.Background(), request)
			if want := fmt.Sprint("127.0.0.1:", 4000+other); err != nil || address != want {
				t.Fatalf("round %d: app-%d finds %q for %s, %v", round, n, address, want, err)
			}
		}
		for _, resolver := range resolvers {
			if err := resolver.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What is wrong otherwise is told at once.
func TestAFileThatCannotBeIsToldAtOnce(t *testing.T) {
	err := New(logger.NewLogger("test")).Init(context.Background(), nameresolution.Metadata{
		Instance:      nameresolution.Instance{AppID: "app", Address: "127.0.0.1", DaprInternalPort: 4000},
		Configuration: map[string]string{"connectionString": "file:" + filepath.Join(t.TempDir(), "none", "names.db")},
	})
	if err == nil || isBusy(err) {
		t.Fatalf("told %v", err)
	}
}
