// The binding beside a mail server on loopback: mails at once, one after the other, and a server that hangs.

package smtp

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dapr/components-contrib/bindings"
	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/kit/logger"
)

// mail is what a server took: the recipients of the envelope, and the message.
type mail struct {
	to      []string
	message string
}

// serve takes mails on loopback until the test ends.
func serve(t *testing.T) (port string, taken func() []mail) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var (
		lock  sync.Mutex
		mails []mail
	)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				got := converse(conn)
				lock.Lock()
				defer lock.Unlock()
				mails = append(mails, got...)
			}()
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, func() []mail {
		lock.Lock()
		defer lock.Unlock()
		return append([]mail(nil), mails...)
	}
}

func converse(conn net.Conn) (mails []mail) {
	say := func(line string) { fmt.Fprintf(conn, "%s\r\n", line) }
	lines := bufio.NewScanner(conn)
	var current mail
	say("220 ready")
	for lines.Scan() {
		line := lines.Text()
		switch upper := strings.ToUpper(line); {
		case strings.HasPrefix(upper, "EHLO"):
			say("250 here")
		case strings.HasPrefix(upper, "RCPT TO:"):
			current.to = append(current.to, strings.Trim(line[len("RCPT TO:"):], "<>"))
			say("250 ok")
		case upper == "DATA":
			say("354 go on")
			var message strings.Builder
			for lines.Scan() && lines.Text() != "." {
				message.WriteString(lines.Text() + "\n")
			}
			current.message = message.String()
			mails = append(mails, current)
			current = mail{}
			say("250 taken")
		case upper == "QUIT":
			say("221 bye")
			return mails
		default:
			say("250 ok")
		}
	}
	return mails
}

func mailer(t *testing.T, port string) bindings.OutputBinding {
	t.Helper()
	binding := New(logger.NewLogger("test"))
	properties := map[string]string{"host": "127.0.0.1", "port": port, "emailFrom": "docket@example.org"}
	meta := bindings.Metadata{Base: metadata.Base{Name: "smtp", Properties: properties}}
	if err := binding.Init(context.Background(), meta); err != nil {
		t.Fatal(err)
	}
	return binding
}

func request(to, subject string, more map[string]string) *bindings.InvokeRequest {
	meta := map[string]string{"emailTo": to, "subject": subject}
	for name, value := range more {
		meta[name] = value
	}
	return &bindings.InvokeRequest{
		Operation: bindings.CreateOperation,
		Data:      []byte(`"for ` + to + `"`),
		Metadata:  meta,
	}
}

func TestMailsAtOnceKeepTheirRecipients(t *testing.T) {
	const count = 200
	port, taken := serve(t)
	binding := mailer(t, port)
	var group sync.WaitGroup
	for n := range count {
		group.Add(1)
		go func() {
			defer group.Done()
			to := fmt.Sprintf("p%d@example.org", n)
			if _, err := binding.Invoke(context.Background(), request(to, "to "+to, nil)); err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	// A mail is counted when its connection ends, a moment after the answer.
	for end := time.Now().Add(10 * time.Second); len(taken()) < count && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	mails := taken()
	if len(mails) != count {
		t.Fatalf("%d mails of %d", len(mails), count)
	}
	for _, mail := range mails {
		if len(mail.to) != 1 {
			t.Fatalf("recipients: %v", mail.to)
		}
		to := mail.to[0]
		for _, part := range []string{"To: " + to, "Subject: to " + to, "for " + to} {
			if !strings.Contains(mail.message, part+"\n") {
				t.Errorf("what went to %s is without %q:\n%s", to, part, mail.message)
			}
		}
	}
}

func TestWhatOneMailSetIsNotTheNextOnes(t *testing.T) {
	port, taken := serve(t)
	binding := mailer(t, port)
	more := map[string]string{"emailCC": "boss@example.org", "priority": "1"}
	for _, req := range []*bindings.InvokeRequest{
		request("a@example.org", "one", more),
		request("b@example.org", "two", nil),
	} {
		if _, err := binding.Invoke(context.Background(), req); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); len(taken()) < 2 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	for _, mail := range taken() {
		if mail.to[0] == "b@example.org" && (len(mail.to) != 1 || strings.Contains(mail.message, "boss")) {
			t.Fatalf("the copy went along: %v\n%s", mail.to, mail.message)
		}
	}
}

func TestAServerThatHangsKeepsNobody(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	binding := mailer(t, port)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := binding.Invoke(ctx, request("a@example.org", "one", nil)); err == nil {
		t.Fatal("it was sent to nobody")
	}
}
