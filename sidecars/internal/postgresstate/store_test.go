// Bulk reads from a server that does as it is told: the suite `cluster` has a real one, which cannot be made to fail in
// the midst of an answer.

package postgresstate

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/dapr/components-contrib/state"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// columns are those of the reader's query, in its order.
var columns = []pgproto3.FieldDescription{
	{Name: []byte("key"), DataTypeOID: 25},
	{Name: []byte("value"), DataTypeOID: 17},
	{Name: []byte("etag"), DataTypeOID: 25},
	{Name: []byte("expires_at"), DataTypeOID: 1184},
}

// serve answers every query on one connection with these messages after the names of the columns.
func serve(t *testing.T, answer ...pgproto3.BackendMessage) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_ = listener.Close() // a client that gives up would wait here for an answer to that
		backend := pgproto3.NewBackend(conn, conn)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		backend.Send(&pgproto3.AuthenticationOk{})
		backend.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
		backend.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
		backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		for backend.Flush() == nil {
			message, err := backend.Receive()
			if err != nil {
				return
			}
			if _, ok := message.(*pgproto3.Query); !ok {
				return // it says goodbye
			}
			backend.Send(&pgproto3.RowDescription{Fields: columns})
			for _, part := range answer {
				if part == nil {
					_ = backend.Flush()
					return // the connection breaks
				}
				backend.Send(part)
			}
			backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		}
	}()
	return listener.Addr().String()
}

// bulkGet reads the keys a and b from a server that gives this answer.
func bulkGet(t *testing.T, answer ...pgproto3.BackendMessage) ([]state.BulkGetResponse, error) {
	t.Helper()
	url := "postgres://u@" + serve(t, answer...) + "/d?sslmode=disable&default_query_exec_mode=simple_protocol"
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return newReader(pool, "public.", time.Second).bulkGet(ctx, []state.GetRequest{{Key: "a"}, {Key: "b"}})
}

func row(key string) *pgproto3.DataRow {
	return &pgproto3.DataRow{Values: [][]byte{
		[]byte(key), []byte(`\x7b7d`), []byte("d9b1"), []byte("2026-11-24 10:00:00+00"),
	}}
}

func TestEachKeyIsAnsweredExistingOrNot(t *testing.T) {
	got, err := bulkGet(t, row("b"), &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Key != "a" || got[0].Data != nil || got[0].ETag != nil {
		t.Fatalf("%+v", got)
	}
	expiry := got[1].Metadata[state.GetRespMetaKeyTTLExpireTime]
	if string(got[1].Data) != "{}" || *got[1].ETag != "d9b1" || expiry != "2026-11-24T10:00:00Z" {
		t.Fatalf("%+v", got[1])
	}
}

func TestAnAnswerThatBreaksOffIsAnErrorNotAnAbsence(t *testing.T) {
	shutdown := &pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P01", Message: "terminating connection"}
	for name, end := range map[string]pgproto3.BackendMessage{"error": shutdown, "no more": nil} {
		t.Run(name, func(t *testing.T) {
			if got, err := bulkGet(t, row("b"), end); err == nil {
				t.Fatalf("%+v", got)
			}
		})
	}
}
