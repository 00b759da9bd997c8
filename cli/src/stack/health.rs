//! Asks a part whether it is healthy, without a client library: one request on one connection.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::layout::Ports;

/// An answer that takes longer counts as none.
const PATIENCE: Duration = Duration::from_secs(2);
/// ApiVersions, version 0, correlation id 1, no client id: every Kafka broker answers it.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
const CORRELATION: [u8; 4] = [0, 0, 0, 1];
/// SSLRequest: every PostgreSQL server answers it with one letter, whoever asks.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// How a part's health is asked for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// A GET that has to be answered by a 2xx.
    Http {
        /// Where.
        address: SocketAddr,
        /// The path.
        path: String,
    },
    /// A Kafka broker's greeting.
    Kafka {
        /// Where.
        address: SocketAddr,
    },
    /// A PostgreSQL server's greeting.
    Postgres {
        /// Where.
        address: SocketAddr,
    },
    /// Something accepts connections.
    Tcp {
        /// Where.
        address: SocketAddr,
    },
}

/// Why a part is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nothing accepts connections.
    #[error("nothing answers at {address}")]
    Refused {
        /// Where.
        address: SocketAddr,
    },
    /// There is no machine of that name.
    #[error("there is no {name}")]
    Unknown {
        /// The name, and the port.
        name: String,
    },
    /// It said so.
    #[error("answers {status}")]
    Status {
        /// The status line.
        status: String,
    },
    /// It accepts connections and says nothing.
    #[error("gives no answer at {address}")]
    Silent {
        /// Where.
        address: SocketAddr,
    },
    /// It talks another protocol.
    #[error("answers something else than expected at {address}")]
    Foreign {
        /// Where.
        address: SocketAddr,
    },
}

impl Probe {
    /// A GET of `path` on a port.
    #[must_use]
    pub fn http(port: u16, path: &str) -> Self {
        Self::Http {
            address: Ports::address(port),
            path: path.to_owned(),
        }
    }

    /// A Kafka broker on a port.
    #[must_use]
    pub fn kafka(port: u16) -> Self {
        Self::Kafka {
            address: Ports::address(port),
        }
    }

    /// Anything on a port.
    #[must_use]
    pub fn tcp(port: u16) -> Self {
        Self::Tcp {
            address: Ports::address(port),
        }
    }

    /// Asks once.
    pub async fn ask(&self) -> Result<(), Unhealthy> {
        let address = match self {
            Self::Http { address, .. }
            | Self::Kafka { address }
            | Self::Postgres { address }
            | Self::Tcp { address } => *address,
        };
        let asked = async {
            let mut stream = TcpStream::connect(address)
                .await
                .map_err(|_| Unhealthy::Refused { address })?;
            match self {
                Self::Http { path, .. } => http(&mut stream, address, path).await,
                Self::Kafka { .. } => kafka(&mut stream, address).await,
                Self::Postgres { .. } => postgres(&mut stream, address).await,
                Self::Tcp { .. } => Ok(()),
            }
        };
        tokio::time::timeout(PATIENCE, asked)
            .await
            .unwrap_or(Err(Unhealthy::Silent { address }))
    }
}

async fn http(stream: &mut TcpStream, address: SocketAddr, path: &str) -> Result<(), Unhealthy> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let silent = |_| Unhealthy::Silent { address };
    stream.write_all(request.as_bytes()).await.map_err(silent)?;
    let mut answer = Vec::new();
    let mut reader = stream.take(512);
    while !answer.contains(&b'\n') {
        if reader.read_buf(&mut answer).await.map_err(silent)? == 0 {
            break;
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|line| line.split_once(' '))
        .map(|(_, status)| status);
    match status {
        None if line.is_empty() => Err(Unhealthy::Silent { address }),
        None => Err(Unhealthy::Foreign { address }),
        Some(status) if status.starts_with('2') => Ok(()),
        Some(status) => Err(Unhealthy::Status {
            status: status.trim().to_owned(),
        }),
    }
}

async fn kafka(stream: &mut TcpStream, address: SocketAddr) -> Result<(), Unhealthy> {
    let silent = |_| Unhealthy::Silent { address };
    stream.write_all(&API_VERSIONS).await.map_err(silent)?;
    let mut answer = [0_u8; 8];
    stream.read_exact(&mut answer).await.map_err(silent)?;
    if answer.ends_with(&CORRELATION) {
        Ok(())
    } else {
        Err(Unhealthy::Foreign { address })
    }
}

async fn postgres(stream: &mut TcpStream, address: SocketAddr) -> Result<(), Unhealthy> {
    let silent = |_| Unhealthy::Silent { address };
    stream.write_all(&SSL_REQUEST).await.map_err(silent)?;
    match stream.read_u8().await.map_err(silent)? {
        b'S' | b'N' => Ok(()),
        _ => Err(Unhealthy::Foreign { address }),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn asked(answer: &'static [u8], probe: impl FnOnce(u16) -> Probe) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            request[..length].to_vec()
        });
        let outcome = probe(port).ask().await;
        let request = String::from_utf8_lossy(&server.await.unwrap()).into_owned();
        if request.starts_with("GET") {
            assert!(
                request.starts_with("GET /healthz HTTP/1.1\r\n"),
                "{request}"
            );
        }
        outcome.map_or_else(|error| error.to_string(), |()| "healthy".to_owned())
    }

    #[tokio::test]
    async fn answers_are_told_apart() {
        let http = |port| Probe::http(port, "/healthz");
        let cases: [(&[u8], &str); 5] = [
            (b"HTTP/1.1 200 OK\r\n\r\n", "healthy"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", "healthy"),
            (
                b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
                "answers 500 Internal Server Error",
            ),
            (b"SSH-2.0\r\n", "something else"),
            (b"", "gives no answer"),
        ];
        for (answer, expected) in cases {
            let told = asked(answer, http).await;
            assert!(told.contains(expected), "{told}");
        }
        assert_eq!(
            asked(&[0, 0, 0, 4, 0, 0, 0, 1], Probe::kafka).await,
            "healthy"
        );
        assert!(
            asked(b"HTTP/1.1 400", Probe::kafka)
                .await
                .contains("something else")
        );
        let postgres = |port| Probe::Postgres {
            address: Ports::address(port),
        };
        assert_eq!(asked(b"N", postgres).await, "healthy");
        assert!(asked(b"E", postgres).await.contains("something else"));
    }

    #[tokio::test]
    async fn a_closed_port_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(Probe::tcp(port).ask().await.is_ok());
        drop(listener);
        let error = Probe::tcp(port).ask().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("nothing answers at 127.0.0.1:{port}")
        );
    }
}
