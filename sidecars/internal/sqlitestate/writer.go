// The one writer: its queue, and commits in groups.

package sqlitestate

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dapr/components-contrib/state"
)

// maxGroup bounds a commit, so that the first in line does not wait for a crowd behind it.
const maxGroup = 64

var errClosed = errors.New("the state store is closed")

// writer owns the only connection that writes. Its goroutine takes what stands in line and commits it at once.
type writer struct {
	db         *sql.DB
	statements statements
	conn       *sql.Conn // used by the goroutine alone

	mutex  sync.Mutex
	line   []*write
	closed bool

	arrived chan struct{} // holds a token while somebody may stand in line
	stopped chan struct{}
}

// write is one caller's operations, all or none of which are carried out.
type write struct {
	operations []operation
	taken      bool // guarded by the writer's mutex: too late to step out of the line
	result     chan error
}

func newWriter(ctx context.Context, db *sql.DB, table string) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		db:         db,
		statements: newStatements(table),
		conn:       conn,
		arrived:    make(chan struct{}, 1),
		stopped:    make(chan struct{}),
	}
	go w.run()
	return w, nil
}

// do stands in line and returns once the operations are durable or refused.
func (w *writer) do(ctx context.Context, operations []operation) error {
	entry, err := w.enter(operations)
	if err != nil {
		return err
	}
	return w.wait(ctx, entry)
}

// enter puts operations at the end of the line.
func (w *writer) enter(operations []operation) (*write, error) {
	entry := &write{operations: operations, result: make(chan error, 1)}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.closed {
		return nil, errClosed
	}
	w.line = append(w.line, entry)
	w.wake()
	return entry, nil
}

// wait returns an entry's result. A caller whose ctx ends before its turn steps out of the line with nothing
// done; after that it gets the true result, however late.
func (w *writer) wait(ctx context.Context, entry *write) error {
	select {
	case err := <-entry.result:
		return err
	case <-ctx.Done():
	}
	if w.leave(entry) {
		return ctx.Err()
	}
	return <-entry.result
}

// leave takes an entry out of the line and tells whether it was still there.
func (w *writer) leave(entry *write) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if entry.taken {
		return false
	}
	w.line = slices.DeleteFunc(w.line, func(other *write) bool { return other == entry })
	return true
}

// close refuses new writes and waits until those in line are answered.
func (w *writer) close() {
	w.mutex.Lock()
	w.closed = true
	w.wake()
	w.mutex.Unlock()
	<-w.stopped
}

// wake tells the goroutine that something has changed.
func (w *writer) wake() {
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

// next takes the first of the line; finished means that nobody will ever stand there again.
func (w *writer) next() (group []*write, finished bool) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	count := min(len(w.line), maxGroup)
	group = append(group, w.line[:count]...)
	w.line = slices.Delete(w.line, 0, count)
	for _, entry := range group {
		entry.taken = true
	}
	return group, w.closed && count == 0
}

func (w *writer) run() {
	defer close(w.stopped)
	for range w.arrived {
		for {
			group, finished := w.next()
			if finished {
				_ = w.conn.Close() // only returns it to the pool
				return
			}
			if len(group) == 0 {
				break
			}
			results := w.commit(group)
			for i, entry := range group {
				entry.result <- results[i]
			}
		}
	}
}

// commit carries a group out in one transaction, in which a write whose etag does not match is undone alone.
func (w *writer) commit(group []*write) []error {
	// No caller's context: the group is not one caller's. Nothing here waits for more than the disk and, when
	// another process writes to the same file, SQLite's busy timeout.
	ctx := context.Background()
	if err := w.begin(ctx); err != nil {
		return all(group, err)
	}
	if len(group) == 1 {
		return []error{w.finish(ctx, w.operate(ctx, group[0]))}
	}
	results := make([]error, len(group))
	for i, entry := range group {
		refused, err := w.apply(ctx, entry)
		if err == nil {
			results[i] = refused
			continue
		}
		w.rollback(ctx)
		// One of them breaks the transaction: each gets its own, so that only the guilty one fails.
		for i := range group {
			results[i] = w.commit(group[i : i+1])[0]
		}
		return results
	}
	if err := w.finish(ctx, nil); err != nil {
		return all(group, err)
	}
	return results
}

// finish commits the open transaction, or undoes it if it has failed.
func (w *writer) finish(ctx context.Context, failure error) error {
	if failure != nil {
		w.rollback(ctx)
		return failure
	}
	if _, err := w.conn.ExecContext(ctx, "COMMIT"); err != nil {
		w.rollback(ctx)
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// begin opens a transaction, on a new connection if the old one is broken.
func (w *writer) begin(ctx context.Context) error {
	_, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE")
	if err == nil {
		return nil
	}
	if renewErr := w.renew(ctx); renewErr != nil {
		return errors.Join(err, renewErr)
	}
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	return nil
}

// rollback undoes the open transaction.
func (w *writer) rollback(ctx context.Context) {
	if _, err := w.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		// SQLite ended the transaction itself, or the connection is broken: closing it undoes what is open.
		// If no new one can be had now, the next begin fails and tries again.
		_ = w.renew(ctx)
	}
}

// renew closes the connection for good, where Close would put it back into the pool, and takes a new one.
func (w *writer) renew(ctx context.Context) error {
	_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = w.conn.Close()
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn = conn
	return nil
}

// apply carries one write of a group out. refused is its own failure, after which nothing of it is left; err
// means that the transaction is of no use any more: what SQLite undoes when a statement fails depends on the
// failure, and a full disk can end the transaction.
func (w *writer) apply(ctx context.Context, entry *write) (refused, err error) {
	if _, err := w.conn.ExecContext(ctx, "SAVEPOINT entry"); err != nil {
		return nil, err
	}
	refused = w.operate(ctx, entry)
	if refused != nil {
		var mismatch *state.ETagError
		if !errors.As(refused, &mismatch) {
			return nil, refused
		}
		if _, err := w.conn.ExecContext(ctx, "ROLLBACK TO entry"); err != nil {
			return nil, err
		}
	}
	if _, err := w.conn.ExecContext(ctx, "RELEASE entry"); err != nil {
		return nil, err
	}
	return refused, nil
}

// operate runs an entry's operations up to the first that fails.
func (w *writer) operate(ctx context.Context, entry *write) error {
	for _, op := range entry.operations {
		if err := op.run(ctx, w.conn, w.statements); err != nil {
			return err
		}
	}
	return nil
}

func all(group []*write, err error) []error {
	results := make([]error, len(group))
	for i := range results {
		results[i] = err
	}
	return results
}
