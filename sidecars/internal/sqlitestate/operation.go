// One write and what it does to the table.

package sqlitestate

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/dapr/components-contrib/state"
	stateutils "github.com/dapr/components-contrib/state/utils"
)

var errNoKey = errors.New("a state operation has no key")

// operation is one write, checked and encoded before it stands in line.
type operation struct {
	statement func(statements) string
	arguments []any
	guarded   bool // no row changed means that the etag did not match
}

// statements are the writes of one table, and the read that the keys are put behind.
type statements struct {
	put, create, replace, remove, removeMatching, read string
}

func newStatements(table string) statements {
	// A null modifier makes DATETIME null: the row then never expires.
	const columns = " (key, value, is_binary, etag, expiration_time, update_time)" +
		" VALUES (?1, ?2, ?3, ?4, DATETIME(CURRENT_TIMESTAMP, ?5), CURRENT_TIMESTAMP)" +
		" ON CONFLICT (key) DO UPDATE SET value = excluded.value, is_binary = excluded.is_binary, etag = excluded.etag," +
		" expiration_time = excluded.expiration_time, update_time = excluded.update_time"
	return statements{
		put: "INSERT INTO " + table + columns,
		// A row that has expired counts as absent, whether or not it was removed yet.
		create: "INSERT INTO " + table + columns +
			" WHERE " + table + ".expiration_time IS NOT NULL AND " + table + ".expiration_time <= CURRENT_TIMESTAMP",
		replace: "UPDATE " + table + " SET value = ?2, is_binary = ?3, etag = ?4," +
			" expiration_time = DATETIME(CURRENT_TIMESTAMP, ?5), update_time = CURRENT_TIMESTAMP" +
			" WHERE key = ?1 AND etag = ?6 AND (expiration_time IS NULL OR expiration_time > CURRENT_TIMESTAMP)",
		remove:         "DELETE FROM " + table + " WHERE key = ?1",
		removeMatching: "DELETE FROM " + table + " WHERE key = ?1 AND etag = ?2",
		read: "SELECT key, value, is_binary, etag, expiration_time FROM " + table +
			" WHERE (expiration_time IS NULL OR expiration_time > CURRENT_TIMESTAMP) AND key IN ",
	}
}

// setOperation checks and encodes a write as Dapr's own store does.
func setOperation(req *state.SetRequest) (operation, error) {
	if err := state.CheckRequestOptions(req.Options); err != nil {
		return operation{}, err
	}
	if req.Key == "" {
		return operation{}, errNoKey
	}
	ttl, err := stateutils.ParseTTL(req.Metadata)
	if err != nil {
		return operation{}, fmt.Errorf("error parsing TTL: %w", err)
	}
	var expiry any
	if ttl != nil && *ttl > 0 {
		expiry = "+" + strconv.Itoa(*ttl) + " seconds"
	}
	value, isBinary, err := encode(req.Value)
	if err != nil {
		return operation{}, err
	}
	etag, err := uuid.NewRandom()
	if err != nil {
		return operation{}, err
	}

	op := operation{arguments: []any{req.Key, value, isBinary, etag.String(), expiry}}
	switch {
	case req.HasETag():
		op.statement = func(s statements) string { return s.replace }
		op.arguments = append(op.arguments, *req.ETag)
		op.guarded = true
	case req.Options.Concurrency == state.FirstWrite:
		op.statement = func(s statements) string { return s.create }
		op.guarded = true
	default:
		op.statement = func(s statements) string { return s.put }
	}
	return op, nil
}

// encode gives a value the form that the table keeps: bytes in base64, everything else as JSON.
func encode(value any) (text string, isBinary bool, err error) {
	if raw, ok := value.([]byte); ok {
		return base64.StdEncoding.EncodeToString(raw), true, nil
	}
	encoded, err := json.Marshal(value)
	return string(encoded), false, err
}

// deleteOperation checks a removal as Dapr's own store does.
func deleteOperation(req *state.DeleteRequest) (operation, error) {
	if err := state.CheckRequestOptions(req.Options); err != nil {
		return operation{}, err
	}
	if req.Key == "" {
		return operation{}, errNoKey
	}
	if !req.HasETag() {
		return operation{
			statement: func(s statements) string { return s.remove },
			arguments: []any{req.Key},
		}, nil
	}
	return operation{
		statement: func(s statements) string { return s.removeMatching },
		arguments: []any{req.Key, *req.ETag},
		guarded:   true,
	}, nil
}

// run carries the operation out on the writer's connection, inside a transaction that is open there.
func (o operation) run(ctx context.Context, conn *sql.Conn, all statements) error {
	result, err := conn.ExecContext(ctx, o.statement(all), o.arguments...)
	if err != nil {
		return err
	}
	if !o.guarded {
		return nil
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return err
	}
	if changed == 0 {
		return state.NewETagError(state.ETagMismatch, nil)
	}
	return nil
}
