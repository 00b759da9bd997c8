// Package sqlitenames is Dapr's nameresolution.sqlite, which waits for a file that others are making. When the sidecars of a
// machine start for the first time, all at once, each makes the file and its tables; Dapr's own resolver (components-contrib
// 1.18) then gives up with "database is locked", whatever its busy timeout, since SQLite asks nobody to wait for a change of
// the journal's mode. The sidecar would run on without, and find none of the others until its next start.
package sqlitenames

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dapr/components-contrib/nameresolution"
	contrib "github.com/dapr/components-contrib/nameresolution/sqlite"
	"github.com/dapr/kit/logger"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// patience is how long a file may be locked.
	patience = 20 * time.Second
	// pause is the longest between two tries.
	pause = 50 * time.Millisecond
)

// Resolver is a nameresolution.Resolver, a drop-in for Dapr's nameresolution.sqlite.
type Resolver struct {
	log logger.Logger
	nameresolution.Resolver
}

// New returns a resolver that Init configures.
func New(log logger.Logger) nameresolution.Resolver {
	return &Resolver{log: log, Resolver: contrib.NewResolver(log)}
}

// Init registers this sidecar, as soon as the file is free.
func (r *Resolver) Init(ctx context.Context, meta nameresolution.Metadata) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := r.Resolver.Init(ctx, meta)
		if err == nil || !isBusy(err) {
			return err
		}
		r.log.Debugf("the names are locked: %v", err)
		// One that has failed is not to be used again; it holds a connection, and no place among the names.
		if err := r.Resolver.Close(); err != nil {
			r.log.Debugf("the names are not closed: %v", err)
		}
		r.Resolver = contrib.NewResolver(r.log)
		select {
		case <-ctx.Done():
			return fmt.Errorf("others held the file of names for %v: %w", patience, err)
		case <-time.After(rand.N(pause)):
		}
	}
}

// isBusy tells whether another holds the file.
func isBusy(err error) bool {
	var failure *sqlite.Error
	if !errors.As(err, &failure) {
		return false
	}
	// The lower byte is the kind; the rest tells more of it.
	kind := failure.Code() & 0xff
	return kind == sqlite3.SQLITE_BUSY || kind == sqlite3.SQLITE_LOCKED
}
