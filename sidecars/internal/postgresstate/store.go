// Package postgresstate is Dapr's PostgreSQL state store (v2) whose bulk reads can be believed. The library's own does
// not look whether its rows ended because there were no more or because the connection broke: of every key that it did
// not come to it tells that it does not exist.
package postgresstate

import (
	"context"
	"fmt"
	"time"

	"github.com/dapr/components-contrib/state"
	postgresql "github.com/dapr/components-contrib/state/postgresql/v2"
	"github.com/dapr/kit/logger"
	"github.com/dapr/kit/metadata"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Every read has to end, even when the server has gone without a word. The library gives its own as long.
const defaultTimeout = 20 * time.Second

// Store is a state.Store, a drop-in for Dapr's state.postgresql v2.
type Store struct {
	*postgresql.PostgreSQL

	reader reader
}

// New returns a store that Init connects.
func New(log logger.Logger) state.Store {
	inner, ok := postgresql.NewPostgreSQLStateStore(log).(*postgresql.PostgreSQL)
	if !ok {
		// Only another version of the library could do this, and then the build's tests fail.
		log.Fatal("state.postgresql: the library's store is of an unknown type")
	}
	return &Store{PostgreSQL: inner}
}

// Init connects to the server and makes the tables if they are not there.
func (s *Store) Init(ctx context.Context, meta state.Metadata) error {
	if err := s.PostgreSQL.Init(ctx, meta); err != nil {
		return err
	}
	var own struct {
		TablePrefix string        `mapstructure:"tablePrefix"`
		Timeout     time.Duration `mapstructure:"timeout" mapstructurealiases:"timeoutInSeconds"`
	}
	own.Timeout = defaultTimeout
	if err := metadata.DecodeMetadata(meta.Properties, &own); err != nil {
		return err // the library has read the same before
	}
	s.reader = newReader(s.GetDB(), own.TablePrefix, own.Timeout)
	return nil
}

// BulkGet reads many keys as they were at one moment and answers for each, existing or not.
func (s *Store) BulkGet(ctx context.Context, req []state.GetRequest, _ state.BulkGetOpts) ([]state.BulkGetResponse, error) {
	return s.reader.bulkGet(ctx, req)
}

// reader reads the table that the library writes.
type reader struct {
	db      *pgxpool.Pool
	query   string
	timeout time.Duration
}

func newReader(db *pgxpool.Pool, prefix string, timeout time.Duration) reader {
	// The library puts the prefix, which comes from the component's file, before the name as it is.
	query := "SELECT key, value, etag::text, expires_at FROM " + prefix + "state " +
		"WHERE key = ANY($1) AND (expires_at IS NULL OR expires_at >= now())"
	return reader{db: db, query: query, timeout: timeout}
}

func (r reader) bulkGet(ctx context.Context, req []state.GetRequest) ([]state.BulkGetResponse, error) {
	if len(req) == 0 {
		return []state.BulkGetResponse{}, nil
	}
	keys := make([]string, len(req))
	for i, one := range req {
		keys[i] = one.Key
	}
	found, err := r.read(ctx, keys)
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

func (r reader) read(ctx context.Context, keys []string) (map[string]state.BulkGetResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	rows, err := r.db.Query(ctx, r.query, keys)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[string]state.BulkGetResponse, len(keys))
	for rows.Next() {
		var (
			key, etag string
			value     []byte
			expiry    *time.Time
		)
		if err := rows.Scan(&key, &value, &etag, &expiry); err != nil {
			return nil, err
		}
		one := state.BulkGetResponse{Data: value, ETag: &etag}
		if expiry != nil {
			one.Metadata = map[string]string{
				state.GetRespMetaKeyTTLExpireTime: expiry.UTC().Format(time.RFC3339),
			}
		}
		found[key] = one
	}
	return found, rows.Err()
}
