//! One HTTP request to a stack's app.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// An answer.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    head: String,
}

impl Answer {
    /// The value of a header, if it is there; of several, the first.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

impl std::fmt::Debug for Answer {
    /// Without the head, which may have a cookie.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(1_000).collect();
        write!(f, "{} {body}", self.status)
    }
}

/// Sends a request with one header of its own, and a JSON body if there is one.
///
/// # Errors
/// There is no answer, or none that can be read.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    header: (&str, &str),
    body: Option<&str>,
) -> std::io::Result<Answer> {
    let exchange = exchange(address, method, path, header, body);
    let answer = timeout(PATIENCE, exchange).await;
    let answer = answer.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))?;
    read(&answer).ok_or_else(|| Error::new(ErrorKind::InvalidData, "it is no HTTP"))
}

fn read(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?,
        body: body.to_owned(),
        head: head.to_owned(),
    })
}

/// One request on one connection, in HTTP/1.0: its end is the answer's end.
async fn exchange(
    address: SocketAddr,
    method: &str,
    path: &str,
    (name, value): (&str, &str),
    body: Option<&str>,
) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let mut request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{name}: {value}\r\nConnection: close\r\n"
    );
    if let Some(body) = body {
        let length = body.len();
        request += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    }
    request += "\r\n";
    request += body.unwrap_or_default();
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_body() {
        let answer = read("HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "{}"));
        assert_eq!((answer.header("a"), answer.header("b")), (Some("b"), None));
        for wrong in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "SMTP/1.1 200\r\n\r\n",
            "HTTP/1.1 xxx\r\n\r\n",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
