// Reads, which outlive their caller.

package sqlitestate

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/dapr/components-contrib/state"
)

// Get reads one key. A read is a matter of microseconds, and one that is cut off is worse than one in vain: see
// [Store.BulkGet].
func (s *Store) Get(ctx context.Context, req *state.GetRequest) (*state.GetResponse, error) {
	return s.SQLiteStore.Get(context.WithoutCancel(ctx), req)
}

// BulkGet reads many keys as they were at one moment and answers for each, existing or not. The library's own tells of
// every key that it did not come to, because of an error or because the caller went away, that it does not exist.
func (s *Store) BulkGet(ctx context.Context, req []state.GetRequest, opts state.BulkGetOpts) ([]state.BulkGetResponse, error) {
	if s.writer == nil || len(req) == 0 {
		return s.SQLiteStore.BulkGet(ctx, req, opts)
	}
	keys := make([]any, len(req))
	for i, one := range req {
		keys[i] = one.Key
	}
	found, err := s.read(context.WithoutCancel(ctx), keys)
	if err != nil {
		return nil, fmt.Errorf("bulk get: %w", err)
	}
	responses := make([]state.BulkGetResponse, len(req))
	for i, one := range req {
		responses[i] = found[one.Key]
		responses[i].Key = one.Key
	}
	return responses, nil
}

func (s *Store) read(ctx context.Context, keys []any) (map[string]state.BulkGetResponse, error) {
	query := s.writer.statements.read + "(" + strings.Repeat("?,", len(keys)-1) + "?)"
	rows, err := s.writer.db.QueryContext(ctx, query, keys...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := make(map[string]state.BulkGetResponse, len(keys))
	for rows.Next() {
		var (
			key, etag string
			value     []byte
			isBinary  bool
			expiry    sql.NullTime
		)
		if err := rows.Scan(&key, &value, &isBinary, &etag, &expiry); err != nil {
			return nil, err
		}
		one := state.BulkGetResponse{Data: value, ETag: &etag}
		if isBinary {
			if one.Data, err = base64.StdEncoding.DecodeString(string(value)); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		if expiry.Valid {
			one.Metadata = map[string]string{
				state.GetRespMetaKeyTTLExpireTime: expiry.Time.UTC().Format(time.RFC3339),
			}
		}
		found[key] = one
	}
	return found, rows.Err()
}
