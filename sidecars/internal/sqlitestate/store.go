// Package sqlitestate is Dapr's SQLite state store with one writer. SQLite lets a single connection write at a
// time and makes the others poll, which costs writers hundreds of milliseconds under load. Here they stand in
// line: first in, first out, those that wait share the next commit, and each is answered when it is durable.
//
// The table, its migrations, the metadata and the removal of expired rows stay those of Dapr's own store, so either of
// the two can open a database that the other has written.
package sqlitestate

import (
	"context"
	"fmt"

	"github.com/dapr/components-contrib/state"
	"github.com/dapr/components-contrib/state/sqlite"
	"github.com/dapr/kit/logger"
	"github.com/dapr/kit/metadata"
)

const defaultTable = "state"

// Store is a state.Store, a drop-in for Dapr's state.sqlite.
type Store struct {
	*sqlite.SQLiteStore

	log    logger.Logger
	writer *writer // nil for a database in memory: it has one connection for reads and writes alike
}

// New returns a store that Init connects.
func New(log logger.Logger) state.Store {
	inner, ok := sqlite.NewSQLiteStateStore(log).(*sqlite.SQLiteStore)
	if !ok {
		// Only another version of the library could do this, and then the build's tests fail.
		log.Fatal("state.sqlite: the library's store is of an unknown type")
	}
	store := &Store{SQLiteStore: inner, log: log}
	// The library's bulk writes then call our Set and Delete side by side, and share commits.
	inner.BulkStore = state.NewDefaultBulkStore(store)
	return store
}

// Init opens the database and starts the writer.
func (s *Store) Init(ctx context.Context, meta state.Metadata) error {
	if err := s.SQLiteStore.Init(ctx, meta); err != nil {
		return err
	}
	db := s.SQLiteStore.GetDBAccess().GetConnection()
	if db.Stats().MaxOpenConnections == 1 {
		return nil
	}
	table := defaultTable
	if name, ok := metadata.GetMetadataProperty(meta.Properties, "tableName"); ok && name != "" {
		table = name // the library has refused a name that is no identifier
	}
	writer, err := newWriter(ctx, db, table)
	if err != nil {
		return fmt.Errorf("state writer: %w", err)
	}
	s.writer = writer
	return nil
}

// Set writes one key.
func (s *Store) Set(ctx context.Context, req *state.SetRequest) error {
	if s.writer == nil {
		return s.SQLiteStore.Set(ctx, req)
	}
	op, err := setOperation(req)
	if err != nil {
		return err
	}
	return s.writer.do(ctx, []operation{op})
}

// Delete removes one key.
func (s *Store) Delete(ctx context.Context, req *state.DeleteRequest) error {
	if s.writer == nil {
		return s.SQLiteStore.Delete(ctx, req)
	}
	op, err := deleteOperation(req)
	if err != nil {
		return err
	}
	return s.writer.do(ctx, []operation{op})
}

// Multi carries out all operations of a transaction or none.
func (s *Store) Multi(ctx context.Context, req *state.TransactionalStateRequest) error {
	if s.writer == nil {
		return s.SQLiteStore.Multi(ctx, req)
	}
	if len(req.Operations) == 0 {
		return nil
	}
	ops := make([]operation, 0, len(req.Operations))
	for _, part := range req.Operations {
		var (
			op  operation
			err error
		)
		switch part := part.(type) {
		case state.SetRequest:
			op, err = setOperation(&part)
		case state.DeleteRequest:
			op, err = deleteOperation(&part)
		default:
			err = fmt.Errorf("unsupported operation: %s", part.Operation())
		}
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	return s.writer.do(ctx, ops)
}

// Close carries out the writes that stand in line, refuses new ones and closes the database.
func (s *Store) Close() error {
	if s.writer != nil {
		s.writer.close()
	}
	return s.SQLiteStore.Close()
}
