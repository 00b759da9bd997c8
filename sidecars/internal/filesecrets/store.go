// Package filesecrets is Dapr's secretstores.local.file, which reads its file anew when that has changed. Dapr's own store
// (components-contrib 1.18) reads it once: keys could not be rotated without an end of every sidecar.
package filesecrets

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/dapr/components-contrib/secretstores"
	contrib "github.com/dapr/components-contrib/secretstores/local/file"
	"github.com/dapr/kit/logger"
)

// fileProperty names the file, in the component's metadata.
const fileProperty = "secretsFile"

// Store is a secretstores.SecretStore, a drop-in for Dapr's secretstores.local.file.
type Store struct {
	log  logger.Logger
	meta secretstores.Metadata

	mu   sync.Mutex
	read secretstores.SecretStore // what the file held
	seen os.FileInfo              // when that was
}

// New returns a store that Init configures.
func New(log logger.Logger) secretstores.SecretStore {
	return &Store{log: log}
}

// Init reads the file.
func (s *Store) Init(ctx context.Context, meta secretstores.Metadata) error {
	s.meta = meta
	_, err := s.current(ctx)
	return err
}

// GetSecret gives the values of a secret.
func (s *Store) GetSecret(ctx context.Context, req secretstores.GetSecretRequest) (secretstores.GetSecretResponse, error) {
	store, err := s.current(ctx)
	if err != nil {
		return secretstores.GetSecretResponse{}, err
	}
	return store.GetSecret(ctx, req)
}

// BulkGetSecret gives the values of all secrets.
func (s *Store) BulkGetSecret(ctx context.Context, req secretstores.BulkGetSecretRequest) (secretstores.BulkGetSecretResponse, error) {
	store, err := s.current(ctx)
	if err != nil {
		return secretstores.BulkGetSecretResponse{}, err
	}
	return store.BulkGetSecret(ctx, req)
}

// Features lists what the store can do.
func (s *Store) Features() []secretstores.Feature {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read.Features()
}

// Close ends the store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil {
		return nil
	}
	return s.read.Close()
}

// current gives what the file holds. One that cannot be read, in the midst of its replacement say, leaves what was read
// before; the next request tries again.
func (s *Store) current(ctx context.Context) (secretstores.SecretStore, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := os.Stat(s.meta.Properties[fileProperty])
	if err == nil && s.seen != nil && os.SameFile(now, s.seen) &&
		now.ModTime().Equal(s.seen.ModTime()) && now.Size() == s.seen.Size() {
		return s.read, nil
	}
	store := contrib.NewLocalSecretStore(s.log)
	if err == nil {
		err = store.Init(ctx, s.meta)
	}
	if err != nil {
		if s.read == nil {
			return nil, fmt.Errorf("secrets: %w", err)
		}
		s.log.Warnf("the secrets of before are kept: %v", err)
		return s.read, nil
	}
	if s.read != nil {
		s.log.Infof("the secrets have changed")
	}
	s.read, s.seen = store, now
	return s.read, nil
}
