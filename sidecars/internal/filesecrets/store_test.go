// A secrets file that changes, is damaged, and is read by many.

package filesecrets

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/secretstores"
	"github.com/dapr/kit/logger"
)

// replace puts a file in the place of another in one step, as `cargo docket` does.
func replace(t *testing.T, path, text string) {
	t.Helper()
	beside := path + ".new"
	if err := os.WriteFile(beside, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, path string) secretstores.SecretStore {
	t.Helper()
	store := New(logger.NewLogger("test"))
	properties := map[string]string{fileProperty: path, "multiValued": "true"}
	meta := secretstores.Metadata{Base: metadata.Base{Properties: properties}}
	if err := store.Init(context.Background(), meta); err != nil {
		t.Fatal(err)
	}
	return store
}

func keys(t *testing.T, store secretstores.SecretStore) map[string]string {
	t.Helper()
	answer, err := store.GetSecret(context.Background(), secretstores.GetSecretRequest{Name: "keys"})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Data
}

func TestAChangedFileIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.json")
	replace(t, path, `{"keys": {"a": "1"}}`)
	store := open(t, path)
	if got := keys(t, store); len(got) != 1 || got["a"] != "1" {
		t.Fatalf("got %v", got)
	}
	// Of the same length, and within the same tick of the clock.
	replace(t, path, `{"keys": {"b": "2"}}`)
	if got := keys(t, store); len(got) != 1 || got["b"] != "2" {
		t.Fatalf("got %v", got)
	}
	if len(store.Features()) != 1 {
		t.Fatal("a secret has several values")
	}
}

func TestADamagedFileLeavesWhatWasRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.json")
	replace(t, path, `{"keys": {"a": "1"}}`)
	store := open(t, path)
	replace(t, path, `{"keys": `)
	if got := keys(t, store); got["a"] != "1" {
		t.Fatalf("got %v", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, store); got["a"] != "1" {
		t.Fatalf("got %v", got)
	}
	replace(t, path, `{"keys": {"c": "3"}}`)
	if got := keys(t, store); got["c"] != "3" {
		t.Fatalf("got %v", got)
	}
}

func TestManyMayAskWhileTheFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.json")
	replace(t, path, `{"keys": {"a": "1"}}`)
	store := open(t, path)
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 50 {
				_, err := store.GetSecret(context.Background(), secretstores.GetSecretRequest{Name: "keys"})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		replace(t, path, `{"keys": {"a": "1", "b": "2"}}`)
	}
	asking.Wait()
}
